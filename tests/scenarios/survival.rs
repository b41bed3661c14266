//! Paths that die and come back under a running transfer: it goes on at once over those that are
//! left, and is back on all of them soon after the repair.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lab::flaps;
use lab::laboratory::Family;
use lab::outage::{self, Outage, by_source, one_per_path, tenths};
use lab::programs::lab_can_run;
use lab::transfer::{self, Progress, Transfer};
use lab::{Isp, Lab};
use socket2::{Domain, Protocol, Socket, Type};

/// 60 Mbit/s together.
fn isps() -> Vec<Isp> {
    vec![Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]
}

#[test]
fn a_path_that_dies_and_returns_is_used_again_by_a_connection_that_was_open() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    for (path, opener_sends) in [1, 2, 3]
        .into_iter()
        .flat_map(|path| [(path, true), (path, false)])
    {
        // Most servers listen for both families: their sockets are IPv6, and carry IPv4.
        let transfer = Transfer {
            opener_sends,
            dual_stack: true,
            ..Transfer::of(90)
        };
        let seen = outage::of_paths(&lab, &transfer, Outage::SHORT, &[path]).unwrap();
        let left = 1.0 - lab.isps[path - 1].rate as f64 / 60.0;
        let share = seen.during() / (seen.before() * left);
        println!(
            "path {path}, opener sends {opener_sends}: {:.1} Mbit/s, in the outage {:.0} % of what \
             is left, longest stall {:?}, full again after {:?}; subflows {:?}",
            seen.before(),
            share * 100.0,
            seen.stall(),
            seen.full_after(),
            seen.changes
        );
        assert!(seen.outcome.intact, "the data came out different");
        assert_eq!(
            seen.subflows,
            one_per_path(&lab.sites[0]),
            "after the repair"
        );
        assert!(share >= 0.75, "the other paths are not used");
        assert!(seen.stall() <= Duration::from_secs(2), "it stood still");
        let full = seen.full_after();
        assert!(
            full.is_some_and(|time| time <= Duration::from_secs(6)),
            "the rate is not back"
        );
    }
    // One of them whose end has gone by itself is not there to be closed.
    for site in &lab.sites {
        let closed = site.home.log().matches("closed: its path died").count();
        println!("{}: closed {closed} subflows of dead paths", site.name);
        assert!(closed > 0, "{}: none was closed", site.name);
    }
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn a_connection_whose_paths_were_all_dead_goes_on_when_they_are_back() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let outage = Outage {
        death: 30,
        repair: 230,
    };
    let seen = outage::of_paths(&lab, &Transfer::of(90), outage, &[1, 2, 3]).unwrap();
    println!(
        "20 s of nothing: data again after {:?}, full after {:?}; subflows {:?}",
        seen.resumed_after(),
        seen.full_after(),
        seen.changes
    );
    assert!(seen.outcome.intact, "the data came out different");
    assert_eq!(
        seen.subflows,
        one_per_path(&lab.sites[0]),
        "after the repair"
    );
    let resumed = seen.resumed_after();
    assert!(
        resumed.is_some_and(|time| time <= Duration::from_secs(10)),
        "it stood still"
    );
}

#[test]
fn a_connection_that_is_plain_tcp_is_counted_with_the_reason() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let (opener, acceptor) = (&lab.sites[0], &lab.sites[1]);
    let plain = Transfer {
        mptcp: false,
        ..Transfer::of(15)
    };
    let mut most = 0;
    transfer::run(&plain, opener, acceptor, |_| {
        most = most.max(opener.home.status().unwrap().peers[0].plain_tcp);
    })
    .unwrap();
    assert_eq!(most, 1, "connections that were told to be plain TCP");
    // A program that asks for MPTCP, of one that listens without it.
    let address = std::net::SocketAddr::new(acceptor.address(Family::V4), 7100);
    let listening = acceptor
        .namespace()
        .enter(move || std::net::TcpListener::bind(address));
    let opened = opener.namespace().enter(move || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))?;
        socket.connect(&address.into())
    });
    opened.unwrap();
    drop(listening);
    let status = opener.home.status().unwrap();
    println!("{:?}", status.site.fallbacks);
    let told = |reason: &String| reason.starts_with("plain TCP");
    assert!(
        status.site.fallbacks.keys().any(told),
        "{:?}",
        status.site.fallbacks
    );
}

/// A flap of a random path each half second or so, from a printed seed.
#[test]
fn twenty_flaps_of_random_paths_lose_nothing_and_leave_one_subflow_per_path() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let opener = &lab.sites[0];
    let seen = flaps::run(&lab, 20, seed, 0).unwrap();
    let healing = opener.home.status().unwrap().site.healing;
    println!(
        "{} flaps, {:.1} Mbit/s, longest stall {:?}, {healing:?}",
        seen.flaps,
        seen.outcome.rate(),
        seen.outcome.longest_stall()
    );
    assert!(seen.outcome.intact, "the data came out different");
    assert_eq!(seen.flaps, 20, "the transfer ended before the flaps");
    assert_eq!(seen.subflows, one_per_path(opener), "subflows at the end");
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

/// The ports of the subflows tell whether they are still the same ones.
fn ports(progress: &Progress) -> BTreeSet<u16> {
    progress.subflows.iter().map(|s| s.source_port).collect()
}

#[test]
fn healing_one_peer_s_path_leaves_the_other_peer_s_connection_alone() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::three_sites(&isps()).unwrap();
    lab.start().unwrap();
    let (nara, tainan, oslo) = (&lab.sites[0], &lab.sites[1], &lab.sites[2]);
    let link = tainan.links[1].clone();
    let mut seen = BTreeSet::new();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let transfer = Transfer {
                port: 7005,
                ..Transfer::of(50)
            };
            transfer::run(&transfer, nara, oslo, |progress| {
                if progress.elapsed > Duration::from_secs(2) {
                    seen.insert(ports(progress));
                }
            })
            .unwrap()
        });
        let mut last = BTreeMap::new();
        let outcome = transfer::run(&Transfer::of(50), nara, tainan, |progress| {
            let tenths = tenths(progress);
            link.blackhole((30..70).contains(&tenths));
            last = by_source(progress);
        })
        .unwrap();
        let other = other.join().unwrap();
        println!(
            "the other peer's connection: longest stall {:?}",
            other.longest_stall()
        );
        assert!(
            outcome.intact && other.intact,
            "the data came out different"
        );
        assert_eq!(last, one_per_path(nara), "subflows after the repair");
    });
    assert_eq!(seen.len(), 1, "the other peer's subflows changed: {seen:?}");
}

#[test]
fn a_daemon_that_is_killed_and_started_again_keeps_its_connections_and_heals_what_died_meanwhile() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let mut daemon = lab.sites[0].daemon.take();
    let (nara, tainan) = (&lab.sites[0], &lab.sites[1]);
    let link = nara.links[2].clone();
    let (mut last, mut again) = (BTreeMap::new(), None);
    let outcome = transfer::run(&Transfer::of(90), nara, tainan, |progress| {
        let tenths = tenths(progress);
        link.blackhole((20..70).contains(&tenths));
        if tenths >= 30
            && let Some(daemon) = daemon.take()
        {
            daemon.kill().unwrap();
            again = Some(nara.home.start().unwrap());
        }
        last = by_source(progress);
    })
    .unwrap();
    println!(
        "killed and started again: longest stall {:?}",
        outcome.longest_stall()
    );
    assert!(outcome.intact, "the data came out different");
    assert!(
        outcome.longest_stall() <= Duration::from_secs(5),
        "it stood still"
    );
    assert_eq!(last, one_per_path(nara), "subflows at the end");
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn the_kernel_s_own_path_manager_is_healed_by_renewed_endpoints() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::new(2, &isps(), Family::V4, "path_manager = \"kernel\"").unwrap();
    lab.start().unwrap();
    let (nara, tainan) = (&lab.sites[0], &lab.sites[1]);
    let status = nara.home.status().unwrap();
    assert_eq!(status.site.path_manager, "kernel");
    let link = nara.links[1].clone();
    let (mut last, mut least) = (BTreeMap::new(), 3);
    let outcome = transfer::run(&Transfer::of(90), nara, tainan, |progress| {
        let tenths = tenths(progress);
        link.blackhole((30..70).contains(&tenths));
        last = by_source(progress);
        if tenths > 30 {
            least = least.min(last.len());
        }
    })
    .unwrap();
    println!("longest stall {:?}", outcome.longest_stall());
    assert!(outcome.intact, "the data came out different");
    assert_eq!(least, 2, "the dead path's subflow was not destroyed");
    assert_eq!(last, one_per_path(nara), "subflows after the repair");
}
