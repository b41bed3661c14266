//! Paths that die and come back under a running transfer: it goes on at once over those that are
//! left, and is back on all of them soon after the repair.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use lab::laboratory::Family;
use lab::programs::lab_can_run;
use lab::transfer::{self, Outcome, Progress, Transfer};
use lab::{Isp, Lab, Site};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// 60 Mbit/s together.
fn isps() -> Vec<Isp> {
    vec![Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]
}

/// When the path dies and when it is repaired, in tenths of a second.
const DEATH: usize = 30;
const REPAIR: usize = 90;

/// Established subflows by the opener's address, of one moment.
fn by_source(progress: &Progress) -> BTreeMap<IpAddr, u32> {
    let mut counts = BTreeMap::new();
    for subflow in progress.subflows.iter().filter(|s| s.established) {
        *counts.entry(subflow.source).or_insert(0) += 1;
    }
    counts
}

fn mbit(timeline: &[u64]) -> f64 {
    let bytes: u64 = timeline.iter().sum();
    bytes as f64 * 8.0 / 1e6 / (timeline.len().max(1) as f64 * 0.1)
}

/// Longest run of empty tenths between two moments.
fn stall(timeline: &[u64]) -> Duration {
    let runs = timeline.split(|bytes| *bytes > 0).map(<[u64]>::len);
    Duration::from_millis(100) * u32::try_from(runs.max().unwrap_or(0)).unwrap()
}

/// Tenths of a second from the repair until a second's rate is nine tenths of the one before the
/// death; `None`: never.
fn full_after(timeline: &[u64]) -> Option<usize> {
    let before = mbit(timeline.get(DEATH - 15..DEATH)?);
    let seconds = timeline.get(REPAIR..)?.windows(10);
    seconds.map(mbit).position(|rate| rate >= 0.9 * before)
}

fn dies_and_returns(lab: &Lab, path: usize, transfer: &Transfer) -> Outcome {
    let (opener, acceptor) = (&lab.sites[0], &lab.sites[1]);
    let link = opener.links[path - 1].clone();
    let mut last = BTreeMap::new();
    let mut seen = Vec::new();
    let outcome = transfer::run(transfer, opener, acceptor, |progress| {
        let tenths = usize::try_from(progress.elapsed.as_millis() / 100).unwrap();
        match tenths {
            DEATH..REPAIR => link.blackhole(true),
            _ => link.blackhole(false),
        }
        let now = by_source(progress);
        if now != last {
            seen.push((tenths, now.values().copied().collect::<Vec<_>>()));
            last = now;
        }
    })
    .unwrap();
    assert!(outcome.intact, "the data came out different");
    let timeline = &outcome.timeline;
    println!(
        "path {path}, opener sends {}: before {:.1}, in the outage {:.1}, after {:.1} Mbit/s; longest stall in the outage {:?}, \
         after it {:?}; full {:?} tenths after the repair; subflows {seen:?}",
        transfer.opener_sends,
        mbit(&timeline[DEATH - 15..DEATH]),
        mbit(&timeline[DEATH + 20..REPAIR]),
        mbit(&timeline[REPAIR + 30..]),
        stall(&timeline[DEATH..REPAIR]),
        stall(&timeline[REPAIR..]),
        full_after(timeline),
    );
    assert_eq!(
        last,
        one_per_path(opener),
        "one subflow per path after the repair"
    );
    for site in &lab.sites {
        println!(
            "{}: {:?}",
            site.name,
            site.home.status().unwrap().site.healing
        );
    }
    outcome
}

fn one_per_path(opener: &Site) -> BTreeMap<IpAddr, u32> {
    let paths = u8::try_from(opener.links.len()).unwrap();
    (1..=paths)
        .map(|path| (opener.overlay_address(Family::V4, path), 1))
        .collect()
}

#[test]
fn a_path_that_dies_and_returns_is_used_again_by_a_connection_that_was_open() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    for path in 1..=3 {
        for opener_sends in [true, false] {
            dies_and_returns(
                &lab,
                path,
                &Transfer {
                    opener_sends,
                    ..Transfer::of(90)
                },
            );
        }
    }
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
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
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (opener, acceptor) = (&lab.sites[0], &lab.sites[1]);
    let (mut flaps, mut next, mut dead) = (0, 20, false);
    let mut last = BTreeMap::new();
    let outcome = transfer::run(&Transfer::of(160), opener, acceptor, |progress| {
        let tenths = progress.elapsed.as_millis() / 100;
        if tenths >= next && flaps < 20 {
            dead = !dead;
            next = tenths + 2 + u128::from(random.next_u32() % 10);
            if dead {
                let path = random.next_u32() as usize % 3;
                opener.links[path].blackhole(true);
                flaps += 1;
            } else {
                opener.links.iter().for_each(|link| link.blackhole(false));
            }
        } else if flaps == 20 && tenths >= next {
            opener.links.iter().for_each(|link| link.blackhole(false));
        }
        last = by_source(progress);
    })
    .unwrap();
    let healing = opener.home.status().unwrap().site.healing;
    println!(
        "{flaps} flaps, {:.1} Mbit/s, longest stall {:?}, {healing:?}",
        outcome.rate(),
        outcome.longest_stall()
    );
    assert!(outcome.intact, "the data came out different");
    assert_eq!(flaps, 20, "the transfer ended before the flaps");
    assert_eq!(last, one_per_path(opener), "subflows at the end");
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
            let tenths = progress.elapsed.as_millis() / 100;
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
        let tenths = progress.elapsed.as_millis() / 100;
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
        let tenths = progress.elapsed.as_millis() / 100;
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
