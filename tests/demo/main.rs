//! `cargo demo`: the main job before your eyes. Two sites with three unequal ISPs on this
//! machine, the real daemons, one connection over one ISP, then one over all of them, with an ISP
//! that dies in the middle and comes back.

#![allow(
    clippy::disallowed_methods,
    reason = "the demo builds the daemon before it shows it"
)]

mod bars;
mod table;

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail};
use lab::transfer::{self, Outcome, Transfer};
use lab::{Isp, Lab, enter};

use bars::Bars;

/// Rate in Mbit/s and round trip in milliseconds.
const ISPS: [(u64, u64); 3] = [(100, 10), (50, 30), (20, 80)];
/// The ISP that dies, and when, in the transfer over all.
const VICTIM: usize = 1;
const DIES: Duration = Duration::from_secs(4);
const BACK: Duration = Duration::from_secs(7);

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("the demo cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show() -> anyhow::Result<()> {
    if let Err(missing) = enter::enter() {
        bail!("{missing}");
    }
    build()?;
    let isps = ISPS.map(|(rate, round_trip)| Isp::new(rate, round_trip));
    let guard = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let guard = std::env::split_paths(&guard).any(|folder| folder.join("nft").exists());
    if !guard {
        anstream::println!("nft is not installed: the leak guard is off in this demo");
    }
    let top = if guard { "" } else { "leak_guard = false" };
    let mut lab = Lab::new(2, &isps, lab::laboratory::Family::V4, top)?;
    anstream::println!("two sites, nara and tainan, and three ISPs between them:");
    for (number, (rate, round_trip)) in (1..).zip(ISPS) {
        anstream::println!("  isp{number}  {rate:>3} Mbit/s  {round_trip:>2} ms");
    }
    anstream::println!("starting both daemons …");
    lab.start()?;
    let one = one_isp(&lab)?;
    let all = all_isps(&lab)?;
    anstream::print!("{}", table::render(&one, &all, &ISPS.map(|(rate, _)| rate)));
    if !(one.intact && all.intact) {
        bail!("the data came out different");
    }
    Ok(())
}

/// The daemon and the CLI, with the cargo that runs this.
fn build() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "build",
        "--quiet",
        "--package",
        "pathweaved",
        "--package",
        "pathweave",
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let built = Command::new(cargo)
        .args(arguments)
        .current_dir(folder)
        .status();
    if !built.context("cargo cannot be run")?.success() {
        bail!("the daemon does not build");
    }
    Ok(())
}

fn one_isp(lab: &Lab) -> anyhow::Result<Outcome> {
    anstream::println!("\na file of 60 MB by plain TCP, over the best ISP:");
    let transfer = Transfer {
        mptcp: false,
        ..Transfer::of(60)
    };
    let mut bars = Bars::new(&["isp1"], transfer.bytes);
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |progress| {
        bars.one(progress);
    })?;
    bars.finish();
    Ok(outcome)
}

fn all_isps(lab: &Lab) -> anyhow::Result<Outcome> {
    let names: Vec<String> = (1..=ISPS.len())
        .map(|number| format!("isp{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    anstream::println!("\na file of 220 MB by one MPTCP connection, over all ISPs:");
    let transfer = Transfer {
        port: 7001,
        ..Transfer::of(220)
    };
    let mut bars = Bars::new(&names, transfer.bytes);
    let victim = &lab.sites[0].links[VICTIM];
    let mut dead = None;
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |progress| {
        let now_dead = (DIES..BACK).contains(&progress.elapsed);
        if dead != Some(now_dead) {
            victim.blackhole(now_dead);
            if now_dead {
                bars.say(&format!("isp{} dies", VICTIM + 1));
            } else if dead.is_some() {
                bars.say(&format!("isp{} is back", VICTIM + 1));
            }
            dead = Some(now_dead);
        }
        bars.paths(progress, now_dead.then_some(VICTIM));
    })?;
    bars.finish();
    Ok(outcome)
}
