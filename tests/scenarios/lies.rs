//! A machine that is lied to: by forged ICMP errors, by its own clock.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use lab::outage::{by_source, one_per_path};
use lab::programs::{have, lab_can_run};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use pathweaved::control::{PathState, Status};
use pathweaved::packet::inner;

const ICMP: u8 = 1;
const UDP: u8 = 17;

fn isps() -> [Isp; 2] {
    [Isp::new(30, 10), Isp::new(20, 40)]
}

/// An ICMP error from a router on the way, about a datagram from the first site to the second on
/// a link (RFC 792).
fn icmp(link: u8, kind: u8, code: u8, rest: u32) -> Vec<u8> {
    let end = |site: u8| IpAddr::from([198, 18, link, site]);
    let udp = [51820_u16, 51820, 1400, 0].map(u16::to_be_bytes).concat();
    let cause = inner::packet(end(1), end(2), UDP, &udp).unwrap();
    let mut body = vec![kind, code, 0, 0];
    body.extend(rest.to_be_bytes());
    body.extend(cause);
    let sum = inner::checksum(0, &body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    inner::packet(end(254), end(1), ICMP, &body).unwrap()
}

fn mtus(status: &Status) -> Vec<u16> {
    let paths = status.peers[0].paths.iter();
    paths.map(|path| path.mtu).collect()
}

#[test]
fn forged_icmp_errors_change_nothing() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let before = mtus(&here.home.status().unwrap());
    let mut last = Default::default();
    let outcome = transfer::run(&Transfer::of(40), here, there, |progress| {
        for (number, link) in (1..).zip(&here.links) {
            // Network, host, protocol and port unreachable, filtered, too large for 68 and for
            // 576 bytes, source quench, time exceeded.
            for code in [0, 1, 2, 3, 13] {
                link.forge(icmp(number, 3, code, 0));
            }
            for mtu in [68, 576] {
                link.forge(icmp(number, 3, 4, mtu));
            }
            link.forge(icmp(number, 4, 0, 0));
            link.forge(icmp(number, 11, 0, 0));
        }
        last = by_source(progress);
    })
    .unwrap();
    println!("{:.1} Mbit/s", outcome.rate());
    assert!(outcome.intact, "the data came out different");
    assert_eq!(last, one_per_path(here), "subflows at the end");
    let status = here.home.status().unwrap();
    assert_eq!(mtus(&status), before);
    for path in &status.peers[0].paths {
        assert_eq!((path.state, path.flaps), (PathState::Up, 0), "{path:?}");
    }
    let received = here.namespace().shell("cat /proc/net/snmp");
    assert!(received.contains("InDestUnreachs"), "{received}");
}

#[test]
fn a_daemon_started_with_a_wrong_clock_says_so_and_goes_on_when_it_is_set() {
    if !lab_can_run() || !have("faketime", "faketime") {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    // Nobody dials the first site: it depends on its own handshakes.
    lab.edit_fleet(|text| {
        let ours =
            |text: String, link| text.replace(&format!(", endpoint = \"198.18.{link}.1\""), "");
        (1..=2).fold(text, ours)
    })
    .unwrap();
    lab.start().unwrap();
    lab.sites[0].daemon.take().unwrap().stop().unwrap();
    let date = lab.sites[0].home.folder.join("date");
    let set_clock = |text: &str| fs::write(&date, text).unwrap();
    set_clock("@1970-01-02 00:00:00");
    let wrong = format!(
        "export LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1)
         export FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1
         export FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1",
        date.display()
    );
    lab.sites[0].daemon = Some(lab.sites[0].home.start_on(&wrong).unwrap());
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let tells = |status: &Status| {
        let mut paths = status.peers[0].paths.iter();
        paths.all(|path| {
            path.reason
                .as_ref()
                .is_some_and(|why| why.contains("the year 1970"))
        })
    };
    let status = here
        .home
        .wait_until("that it says so", Duration::from_secs(30), tells);
    println!("{:?}", status.peers[0].paths[0].reason);
    set_clock("+0");
    here.home.wait_until_all_up();
    there.home.wait_until_all_up();
    set_clock("@1970-01-02 00:00:00");
    let mut last = Default::default();
    let outcome = transfer::run(&Transfer::of(20), here, there, |progress| {
        last = by_source(progress)
    });
    assert!(outcome.unwrap().intact);
    assert_eq!(last, one_per_path(here), "subflows with the clock set back");
    for path in &here.home.status().unwrap().peers[0].paths {
        assert_eq!((path.state, path.flaps), (PathState::Up, 0), "{path:?}");
    }
}
