//! The bench: pathweave and its rivals side by side, in one run, in turns.
//!
//! Every contender stands between two network namespaces that a veth joins, and carries the same
//! loads. A round measures each of them once; what is told is the median of the rounds, with its
//! spread, and the ratio to pathweave's median. Nothing here is a test: no figure is asserted.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench lives by the clock, starts programs, and fails loudly"
)]

mod answers;
mod contender;
mod cpu;
mod load;
mod machine;
mod pathweave;
mod plot;
mod scale;
mod small;
mod table;
mod wire;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use contender::{Contender, Kind};
use load::Figures;

#[derive(Debug, Parser)]
struct Arguments {
    /// How often each contender is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each bulk load.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only these contenders, as the table names them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Instead: what idle paths to 1, 10 and 100 peers cost.
    #[arg(long)]
    scale: bool,
    /// Where table and plot are written.
    #[arg(long, default_value = "target/side-by-side")]
    results: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    lab::enter::check().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    if arguments.scale {
        print!("{}", scale::table()?);
        return Ok(());
    }
    let chosen = |kind: &Kind| arguments.only.is_empty() || arguments.only.contains(&kind.name());
    let mut contenders = Vec::new();
    let mut absent = Vec::new();
    for kind in Kind::ALL.into_iter().filter(chosen) {
        match Contender::start(kind) {
            Ok(contender) => contenders.push(contender),
            Err(why) => absent.push(format!("{} is absent: {why}", kind.name())),
        }
    }
    absent.iter().for_each(|line| eprintln!("{line}"));
    let load_time = Duration::from_secs(arguments.seconds);
    let mut rounds: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
    for round in 1..=arguments.rounds {
        for (contender, figures) in contenders.iter().zip(&mut rounds) {
            eprintln!(
                "round {round} of {}: {}",
                arguments.rounds,
                contender.name()
            );
            figures.push(load::measure(contender, load_time)?);
        }
    }
    let results = table::Results::new(&contenders, &rounds, absent);
    let text = results.markdown(&machine::describe());
    print!("{text}");
    fs::create_dir_all(&arguments.results)?;
    fs::write(arguments.results.join("table.md"), text)?;
    plot::draw(&results, &arguments.results.join("plot.svg"))?;
    Ok(())
}
