//! The closing table: what one ISP gave, what all of them gave.

use lab::transfer::Outcome;

pub(crate) fn render(one: &Outcome, all: &Outcome, rates: &[u64]) -> String {
    let sum: u64 = rates.iter().sum();
    let best = rates.iter().max().copied().unwrap_or(1);
    let row = |name: &str, outcome: &Outcome, links: u64| {
        let subflows = outcome
            .subflows
            .iter()
            .filter(|subflow| subflow.established)
            .count();
        let stall = outcome.longest_stall().as_secs_f64();
        // Undisturbed: the fastest three seconds.
        let peak = peak(outcome);
        format!(
            "{name:<24}{:>8.1}  {peak:>8.1}  {:>9.0} %  {:>8}  {stall:>9.1} s  {}\n",
            outcome.rate(),
            peak / links as f64 * 100.0,
            subflows.max(1),
            if outcome.intact { "equal" } else { "DIFFERENT" },
        )
    };
    format!(
        "\n{:<24}{:>8}  {:>8}  {:>11}  {:>8}  {:>11}  checksum\n{}{}\n",
        "Mbit/s",
        "average",
        "best 3 s",
        "of the line",
        "subflows",
        "longest gap",
        row("plain TCP, best ISP", one, best),
        row("MPTCP, all ISPs, 1 dies", all, sum),
    ) + "TCP's and WireGuard's headers take about 8 % of a line.\n"
}

fn peak(outcome: &Outcome) -> f64 {
    let best = outcome
        .timeline
        .windows(30)
        .map(|window| window.iter().sum::<u64>())
        .max();
    best.map_or_else(|| outcome.rate(), |bytes| bytes as f64 * 8.0 / 1e6 / 3.0)
}
