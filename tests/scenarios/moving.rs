//! Endpoints that move under a transfer: routers that forget, carriers' translation, addresses and
//! gateways that change, devices that go and come back. The transfer goes on, and all paths return.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::collections::BTreeMap;
use std::time::Duration;

use lab::outage::{by_source, one_per_path, tenths};
use lab::programs::lab_can_run;
use lab::router::Router;
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use pathweaved::control::PathState;

/// 60 Mbit/s together.
fn isps() -> Vec<Isp> {
    vec![Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]
}

/// Moves data from the first site to the second, lets each of `events` happen two seconds after
/// the one before it, and wants everything back at the end.
fn survives(lab: &Lab, megabytes: u64, events: &[(&str, &dyn Fn())]) {
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let (mut waiting, mut next, mut last) = (events.iter(), 20, BTreeMap::new());
    let outcome = transfer::run(&Transfer::of(megabytes), here, there, |progress| {
        if tenths(progress) >= next
            && let Some((name, event)) = waiting.next()
        {
            println!("{:.1} s: {name}", progress.elapsed.as_secs_f64());
            event();
            next = tenths(progress) + 40;
        }
        last = by_source(progress);
    })
    .unwrap();
    println!(
        "{:.1} Mbit/s, longest stall {:?}; subflows {last:?}",
        outcome.rate(),
        outcome.longest_stall()
    );
    assert!(outcome.intact, "the data came out different");
    assert_eq!(waiting.count(), 0, "the transfer ended before the events");
    assert_eq!(
        last,
        one_per_path(here),
        "subflows at the end\n{}",
        here.home.log()
    );
    assert!(
        outcome.longest_stall() <= Duration::from_secs(2),
        "it stood still"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

/// Nobody can dial the first site: it has no endpoint in the file.
fn without_endpoints(lab: &Lab) {
    lab.edit_fleet(|text| {
        let keep = |line: &str| match line.split_once(", endpoint = \"198.18.") {
            Some((link, rest)) if rest.contains(".1\"") => format!("{link} }},\n"),
            Some(_) | None => format!("{line}\n"),
        };
        text.lines().map(keep).collect()
    })
    .unwrap();
}

#[test]
fn a_site_behind_routers_that_forget_their_mappings() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    without_endpoints(&lab);
    let routers: Vec<_> = (1..=3)
        .map(|link| Router::put_before(&lab.sites[0], link).unwrap())
        .collect();
    lab.start().unwrap();
    let forget: Vec<_> = routers.iter().map(|router| || router.forget()).collect();
    let events: Vec<(&str, &dyn Fn())> = forget
        .iter()
        .map(|forget| ("a router forgets", forget as &dyn Fn()))
        .collect();
    survives(&lab, 120, &events);
}

#[test]
fn a_site_behind_a_carrier_that_forgets_a_mapping_after_two_seconds_stays_reachable() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    without_endpoints(&lab);
    let routers: Vec<_> = (1..=3)
        .map(|link| Router::put_before(&lab.sites[0], link).unwrap())
        .collect();
    for router in &routers {
        router.forget_after(2).unwrap();
    }
    lab.start().unwrap();
    // Idle for long, as at night; then the far end begins.
    std::thread::sleep(Duration::from_secs(20));
    for site in &lab.sites {
        let status = site.home.status().unwrap();
        for path in &status.peers[0].paths {
            println!(
                "{} {}: {:?}, flaps {}, loss {:?}/{:?}",
                site.name, path.path, path.state, path.flaps, path.loss_rx, path.loss_tx
            );
            assert_eq!((path.state, path.flaps), (PathState::Up, 0), "{path:?}");
        }
    }
    let transfer = Transfer {
        opener_sends: false,
        ..Transfer::of(40)
    };
    let outcome = transfer::run(&transfer, &lab.sites[1], &lab.sites[0], |_| {}).unwrap();
    println!("{:.1} Mbit/s", outcome.rate());
    assert!(outcome.intact);
    assert!(
        outcome.longest_stall() <= Duration::from_secs(1),
        "it stood still"
    );
}

#[test]
fn addresses_and_gateways_change_and_a_device_comes_back_as_another() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    let router = Router::put_before(&lab.sites[0], 2).unwrap();
    without_endpoints(&lab);
    lab.start().unwrap();
    let namespace = lab.sites[0].namespace();
    let shell = |line: &'static str| move || drop(namespace.shell(line));
    // What a DHCP client does when the lease is for another address.
    let address = shell(
        "ip addr add 192.168.2.77/24 dev isp2; ip addr del 192.168.2.2/24 dev isp2
         ip addr add 192.168.2.77/24 dev isp2 2>/dev/null || true
         ip route replace default via 192.168.2.1 dev isp2 metric 102",
    );
    let gateway = || {
        router.shell("ip addr add 192.168.2.9/24 dev lan");
        namespace.shell("ip route replace default via 192.168.2.9 dev isp2 metric 102");
    };
    let device = || router.replace_lan(namespace, 2);
    survives(
        &lab,
        150,
        &[
            ("another address", &address),
            ("another gateway", &gateway),
            ("another device of the same name", &device),
        ],
    );
}
