//! The bench of survival: each kind of fault many times under a transfer over three unequal paths,
//! and what the application saw of it. A bench, not a test: no figure is asserted.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench lives by the clock, and fails loudly"
)]

mod events;
mod table;

use std::time::Duration;

use clap::Parser;
use lab::Isp;
use lab::outage::{Outage, Seen};
use lab::second_link::compare;

#[derive(Debug, Parser)]
struct Arguments {
    /// How often each fault happens; what takes a minute happens less often.
    #[arg(long, default_value_t = 20)]
    repeat: usize,
    /// Seconds of the outage of all paths together.
    #[arg(long, default_value_t = 60)]
    nothing: usize,
    /// Seconds of each comparison with a harmful second link.
    #[arg(long, default_value_t = 40)]
    harm: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    lab::enter::check().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    faults(&arguments)?;
    second_links(&arguments)?;
    neighbours(&arguments)
}

fn faults(arguments: &Arguments) -> anyhow::Result<()> {
    let lab = events::lab()?;
    let times = arguments.repeat;
    table::head();
    for path in 1..=3 {
        let seen = repeat(times, || events::silence(&[path], Outage::SHORT))?;
        let left = 1.0 - lab.isps[path - 1].rate as f64 / 60.0;
        let event = format!("path {path} silent for 6 s");
        table::row(&lab, &event, &seen, left, Seen::stall);
    }
    let seen = repeat(times, events::device_down)?;
    table::row(
        &lab,
        "device of path 1 down for 6 s",
        &seen,
        0.5,
        Seen::stall,
    );
    let seen = repeat(times, events::restart)?;
    table::row(&lab, "`kill -9` and start", &seen, 1.0, Seen::stall);
    let nothing = Outage {
        death: 30,
        repair: 30 + arguments.nothing * 10,
    };
    let seen = repeat(times.div_ceil(4), || events::silence(&[1, 2, 3], nothing))?;
    let resumed = |seen: &Seen| seen.resumed_after().unwrap_or(Duration::MAX);
    let event = format!("all silent for {} s; data again after", arguments.nothing);
    table::row(&lab, &event, &seen, f64::INFINITY, resumed);
    Ok(())
}

fn second_links(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "\n| second link beside 60 Mbit/s, 20 ms | control | times | total ÷ first alone, settled: median / least | from the beginning: median | left aside |"
    );
    println!("| --- | --- | --: | --: | --: | --: |");
    let far = Isp::new(3, 220);
    let links = [
        ("3 Mbit/s, 220 ms", far),
        ("3 Mbit/s, 220 ms, 3 % lost", far.with_loss(0.03)),
        (
            "20 Mbit/s, 60 ms, 5 % lost",
            Isp::new(20, 60).with_loss(0.05),
        ),
        ("30 Mbit/s, 80 ms", Isp::new(30, 80)),
    ];
    for (name, second) in links {
        for control in ["cubic", "bbr"] {
            let times = arguments.repeat.div_ceil(4);
            let seen = repeat(times, || compare(second, control, arguments.harm))?;
            let aside = seen.iter().filter(|one| one.reserve.is_some()).count();
            let mut settled: Vec<_> = seen.iter().map(|one| one.settled).collect();
            let mut whole: Vec<_> = seen.iter().map(|one| one.from_the_beginning).collect();
            settled.sort_by(f64::total_cmp);
            whole.sort_by(f64::total_cmp);
            println!(
                "| {name} | {control} | {times} | {:.2} / {:.2} | {:.2} | {aside} |",
                settled[times / 2],
                settled[0],
                whole[times / 2]
            );
        }
    }
    Ok(())
}

fn neighbours(arguments: &Arguments) -> anyhow::Result<()> {
    let mut stalls = repeat(arguments.repeat.div_ceil(4), events::neighbour)?;
    stalls.sort();
    println!(
        "\nOf three sites one loses a path: the longest stall of the other's connection, median {:?}, worst {:?} (in steps of 100 ms).",
        stalls[stalls.len() / 2],
        stalls[stalls.len() - 1]
    );
    Ok(())
}

fn repeat<T>(
    times: usize,
    mut once: impl FnMut() -> std::io::Result<T>,
) -> std::io::Result<Vec<T>> {
    (0..times).map(|_| once()).collect()
}
