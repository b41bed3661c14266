//! Paths that die and come back under a running transfer: it goes on at once over those that are
//! left, and is back on all of them soon after the repair.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use lab::laboratory::Family;
use lab::programs::lab_can_run;
use lab::transfer::{self, Outcome, Progress, Transfer};
use lab::{Isp, Lab, Site};

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
