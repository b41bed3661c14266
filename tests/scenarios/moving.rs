//! Endpoints that move under a transfer: routers that forget, carriers' translation, addresses and
//! gateways that change, devices that go and come back. The transfer goes on, and all paths return.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use lab::outage::{by_source, one_per_path, tenths};
use lab::programs::{self, Background, have, lab_can_run};
use lab::router::Router;
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab, Site};
use nix::sys::signal::Signal;
use pathweaved::control::{PathState, Status};

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

/// Only the first link of the first site can be dialled.
fn with_one_endpoint(lab: &Lab) {
    lab.edit_fleet(|text| {
        let keep = |line: &str| match line.split_once(", endpoint = ") {
            Some((link, rest)) if !rest.contains("198.18.1.1\"") => format!("{link} }},\n"),
            Some(_) | None => format!("{line}\n"),
        };
        text.lines().map(keep).collect()
    })
    .unwrap();
}

#[test]
fn two_links_that_are_both_behind_nat_meet_and_meet_again() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()[..2]).unwrap();
    with_one_endpoint(&lab);
    let routers = [0, 1].map(|site| Router::put_before(&lab.sites[site], 2).unwrap());
    for site in &mut lab.sites {
        site.daemon = Some(site.home.start().unwrap());
    }
    let here = &lab.sites[0];
    let patience = Duration::from_secs(40);
    let dials = |status: &Status| {
        let reason = status.peers[0].paths[1].reason.clone();
        reason.is_some_and(|why| why.contains("another port"))
    };
    let status = here
        .home
        .wait_until("routers that are not met", patience, dials);
    println!("{:?}", status.peers[0].paths[1].reason);
    routers.iter().for_each(Router::keep_port);
    for site in &lab.sites {
        let up = |status: &Status| status.peers[0].paths[1].state == PathState::Up;
        let status = site.home.wait_until("they meet", patience, up);
        println!("{}: {:?}", site.name, status.peers[0].paths[1].endpoint);
    }
    let forget = || routers[0].forget();
    let other = || routers[1].forget();
    survives(
        &lab,
        150,
        &[("a router forgets", &forget), ("the other one", &other)],
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

/// What a DHCP client does with its lease.
const LEASE: &str = r#"#!/bin/sh
case "$1" in
deconfig) ip addr flush dev "$interface"; ip link set "$interface" up;;
bound|renew)
    ip addr replace "$ip/24" dev "$interface"
    ip route replace default via "$router" dev "$interface" metric 102;;
esac
"#;

fn dhcp_server(router: &Router, lab: &Lab, range: &str) -> Background {
    let leases = lab.sites[0].home.folder.join("leases");
    let leases = format!("--dhcp-leasefile={}", leases.display());
    let range = format!("--dhcp-range={range},2m");
    let arguments = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--port=0",
        "--interface=lan",
        "--bind-interfaces",
        "--dhcp-authoritative",
        "--dhcp-option=3,192.168.2.1",
        &leases,
        &range,
    ];
    programs::start(router.namespace(), "dnsmasq", &arguments)
}

#[test]
fn a_dhcp_server_gives_another_address() {
    if !lab_can_run() || !have("dnsmasq", "dnsmasq-base") || !have("busybox", "busybox") {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    let router = Router::put_before(&lab.sites[0], 2).unwrap();
    without_endpoints(&lab);
    let namespace = lab.sites[0].namespace();
    namespace.shell("ip addr flush dev isp2");
    let script = lab.sites[0].home.folder.join("lease");
    fs::write(&script, LEASE).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let server = RefCell::new(Some(dhcp_server(
        &router,
        &lab,
        "192.168.2.100,192.168.2.120",
    )));
    let script = script.display().to_string();
    let client = [
        "udhcpc", "-f", "-i", "isp2", "-t", "20", "-T", "1", "-A", "1", "-s", &script,
    ];
    let client = programs::start(namespace, "busybox", &client);
    lab.start().unwrap();
    let namespace = lab.sites[0].namespace();
    let address = || namespace.shell("ip -4 -oneline addr show dev isp2");
    println!("{}", address());
    let another = || {
        drop(server.take());
        server.replace(Some(dhcp_server(
            &router,
            &lab,
            "192.168.2.130,192.168.2.139",
        )));
        std::thread::sleep(Duration::from_millis(300));
        // Renew now, not in a minute.
        client.signal(Signal::SIGUSR1).unwrap();
    };
    survives(&lab, 100, &[("another lease", &another)]);
    println!("{}", address());
    assert!(
        address().contains("192.168.2.13"),
        "no other lease: {}",
        address()
    );
}

/// A name server for one site alone, that knows where `tainan.example` is.
struct Names {
    hosts: PathBuf,
    resolv: PathBuf,
    server: Option<Background>,
}

impl Names {
    fn serve(site: &Site, addresses: &[&str]) -> Self {
        let at = |name: &str| site.home.folder.join(name);
        let mut names = Self {
            hosts: at("names"),
            resolv: at("resolv.conf"),
            server: None,
        };
        names.say(addresses);
        fs::write(&names.resolv, "nameserver 127.0.0.1\n").unwrap();
        let hosts = format!("--addn-hosts={}", names.hosts.display());
        let arguments = [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--user=root",
            "--no-resolv",
            "--no-hosts",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            &hosts,
        ];
        names.server = Some(programs::start(site.namespace(), "dnsmasq", &arguments));
        names
    }

    fn say(&self, addresses: &[&str]) {
        let lines = addresses
            .iter()
            .map(|address| format!("{address} tainan.example\n"));
        fs::write(&self.hosts, lines.collect::<String>()).unwrap();
        if let Some(server) = &self.server {
            server.signal(Signal::SIGHUP).unwrap();
        }
    }

    /// Starts the daemons of machines that ask this server.
    fn start(&self, lab: &mut Lab) {
        let bind = format!("mount --bind {} /etc/resolv.conf", self.resolv.display());
        for site in &mut lab.sites {
            site.daemon = Some(site.home.start_on(&bind).unwrap());
        }
    }
}

/// The one family dies, under a transfer, at an endpoint whose name tells both.
#[test]
fn where_one_family_of_addresses_dies_the_other_is_taken() {
    if !lab_can_run() || !have("dnsmasq", "dnsmasq-base") {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    without_endpoints(&lab);
    lab.edit_fleet(|text| text.replacen("198.18.2.2", "tainan.example", 1))
        .unwrap();
    let six = "2001:db8:2::2";
    let names = Names::serve(&lab.sites[0], &[six]);
    names.start(&mut lab);
    let here = &lab.sites[0];
    let by = |status: &Status, endpoint: &str| {
        let path = &status.peers[0].paths[1];
        let there = path
            .endpoint
            .as_ref()
            .is_some_and(|at| at.contains(endpoint));
        there && path.state == PathState::Up
    };
    let patience = Duration::from_secs(20);
    here.home.wait_until_all_up();
    here.home
        .wait_until("IPv6", patience, |status| by(status, six));
    names.say(&[six, "2001:db8:2::99", "198.18.2.2"]);
    let far = lab.sites[1].namespace();
    let dies = || {
        drop(far.shell(
            "nft 'table ip6 dead { chain input { type filter hook input priority 0; iifname isp2 \
             meta l4proto udp drop; }; }'",
        ));
    };
    survives(&lab, 100, &[("IPv6 dies", &dies)]);
    here.home
        .wait_until("IPv4", patience, |status| by(status, "198.18.2.2:"));
}

#[test]
fn a_name_whose_address_changes_is_looked_up_again() {
    if !lab_can_run() || !have("dnsmasq", "dnsmasq-base") {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    // Behind a router nobody can dial us: only the name says where the other site is now.
    let _router = Router::put_before(&lab.sites[0], 2).unwrap();
    without_endpoints(&lab);
    lab.edit_fleet(|text| text.replacen("198.18.2.2", "tainan.example", 1))
        .unwrap();
    // Nobody is there; nobody can be there; and one of a family that the link has not.
    let nobody = ["198.18.2.99", "0.0.0.0", "10.213.2.1", "2001:db8:2::99"];
    let names = Names::serve(&lab.sites[0], &nobody);
    names.start(&mut lab);
    let here = &lab.sites[0];
    let up = |status: &Status, path: usize| status.peers[0].paths[path].state == PathState::Up;
    let patience = Duration::from_secs(15);
    here.home.wait_until("the others up", patience, |status| {
        up(status, 0) && up(status, 2)
    });
    let status = here.home.status().unwrap();
    println!("{:?}", status.peers[0].paths[1].reason);
    assert!(!up(&status, 1));
    names.say(&["198.18.2.99", "198.18.2.2"]);
    here.home
        .wait_until("the name's new address", Duration::from_secs(30), |s| {
            up(s, 1)
        });
    // It moves: the old address is dead, the name says the new one.
    lab.route_overlay("198.18.2.77".parse().unwrap(), 1, 1);
    lab.sites[1].namespace().shell(
        "ip addr add 198.18.2.77/32 dev isp2; ip addr del 198.18.2.2/32 dev isp2
         ip route replace default dev isp2 metric 102",
    );
    names.say(&["198.18.2.77"]);
    let moved = |status: &Status| {
        let path = &status.peers[0].paths[1];
        let there = path.endpoint.as_deref() == Some("198.18.2.77:51820");
        there && path.state == PathState::Up
    };
    here.home
        .wait_until("where the name says now", Duration::from_secs(40), moved);
    survives(&lab, 40, &[]);

    // The link falls silent, and so does the name server: the last good address is what there is.
    let server = names.server.as_ref().unwrap();
    server.signal(Signal::SIGSTOP).unwrap();
    here.links[1].blackhole(true);
    let told = |status: &Status| {
        let reason = status.peers[0].paths[1].reason.as_deref();
        reason.is_some_and(|why| why.contains("the name server does not answer"))
    };
    here.home
        .wait_until("what it waits for in vain", Duration::from_secs(60), told);
    here.links[1].blackhole(false);
    here.home
        .wait_until("back where it was", Duration::from_secs(40), moved);
    server.signal(Signal::SIGCONT).unwrap();
}
