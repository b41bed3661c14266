//! The rows of the bench's table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use lab::Lab;
use lab::outage::{Seen, one_per_path};
use lab::second_link::Compared;
use lab::transfer::Outcome;

pub fn head() {
    println!(
        "| event | times | longest stall p50 / p95 / worst, s | rate ÷ what is left | full rate again p50 / p95, s | subflows = paths | intact |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: |");
}

/// `left`: share of the whole that the living paths carry. `time`: what is told of each.
pub fn row(lab: &Lab, event: &str, seen: &[Seen], left: f64, time: impl Fn(&Seen) -> Duration) {
    let seconds = |times: &[Duration], share| quantile(times, share).as_secs_f64();
    let stalls = sorted(seen.iter().map(&time));
    let full = sorted(seen.iter().filter_map(Seen::full_after));
    let share = |seen: &Seen| seen.during() / (seen.before() * left);
    let mut shares: Vec<_> = seen.iter().map(share).collect();
    shares.sort_by(f64::total_cmp);
    let expected = one_per_path(&lab.sites[0]);
    let whole = seen.iter().filter(|seen| seen.subflows == expected).count();
    let intact = seen.iter().filter(|seen| seen.outcome.intact).count();
    println!(
        "| {event} | {} | {:.1} / {:.1} / {:.1} | {:.2} | {:.1} / {:.1} | {whole} | {intact} |",
        seen.len(),
        seconds(&stalls, 50),
        seconds(&stalls, 95),
        seconds(&stalls, 100),
        shares[shares.len() / 2],
        seconds(&full, 50),
        seconds(&full, 95),
    );
}

/// What became of one long transfer.
pub fn line(lab: &Lab, what: &str, outcome: &Outcome, subflows: &BTreeMap<IpAddr, u32>) {
    let intact = if outcome.intact { "intact" } else { "BROKEN" };
    let whole = *subflows == one_per_path(&lab.sites[0]);
    let whole = if whole { "one" } else { "NOT ONE" };
    println!(
        "{what}: {intact}, {whole} subflow per path at the end, {:.1} Mbit/s, longest stall {:.1} s",
        outcome.rate(),
        outcome.longest_stall().as_secs_f64()
    );
}

pub fn second_link(name: &str, control: &str, seen: &[Compared]) {
    let by_size = |share: fn(&Compared) -> f64| {
        let mut shares: Vec<_> = seen.iter().map(share).collect();
        shares.sort_by(f64::total_cmp);
        shares
    };
    let settled = by_size(|one| one.settled);
    let whole = by_size(|one| one.from_the_beginning);
    let aside = seen.iter().filter(|one| one.reserve.is_some()).count();
    let times = seen.len();
    println!(
        "| {name} | {control} | {times} | {:.2} / {:.2} | {:.2} | {aside} |",
        settled[times / 2],
        settled[0],
        whole[times / 2]
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
