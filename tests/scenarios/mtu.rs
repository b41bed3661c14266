//! Links that carry less than they should, and say nothing about it.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::time::Duration;

use lab::laboratory::Family;
use lab::programs::lab_can_run;
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};

/// What WireGuard adds over IPv4 and over IPv6.
const OVERHEAD: [usize; 2] = [60, 80];

fn isps() -> Vec<Isp> {
    vec![Isp::new(40, 10), Isp::new(20, 30)]
}

fn swallow(lab: &Lab, path: usize, larger_than: usize) {
    for site in &lab.sites {
        site.links[path - 1].set(|settings| settings.largest = larger_than);
    }
}

/// Waits until both sites know what the path carries.
fn known(lab: &Lab, path: usize, outer: Family, largest: usize) {
    let inner = largest - OVERHEAD[usize::from(outer == Family::V6)];
    for site in &lab.sites {
        let status = site
            .home
            .wait_until("the MTU is known", Duration::from_secs(10), |status| {
                let mtu = usize::from(status.peers[0].paths[path - 1].mtu);
                mtu <= inner && inner - mtu < 20
            });
        let path = &status.peers[0].paths[path - 1];
        println!(
            "{}: link carries {largest}, path {} carries {}",
            site.name, path.path, path.mtu
        );
    }
}

#[test]
fn a_link_that_carries_less_is_used_with_what_it_carries() {
    if !lab_can_run() {
        return;
    }
    for outer in [Family::V4, Family::V6] {
        let mut lab = Lab::new(2, &isps(), outer, "").unwrap();
        swallow(&lab, 2, 1400);
        lab.start().unwrap();
        known(&lab, 2, outer, 1400);
        for opener_sends in [true, false] {
            let transfer = Transfer {
                opener_sends,
                ..Transfer::of(30)
            };
            let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap();
            let carried: Vec<_> = outcome
                .subflows
                .iter()
                .map(|s| s.bytes_acked + s.bytes_received)
                .collect();
            println!("{:.1} Mbit/s, per subflow {carried:?}", outcome.rate());
            assert!(outcome.intact, "the data came out different");
            assert_eq!(carried.len(), 2);
            assert!(
                carried.iter().all(|bytes| *bytes > 3_000_000),
                "a path was not used"
            );
        }
    }
}

#[test]
fn a_link_that_begins_to_swallow_large_packets_in_mid_transfer_is_found_out() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let outcome = transfer::run(
        &Transfer::of(110),
        &lab.sites[0],
        &lab.sites[1],
        |progress| {
            let late = progress.elapsed > Duration::from_secs(3);
            swallow(&lab, 1, if late { 1400 } else { usize::MAX });
        },
    )
    .unwrap();
    known(&lab, 1, Family::V4, 1400);
    let last: u64 = outcome.timeline[outcome.timeline.len() - 30..].iter().sum();
    let rate = last as f64 * 8.0 / 1e6 / 3.0;
    println!(
        "longest stall {:?}, {rate:.1} Mbit/s in the last 3 s",
        outcome.longest_stall()
    );
    assert!(outcome.intact, "the data came out different");
    assert!(
        outcome.longest_stall() < Duration::from_secs(5),
        "it stood still"
    );
    assert!(rate > 40.0, "the path is not used again");
}

#[test]
fn a_link_too_small_for_ipv6_is_not_used_and_the_reason_is_told() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    swallow(&lab, 2, 1300);
    let (opener, acceptor) = (&lab.sites[0], &lab.sites[1]);
    let outcome = transfer::run(&Transfer::of(50), opener, acceptor, |_| {}).unwrap();
    assert!(outcome.intact, "the data came out different");
    let path = opener.home.status().unwrap().peers[0].paths[1].clone();
    println!("{:.1} Mbit/s, path 2: {:?}", outcome.rate(), path.reason);
    assert!(path.reason.unwrap().contains("1280 bytes"));
}
