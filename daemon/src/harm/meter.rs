//! Bytes over the last seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const KEPT: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(super) struct Meter {
    /// When they were counted.
    looks: VecDeque<(Instant, u64)>,
}

impl Meter {
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.looks.push_back((now, bytes));
        let old = |look: &(Instant, u64)| now.saturating_duration_since(look.0) > KEPT;
        while self.looks.front().is_some_and(old) {
            self.looks.pop_front();
        }
    }

    /// Bytes per second of what was counted after `from`.
    pub(super) fn rate(&self, from: Instant, to: Instant) -> f64 {
        let counted = self.looks.iter().filter(|(at, _)| *at > from && *at <= to);
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let bytes = counted.map(|(_, bytes)| *bytes).sum::<u64>() as f64;
        // The first look counts what moved since the one before it.
        let before = self.looks.iter().rev().find(|(at, _)| *at <= from);
        let start = before.map_or(from, |(at, _)| *at);
        let time = to.saturating_duration_since(start).as_secs_f64();
        if time > 0.0 { bytes / time } else { 0.0 }
    }
}
