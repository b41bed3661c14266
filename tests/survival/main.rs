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

use clap::{Parser, ValueEnum};
use lab::outage::{Outage, Seen};
use lab::second_link::{compare, compare_one_bottleneck};
use lab::{Isp, edits, flaps, held, idle};

/// What can be asked for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What it costs when nothing happens.
    Idle,
    /// Paths that fall silent, one at a time.
    Silence,
    /// A device that goes down.
    Device,
    /// A daemon that is killed.
    Restart,
    /// All paths at once.
    Nothing,
    /// Flaps and reloads for minutes.
    Lasting,
    /// What a third site notices.
    Neighbours,
    /// A second link that may do harm.
    SecondLinks,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// Only these parts; otherwise all.
    parts: Vec<Part>,
    /// How often each fault happens; neighbours and second links are looked at a quarter as often.
    #[arg(long, default_value_t = 20)]
    repeat: usize,
    /// Seconds of the outage of all paths together.
    #[arg(long, default_value_t = 60)]
    nothing: usize,
    /// Seconds of each comparison with a harmful second link.
    #[arg(long, default_value_t = 40)]
    harm: u64,
    /// Flaps of random paths in one transfer.
    #[arg(long, default_value_t = 200)]
    flaps: usize,
    /// How often a path is taken out of the fleet file and put back in one transfer.
    #[arg(long, default_value_t = 50)]
    reloads: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    lab::enter::check().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let parts = match arguments.parts.as_slice() {
        [] => Part::value_variants(),
        some => some,
    };
    parts.iter().try_for_each(|part| match part {
        Part::Idle => idle(),
        Part::Silence => silence(&arguments),
        Part::Device => device(&arguments),
        Part::Restart => restart(&arguments),
        Part::Nothing => nothing(&arguments),
        Part::Lasting => lasting(&arguments),
        Part::Neighbours => neighbours(&arguments),
        Part::SecondLinks => second_links(&arguments),
    })
}

fn idle() -> anyhow::Result<()> {
    let lab = events::lab()?;
    std::thread::sleep(Duration::from_secs(8));
    let cost = idle::cost(&lab.sites[0], Duration::from_secs(30))?;
    println!(
        "Idle, 1 peer and 3 paths: {:.2} % of a core; bit/s on each path, both ways: {:.0?}.\n",
        cost.processor * 100.0,
        cost.bits_per_second
    );
    Ok(())
}

/// What goes on for minutes under one transfer.
fn lasting(arguments: &Arguments) -> anyhow::Result<()> {
    let lab = events::lab()?;
    let seed = u64::from(std::process::id());
    let seen = flaps::run(&lab, arguments.flaps, seed, 70)?;
    let what = format!("\n{} flaps of random paths, seed {seed}", seen.flaps);
    table::line(&lab, &what, &seen.outcome, &seen.subflows);

    let lab = events::lab()?;
    edits::path_three(&lab, false)?;
    edits::path_three(&lab, true)?;
    lab.sites[0].home.wait_until_all_up();
    let before = held::both(&lab.sites);
    let seen = edits::run(&lab, arguments.reloads)?;
    let what = format!("\n{} reloads that remove a path or add it", seen.reloads);
    table::line(&lab, &what, &seen.outcome, &seen.subflows);
    lab.sites[0].home.wait_until_all_up();
    match held::left_behind(&lab.sites, &before) {
        None => println!("left behind: nothing"),
        Some(more) => println!("LEFT BEHIND: {more:?}, before {before:?}"),
    }
    Ok(())
}

fn silence(arguments: &Arguments) -> anyhow::Result<()> {
    let lab = events::lab()?;
    table::head();
    for path in 1..=3 {
        let seen = repeat(arguments.repeat, || events::silence(&[path], Outage::SHORT))?;
        let left = 1.0 - lab.isps[path - 1].rate as f64 / 60.0;
        let event = format!("path {path} silent for 6 s");
        table::row(&lab, &event, &seen, left, Seen::stall);
    }
    Ok(())
}

fn device(arguments: &Arguments) -> anyhow::Result<()> {
    let seen = repeat(arguments.repeat, events::device_down)?;
    table::head();
    let event = "device of path 1 down for 6 s";
    table::row(&events::lab()?, event, &seen, 0.5, Seen::stall);
    Ok(())
}

fn restart(arguments: &Arguments) -> anyhow::Result<()> {
    let seen = repeat(arguments.repeat, events::restart)?;
    table::head();
    table::row(
        &events::lab()?,
        "`kill -9` and start",
        &seen,
        1.0,
        Seen::stall,
    );
    Ok(())
}

fn nothing(arguments: &Arguments) -> anyhow::Result<()> {
    let lab = events::lab()?;
    let nothing = Outage {
        death: 30,
        repair: 30 + arguments.nothing * 10,
    };
    let times = arguments.repeat;
    table::head();
    let seen = repeat(times, || events::silence(&[1, 2, 3], nothing))?;
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
    let (times, seconds) = (arguments.repeat.div_ceil(4), arguments.harm);
    for control in ["cubic", "bbr"] {
        for (name, second) in links {
            let seen = repeat(times, || compare(second, control, seconds))?;
            table::second_link(name, control, &seen);
        }
        let seen = repeat(times, || compare_one_bottleneck(control, seconds))?;
        table::second_link("the same 60 Mbit/s, shared", control, &seen);
    }
    Ok(())
}

fn neighbours(arguments: &Arguments) -> anyhow::Result<()> {
    let seen = repeat(arguments.repeat.div_ceil(4), events::neighbour)?;
    println!("\nOf three sites one loses a path; the other's connection waited for data, at most:");
    for (when, which) in [("before that", 0), ("since then", 1)] {
        let mut waits: Vec<_> = seen.iter().map(|waits| waits[which].as_millis()).collect();
        waits.sort_unstable();
        let (median, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        println!(
            "{when}: median {median} ms, worst {worst} ms, of {}",
            waits.len()
        );
    }
    Ok(())
}

fn repeat<T>(
    times: usize,
    mut once: impl FnMut() -> std::io::Result<T>,
) -> std::io::Result<Vec<T>> {
    (0..times).map(|_| once()).collect()
}
