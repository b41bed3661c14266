//! Processors, memory and waiting, watched for a moment, and what the paths carried meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use super::super::facts::{Daemon, Machine};

/// Eight of the kernel's ticks; the answer shall come at once all the same.
const MOMENT: Duration = Duration::from_millis(80);
/// user nice system idle iowait irq softirq steal (proc_stat(5)).
const COUNTED: usize = 8;
const IDLE: [usize; 2] = [3, 4];

pub(super) fn watch(first: &Daemon, again: impl FnOnce() -> Daemon) -> Machine {
    #[expect(clippy::disallowed_methods, reason = "a rate is measured")]
    let begin = Instant::now();
    let before = processors();
    std::thread::sleep(MOMENT);
    let after = processors();
    let carried = [carried(first), carried(&again())];
    let millis = u64::try_from(begin.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let rate = |way: usize| carried[1][way].saturating_sub(carried[0][way]) * 8000 / millis;
    let mut busy = before
        .iter()
        .filter_map(|(name, before)| Some((name, share(before, after.get(name)?))));
    let all = busy
        .clone()
        .find(|(name, _)| *name == "cpu")
        .map_or(0.0, |(_, share)| share);
    let single = busy.by_ref().filter(|(name, _)| *name != "cpu");
    Machine {
        busy: all,
        busiest: single.map(|(_, share)| share).fold(0.0, f64::max),
        pressure: ["cpu", "io", "memory"]
            .into_iter()
            .filter_map(|what| Some((what.to_owned(), pressure(what)?)))
            .collect(),
        memory: memory(),
        rate: [rate(0), rate(1)],
    }
}

/// Bytes over all paths so far, out and in.
fn carried(daemon: &Daemon) -> [u64; 2] {
    let Daemon::Running(status) = daemon else {
        return [0, 0];
    };
    let paths = || status.peers.iter().flat_map(|peer| &peer.paths);
    [
        paths().map(|path| path.tx_bytes).sum(),
        paths().map(|path| path.rx_bytes).sum(),
    ]
}

/// Ticks of each kind, of all processors and of each.
fn processors() -> BTreeMap<String, Vec<u64>> {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("cpu"));
    let processor = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        Some((
            name,
            words
                .take(COUNTED)
                .filter_map(|word| word.parse().ok())
                .collect(),
        ))
    };
    lines.filter_map(processor).collect()
}

#[expect(clippy::cast_precision_loss, reason = "some hundred ticks")]
fn share(before: &[u64], after: &[u64]) -> f64 {
    let spent = |place: usize| {
        let at = |ticks: &[u64]| ticks.get(place).copied().unwrap_or(0);
        at(after).saturating_sub(at(before))
    };
    let all: u64 = (0..COUNTED).map(spent).sum();
    let idle: u64 = IDLE.into_iter().map(spent).sum();
    if all == 0 {
        return 0.0;
    }
    (all - idle) as f64 / all as f64
}

/// `some avg10=1.23 avg60=… ` (Documentation/accounting/psi.rst).
fn pressure(what: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/pressure/{what}")).ok()?;
    let some = text.lines().find(|line| line.starts_with("some"))?;
    let average = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg10="));
    average?.parse().ok()
}

fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
