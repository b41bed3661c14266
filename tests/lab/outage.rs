//! A transfer during which something dies and is repaired, and what the application saw of it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::laboratory::{Family, Lab, Site};
use crate::transfer::{self, BUCKET, Outcome, Progress, Transfer, longest_stall};

/// When it dies and when it is repaired, in tenths of a second since the start.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub death: usize,
    pub repair: usize,
}

impl Outage {
    /// Six seconds, after three of health.
    pub const SHORT: Self = Self {
        death: 30,
        repair: 90,
    };

    pub fn holds(self, progress: &Progress) -> bool {
        (self.death..self.repair).contains(&tenths(progress))
    }
}

/// Tenths of a second since the start.
pub fn tenths(progress: &Progress) -> usize {
    (progress.elapsed.as_millis() / 100) as usize
}

/// What became of a transfer with an outage.
#[derive(Clone, Debug)]
pub struct Seen {
    pub outage: Outage,
    pub outcome: Outcome,
    /// Each change of the established subflows: tenths of a second, and how many of each path.
    pub changes: Vec<(usize, Vec<u32>)>,
    /// Established subflows by the opener's address, at the end.
    pub subflows: BTreeMap<IpAddr, u32>,
}

/// Established subflows by the opener's address, of one moment.
pub fn by_source(progress: &Progress) -> BTreeMap<IpAddr, u32> {
    let mut counts = BTreeMap::new();
    for subflow in progress.subflows.iter().filter(|s| s.established) {
        *counts.entry(subflow.source).or_insert(0) += 1;
    }
    counts
}

/// What [`by_source`] should tell.
pub fn one_per_path(opener: &Site) -> BTreeMap<IpAddr, u32> {
    let paths = 1..=opener.links.len() as u8;
    paths
        .map(|path| (opener.overlay_address(Family::V4, path), 1))
        .collect()
}

/// Moves data from the lab's first site to its second. `set`: the fault comes, or is repaired.
pub fn run(
    lab: &Lab,
    transfer: &Transfer,
    outage: Outage,
    mut set: impl FnMut(bool),
) -> io::Result<Seen> {
    let (mut changes, mut last, mut holds) = (Vec::new(), BTreeMap::new(), false);
    let outcome = transfer::run(transfer, &lab.sites[0], &lab.sites[1], |progress| {
        if outage.holds(progress) != holds {
            holds = !holds;
            set(holds);
        }
        let now = by_source(progress);
        if now != last {
            changes.push((tenths(progress), now.values().copied().collect()));
            last = now;
        }
    })?;
    Ok(Seen {
        outage,
        outcome,
        changes,
        subflows: last,
    })
}

/// A silent blackhole of some paths, both ways.
pub fn of_paths(
    lab: &Lab,
    transfer: &Transfer,
    outage: Outage,
    paths: &[usize],
) -> io::Result<Seen> {
    run(lab, transfer, outage, |dead| {
        let links = paths.iter().map(|path| &lab.sites[0].links[path - 1]);
        links.for_each(|link| link.blackhole(dead));
    })
}

impl Seen {
    /// Mbit/s in the second and a half before the death.
    pub fn before(&self) -> f64 {
        let death = self.outage.death;
        mbit(&self.outcome.timeline[death - 15..death])
    }

    /// Mbit/s in the outage, but for its first two seconds.
    pub fn during(&self) -> f64 {
        let Outage { death, repair } = self.outage;
        mbit(&self.outcome.timeline[death + 20..repair])
    }

    /// The application's longest stall since the death.
    pub fn stall(&self) -> Duration {
        longest_stall(&self.outcome.timeline[self.outage.death..])
    }

    /// From the repair until data came again.
    pub fn resumed_after(&self) -> Option<Duration> {
        let after = self.outcome.timeline.get(self.outage.repair..)?;
        let first = after.iter().position(|bytes| *bytes > 0)?;
        Some(BUCKET * first as u32)
    }

    /// From the repair until a second that has nine tenths of the rate before the death.
    pub fn full_after(&self) -> Option<Duration> {
        let mut seconds = self.outcome.timeline.get(self.outage.repair..)?.windows(10);
        let first = seconds.position(|second| mbit(second) >= 0.9 * self.before())?;
        Some(BUCKET * first as u32)
    }
}

fn mbit(timeline: &[u64]) -> f64 {
    let bytes: u64 = timeline.iter().sum();
    bytes as f64 * 8.0 / 1e6 / (timeline.len().max(1) as f64 * BUCKET.as_secs_f64())
}
