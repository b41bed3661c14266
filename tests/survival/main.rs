//! The bench of survival: each kind of fault many times under a transfer over three unequal paths,
//! and what the application saw of it. A bench, not a test: no figure is asserted.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench lives by the clock, and fails loudly"
)]

use std::time::Duration;

use clap::Parser;
use lab::outage::{self, Outage, Seen, one_per_path};
use lab::transfer::Transfer;
use lab::{Isp, Lab};

#[derive(Debug, Parser)]
struct Arguments {
    /// How often each fault happens.
    #[arg(long, default_value_t = 20)]
    repeat: usize,
    /// Seconds of the outage of all paths together.
    #[arg(long, default_value_t = 60)]
    nothing: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    lab::enter::check().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let mut lab = Lab::two_sites(&[Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)])?;
    lab.start()?;
    println!(
        "| event | times | longest stall p50 / p95 / worst, s | rate ÷ what is left | full rate again p50 / p95, s | subflows = paths | intact |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    for path in 1..=3 {
        let short = || outage::of_paths(&lab, &Transfer::of(90), Outage::SHORT, &[path]);
        let seen = repeat(arguments.repeat, short)?;
        let left = 1.0 - lab.isps[path - 1].rate as f64 / 60.0;
        row(
            &lab,
            &format!("path {path} silent for 6 s"),
            &seen,
            left,
            Seen::stall,
        );
    }
    let seen = repeat(arguments.repeat, || restarted(&mut lab))?;
    row(&lab, "`kill -9` and start", &seen, 1.0, Seen::stall);
    let outage = Outage {
        death: 30,
        repair: 30 + arguments.nothing * 10,
    };
    let nothing = || outage::of_paths(&lab, &Transfer::of(120), outage, &[1, 2, 3]);
    let seen = repeat(arguments.repeat.div_ceil(4), nothing)?;
    let resumed = |seen: &Seen| seen.resumed_after().unwrap_or(Duration::MAX);
    let event = format!("all silent for {} s; data again after", arguments.nothing);
    row(&lab, &event, &seen, f64::INFINITY, resumed);
    Ok(())
}

fn repeat(
    times: usize,
    mut once: impl FnMut() -> std::io::Result<Seen>,
) -> std::io::Result<Vec<Seen>> {
    (0..times).map(|_| once()).collect()
}

/// The opener's daemon is killed and started again in mid-transfer.
fn restarted(lab: &mut Lab) -> std::io::Result<Seen> {
    let mut daemon = lab.sites[0].daemon.take();
    let home = lab.sites[0].home.clone();
    let seen = outage::run(lab, &Transfer::of(60), Outage::SHORT, |now| {
        if now && let Some(old) = daemon.take() {
            old.kill().unwrap();
            daemon = Some(home.start().unwrap());
        }
    });
    lab.sites[0].daemon = daemon;
    lab.sites[0].home.wait_until_all_up();
    seen
}

fn row(lab: &Lab, event: &str, seen: &[Seen], left: f64, time: impl Fn(&Seen) -> Duration) {
    let seconds = |times: &[Duration], share| quantile(times, share).as_secs_f64();
    let stalls = sorted(seen.iter().map(&time));
    let full = sorted(seen.iter().filter_map(Seen::full_after));
    let mut shares: Vec<_> = seen
        .iter()
        .map(|s| s.during() / (s.before() * left))
        .collect();
    shares.sort_by(f64::total_cmp);
    let whole = seen
        .iter()
        .filter(|s| s.subflows == one_per_path(&lab.sites[0]));
    let intact = seen.iter().filter(|s| s.outcome.intact).count();
    println!(
        "| {event} | {} | {:.1} / {:.1} / {:.1} | {:.2} | {:.1} / {:.1} | {} | {intact} |",
        seen.len(),
        seconds(&stalls, 50),
        seconds(&stalls, 95),
        seconds(&stalls, 100),
        shares[shares.len() / 2],
        seconds(&full, 50),
        seconds(&full, 95),
        whole.count(),
    );
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times
}

/// Of a hundred, the one that so many do not exceed.
fn quantile(sorted: &[Duration], share: usize) -> Duration {
    let place = (sorted.len() * share).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(Duration::MAX)
}
