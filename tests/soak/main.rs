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
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use lab::daemon::Daemon;
use lab::held::{held, resident};
use lab::outage::{by_source, one_per_path};
use lab::transfer::{self, Transfer};
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
    let route = |link: u8| {
        here.namespace()
            .shell(&format!("ip route show default dev isp{link}"))
    };
    let routes = (1..=3).map(|link| route(link).trim().to_owned()).collect();
    let mut victim = Victim {
        lab: &lab,
        daemon,
        routes,
    };
    // Written down once, the pairs stay so.
    victim.set(Fault::Removal, true)?;
    victim.set(Fault::Removal, false)?;
    here.home.wait_until_all_up();
    let pid = there.daemon.as_ref().map_or(0, Daemon::pid);
    // Of the victim, whose daemon changes, what it holds in the kernel.
    let look = || (held(here), held(there), resident(pid));
    let before = look();
    let mut rain = Rain {
        random: ChaCha8Rng::seed_from_u64(seed),
        open: Vec::new(),
        next: Duration::from_secs(3),
        counts: BTreeMap::new(),
    };
    let rain_for = Duration::from_secs(arguments.minutes * 60);
    let (mut last, mut failed, mut told) = (BTreeMap::new(), None, 0);
    // More than passes while it rains: there is a dry end, in which all paths come back.
    let transfer = Transfer::of(arguments.minutes * 60 * 5 + 600);
    let outcome = transfer::run(&transfer, here, there, |progress| {
        let now = progress.elapsed;
        let until = if now < rain_for { now } else { Duration::MAX };
        let done = rain.clear(&mut victim, until);
        let done = done.and_then(|()| match until {
            Duration::MAX => Ok(()),
            now => rain.fall(&mut victim, now),
        });
        failed = failed.take().or(done.err());
        last = by_source(progress);
        if now.as_secs() / 60 > told {
            told = now.as_secs() / 60;
            let (megabytes, counts) = (progress.bytes / 1_000_000, &rain.counts);
            println!("{told} min, {megabytes} MB; subflows {last:?}; {counts:?}");
        }
    })?;
    failed.map_or(Ok(()), Err)?;
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
    ensure!(
        outcome.duration >= rain_for,
        "the transfer ended before the rain"
    );
    ensure!(last == one_per_path(here), "subflows at the end: {last:?}");
    here.home.wait_until_all_up();
    let after = look();
    println!("held at first {before:?}, and now {after:?}");
    let same = (&before.0, &before.1) == (&after.0, &after.1);
    ensure!(same, "something is left behind");
    ensure!(after.2 < before.2 + 8192, "the memory has grown");
    ensure!(lab.cleartext().is_empty(), "cleartext at an ISP");
    println!("intact, one subflow per path, nothing left behind");
    Ok(())
}
