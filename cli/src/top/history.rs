//! What one path was like in the last looks: rates from two of them, loss of all.

use std::collections::VecDeque;
use std::time::Instant;

use pathweaved::control::{PathState, PathStatus};

use crate::render::LOSSY;

/// As many looks as the widest column shows.
pub(super) const LONGEST: usize = 60;

#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<(Instant, u64, u64)>,
    /// Sent and received, in bit/s; `None` until it was seen twice.
    pub(super) rates: Option<(f64, f64)>,
    losses: VecDeque<Loss>,
}

/// The worse of both directions, in steps that a person tells apart; loss of half a percent
/// already slows TCP down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    Unknown,
    None,
    Little,
    Some,
    Much,
    /// It carried nothing.
    All,
}

impl History {
    pub(super) fn handle_look(&mut self, path: &PathStatus, now: Instant) {
        let (tx, rx) = (path.tx_bytes, path.rx_bytes);
        let before = self.last.replace((now, tx, rx));
        self.rates = before.and_then(|(then, was_tx, was_rx)| {
            let elapsed = now.saturating_duration_since(then).as_secs_f64();
            // A path that was made anew counts from zero.
            let both = (rate(was_tx, tx, elapsed)?, rate(was_rx, rx, elapsed)?);
            Some(both)
        });
        if self.losses.len() == LONGEST {
            self.losses.pop_front();
        }
        self.losses.push_back(Loss::of(path));
    }

    pub(super) fn total(&self) -> f64 {
        self.rates.map_or(0.0, |(tx, rx)| tx + rx)
    }

    /// The last looks, the newest last.
    pub(super) fn losses(&self, count: usize) -> impl Iterator<Item = Loss> {
        let skipped = self.losses.len().saturating_sub(count);
        self.losses.iter().skip(skipped).copied()
    }
}

fn rate(before: u64, now: u64, elapsed: f64) -> Option<f64> {
    let bytes = now.checked_sub(before)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate, shown with one decimal")]
    (elapsed > 0.0).then(|| bytes as f64 * 8.0 / elapsed)
}

/// Of both directions: a transfer may go either way.
pub(super) fn worse_loss(path: &PathStatus) -> Option<f64> {
    let ways = [path.loss_rx, path.loss_tx];
    ways.into_iter().flatten().reduce(f64::max)
}

impl Loss {
    fn of(path: &PathStatus) -> Self {
        if path.state != PathState::Up {
            return Self::All;
        }
        match worse_loss(path) {
            None => Self::Unknown,
            Some(loss) if loss <= 0.0 => Self::None,
            Some(loss) if loss < LOSSY => Self::Little,
            Some(loss) if loss < 0.02 => Self::Some,
            Some(loss) if loss < 0.5 => Self::Much,
            Some(_) => Self::All,
        }
    }

    pub(super) fn glyph(self) -> char {
        match self {
            Self::Unknown => ' ',
            Self::None => '▁',
            Self::Little => '▂',
            Self::Some => '▄',
            Self::Much => '▆',
            Self::All => '█',
        }
    }
}
