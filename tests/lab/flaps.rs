//! Paths that die and return again and again under a transfer, at random, from a seed.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::laboratory::Lab;
use crate::outage::{by_source, tenths};
use crate::transfer::{self, Outcome, Progress, Transfer};

/// What passes between two flaps of 60 Mbit/s, and then some.
const MEGABYTES: u64 = 8;

/// What became of a transfer with flaps.
#[derive(Clone, Debug)]
pub struct Flapped {
    /// How often a path died.
    pub flaps: usize,
    pub outcome: Outcome,
    /// Established subflows by the opener's address, at the end.
    pub subflows: BTreeMap<IpAddr, u32>,
}

/// Moves data from the lab's first site to its second while one random path after the other falls
/// silent for 0.2 to 1.2 s, `times` in all. `dry` seconds without any follow.
pub fn run(lab: &Lab, times: usize, seed: u64, dry: u64) -> io::Result<Flapped> {
    let links = &lab.sites[0].links;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut flaps, mut next, mut dead) = (0, 20, false);
    let mut subflows = BTreeMap::new();
    let during = |progress: &Progress| {
        let now = tenths(progress);
        if now >= next && (dead || flaps < times) {
            dead = !dead;
            next = now + 2 + random.next_u32() as usize % 10;
            if dead {
                links[random.next_u32() as usize % links.len()].blackhole(true);
                flaps += 1;
            } else {
                links.iter().for_each(|link| link.blackhole(false));
            }
        }
        subflows = by_source(progress);
    };
    let rate: u64 = lab.isps.iter().map(|isp| isp.rate).sum();
    let transfer = Transfer::of(MEGABYTES * times as u64 + dry * rate / 8);
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], during)?;
    Ok(Flapped {
        flaps,
        outcome,
        subflows,
    })
}
