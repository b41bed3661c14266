//! Live bars, one per path; plain lines each second where nobody watches a terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lab::transfer::Progress;

pub(crate) struct Bars {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    live: bool,
    bytes: u64,
    /// What each path had sent, and when, to tell its rate.
    before: (Duration, Vec<u64>),
    rates: Vec<f64>,
}

impl Bars {
    pub(crate) fn new(names: &[&str], bytes: u64) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("  {prefix:6} {bar:40} {percent:>3} %  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |name: &&str| {
            let bar = all.add(ProgressBar::new(bytes).with_style(style.clone()));
            bar.set_prefix((*name).to_owned());
            bar
        };
        let bars = names.iter().map(bar).collect();
        let live = std::io::stderr().is_terminal();
        let zero = vec![0; names.len()];
        let rates = vec![0.0; names.len()];
        Self {
            bars,
            all,
            live,
            bytes,
            before: (Duration::ZERO, zero),
            rates,
        }
    }

    /// A transfer over one path.
    pub(crate) fn one(&mut self, progress: &Progress) {
        self.draw(progress, &[progress.bytes], None);
    }

    /// A transfer over all paths: each subflow's bytes, by the last octet of its address.
    pub(crate) fn paths(&mut self, progress: &Progress, dead: Option<usize>) {
        let mut sent = BTreeMap::new();
        for subflow in &progress.subflows {
            if let IpAddr::V4(v4) = subflow.source {
                *sent.entry(usize::from(v4.octets()[3])).or_insert(0) += subflow.bytes_acked;
            }
        }
        let count = self.bars.len();
        let bytes: Vec<u64> = (1..=count)
            .map(|path| sent.get(&path).copied().unwrap_or(0))
            .collect();
        self.draw(progress, &bytes, dead);
    }

    pub(crate) fn say(&self, what: &str) {
        if self.live && self.all.println(format!("  ── {what}")).is_ok() {
            return;
        }
        anstream::println!("  ── {what}");
    }

    pub(crate) fn finish(&self) {
        self.bars.iter().for_each(ProgressBar::abandon);
    }

    fn draw(&mut self, progress: &Progress, bytes: &[u64], dead: Option<usize>) {
        let span = progress.elapsed - self.before.0;
        if span < Duration::from_secs(1) && !self.live {
            return;
        }
        if span >= Duration::from_millis(500) {
            let moved = bytes
                .iter()
                .zip(&self.before.1)
                .map(|(now, then)| now.saturating_sub(*then));
            let rate = |bytes| bytes as f64 * 8.0 / 1e6 / span.as_secs_f64();
            self.rates = moved.map(rate).collect();
            self.before = (progress.elapsed, bytes.to_vec());
        }
        for (number, bar) in self.bars.iter().enumerate() {
            let rate = self.rates.get(number).copied().unwrap_or(0.0);
            let note = if dead == Some(number) { "  dead" } else { "" };
            bar.set_position(bytes.get(number).copied().unwrap_or(0));
            bar.set_message(format!("{rate:5.1} Mbit/s{note}"));
        }
        if !self.live {
            let rates: Vec<_> = self
                .rates
                .iter()
                .map(|rate| format!("{rate:5.1}"))
                .collect();
            let share = progress.bytes * 100 / self.bytes;
            anstream::println!("  {share:>3} %  per ISP {} Mbit/s", rates.join("  "));
        }
    }
}
