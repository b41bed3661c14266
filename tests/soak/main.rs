//! Half an hour under a rain of faults of every kind, from a printed seed, with one transfer all
//! the while: it must end intact, with one subflow per path, and with nothing left behind.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a soak lives by the clock, and fails loudly"
)]

mod faults;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use lab::daemon::Daemon;
use lab::held::{self, resident};
use lab::outage::{by_source, one_per_path};
use lab::transfer::{self, Outcome, Transfer};
use lab::{Isp, Lab};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use faults::{Fault, Victim};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// The same seed, the same faults.
    #[arg(long)]
    seed: Option<u64>,
}

/// How the faults go: one after the other, sometimes two at once.
struct Rain {
    random: ChaCha8Rng,
    /// What is to be repaired, and when.
    open: Vec<(Duration, Fault)>,
    next: Duration,
    counts: BTreeMap<String, u32>,
}

impl Rain {
    fn fall(&mut self, victim: &mut Victim<'_>, now: Duration) -> std::io::Result<()> {
        if now < self.next || self.open.len() > 1 {
            return Ok(());
        }
        let fault = Fault::random(&mut self.random);
        let kind = |fault: &Fault| std::mem::discriminant(fault);
        let collides = |(_, other): &(Duration, Fault)| kind(other) == kind(&fault);
        if !self.open.iter().any(collides) {
            let name = format!("{fault:?}");
            let name = name.split('(').next().unwrap_or_default().to_owned();
            *self.counts.entry(name).or_insert(0) += 1;
            victim.set(fault, true)?;
            let repaired = now + self.time(200, 8000);
            self.open.push((repaired, fault));
        }
        self.next = now + self.time(500, 6000);
        Ok(())
    }

    fn time(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + u64::from(self.random.next_u32()) % (most - least))
    }

    /// Repairs what is due at `now`.
    fn clear(&mut self, victim: &mut Victim<'_>, now: Duration) -> std::io::Result<()> {
        let due: Vec<_> = self.open.extract_if(.., |(at, _)| *at <= now).collect();
        due.into_iter()
            .try_for_each(|(_, fault)| victim.set(fault, false))
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    lab::enter::check().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let seed = arguments
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}, {} minutes", arguments.minutes);
    let mut lab = Lab::two_sites(&[Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)])?;
    lab.start()?;
    let daemon = lab.sites[0].daemon.take();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let mut victim = Victim::new(&lab, daemon);
    // Written down once, the pairs stay so.
    victim.set(Fault::Removal, true)?;
    victim.set(Fault::Removal, false)?;
    here.home.wait_until_all_up();
    // Of the victim, whose daemon changes, what it holds in the kernel.
    let before = held::both(&lab.sites);
    let memory = || resident(there.daemon.as_ref().map_or(0, Daemon::pid));
    let small = memory();
    let rain_for = Duration::from_secs(arguments.minutes * 60);
    let (outcome, subflows) = rain(&mut victim, seed, rain_for)?;
    let status = here.home.status()?;
    println!(
        "{:.1} Mbit/s over {:?}, longest stall {:?}; {:?}; repairs {:?}",
        outcome.rate(),
        outcome.duration,
        outcome.longest_stall(),
        status.site.healing,
        status.site.repairs
    );
    ensure!(outcome.intact, "the data came out different");
    let early = outcome.duration < rain_for;
    ensure!(!early, "the transfer ended before the rain");
    ensure!(
        subflows == one_per_path(here),
        "subflows at the end: {subflows:?}"
    );
    here.home.wait_until_all_up();
    let large = memory();
    println!("held {before:?}; memory {small} KiB at first and {large} now");
    let more = held::left_behind(&lab.sites, &before);
    ensure!(more.is_none(), "left behind: {more:?}");
    ensure!(large < small + 8192, "the memory has grown");
    ensure!(lab.cleartext().is_empty(), "cleartext at an ISP");
    println!("intact, one subflow per path, nothing left behind");
    Ok(())
}

/// Moves data while faults rain on the opener's site, and then until the data is through.
fn rain(
    victim: &mut Victim<'_>,
    seed: u64,
    rain_for: Duration,
) -> anyhow::Result<(Outcome, BTreeMap<IpAddr, u32>)> {
    let (here, there) = (&victim.lab.sites[0], &victim.lab.sites[1]);
    let mut rain = Rain {
        random: ChaCha8Rng::seed_from_u64(seed),
        open: Vec::new(),
        next: Duration::from_secs(3),
        counts: BTreeMap::new(),
    };
    let (mut last, mut failed, mut told) = (BTreeMap::new(), None, 0);
    // More than passes while it rains: there is a dry end, in which all paths come back.
    let transfer = Transfer::of(rain_for.as_secs() * 5 + 600);
    let outcome = transfer::run(&transfer, here, there, |progress| {
        let now = progress.elapsed;
        let rains = now < rain_for;
        let mut done = rain.clear(victim, if rains { now } else { Duration::MAX });
        if done.is_ok() && rains {
            done = rain.fall(victim, now);
        }
        failed = failed.take().or(done.err());
        last = by_source(progress);
        if now.as_secs() / 60 > told {
            told = now.as_secs() / 60;
            let (megabytes, counts) = (progress.bytes / 1_000_000, &rain.counts);
            println!("{told} min, {megabytes} MB; subflows {last:?}; {counts:?}");
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    Ok((outcome, last))
}
