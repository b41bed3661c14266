//! When silence means that a path is dead.
//!
//! A path is dead after N of the far end's intervals without any authenticated packet. N follows
//! from what was measured: the loss (N − 1 probes lost in a row must be rarer than one in ten
//! million) and the longest gap that lately turned out to be none. The round-trip time does not
//! enter. Time during which nobody looked at this machine is no silence.

use std::time::{Duration, Instant};

use super::loss::Odds;
use super::pace::BUSY_INTERVAL;

const FEWEST: u32 = 4;
const MOST: u32 = 10;
/// Before the loss is known.
pub(super) const AT_FIRST: u32 = 5;
/// So many in a row may be lost by chance once in 1 / this probes: at 100 ms, once in eleven days.
const CHANCE: f64 = 1e-7;
/// The longest gap shrinks by one interval in this time.
const FORGET: Duration = Duration::from_secs(180);
/// When the peer says that the path is down, this many are enough.
const WITH_WORD: u32 = 2;
/// A look that comes later than this was not made in time.
const LATE: Duration = Duration::from_millis(150);

#[derive(Debug)]
pub(super) struct Ear {
    heard: Option<Instant>,
    /// The far end's next probe comes within this time.
    pub(super) interval: Duration,
    /// The longest gap that ended, in intervals, and when it was counted.
    gap: (u32, Instant),
    /// Nobody looked for so long since something was heard.
    deaf: Duration,
    looked: Instant,
}

impl Ear {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            heard: None,
            interval,
            gap: (0, now),
            deaf: Duration::ZERO,
            looked: now,
        }
    }

    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// An authenticated packet came in. Gaps are measured on a busy path that is up.
    pub(super) fn handle_heard(&mut self, up: bool, now: Instant) {
        if let Some(last) = self.heard
            && up
            && self.interval <= BUSY_INTERVAL
        {
            let gap = now.saturating_duration_since(last);
            self.take_gap(gap.saturating_sub(self.deaf), now);
        }
        self.heard = Some(now);
        self.deaf = Duration::ZERO;
    }

    fn take_gap(&mut self, gap: Duration, now: Instant) {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let gap = millis(gap).div_ceil(millis(self.interval).max(1));
        let (longest, at) = self.gap;
        if gap >= longest {
            self.gap = (gap, now);
        } else if now.saturating_duration_since(at) >= FORGET {
            self.gap = (longest - 1, now);
        }
    }

    /// Somebody looks at `now` who was asked to look at `due`.
    pub(super) fn handle_look(&mut self, due: Instant, now: Instant) {
        let late = now.saturating_duration_since(due.max(self.looked));
        if late > LATE {
            // What arrived meanwhile has yet to be handed in.
            let to_catch_up = if self.deaf.is_zero() {
                self.interval * 2
            } else {
                Duration::ZERO
            };
            self.deaf = self.deaf.saturating_add(late).saturating_add(to_catch_up);
        }
        self.looked = self.looked.max(now);
    }

    /// When this machine was last looked at.
    pub(super) fn looked(&self) -> Instant {
        self.looked
    }

    /// The far end's next probe is later than it may be by `tolerance`.
    pub(super) fn overdue_at(&self, tolerance: Duration) -> Option<Instant> {
        Some(self.heard? + self.interval + tolerance + self.deaf)
    }

    /// So many intervals of silence make the path down.
    pub(super) fn patience(&self, odds: Option<Odds>, peer_says_down: bool) -> u32 {
        if peer_says_down {
            return WITH_WORD;
        }
        let by_loss = odds.map_or(AT_FIRST, in_a_row);
        by_loss
            .max(self.gap.0.saturating_add(2))
            .clamp(FEWEST, MOST)
    }

    /// Silence counted by what the far end announced.
    pub(super) fn silent_at(&self, patience: u32) -> Option<Instant> {
        Some(self.heard? + self.interval * patience + self.deaf)
    }

    /// Silence of a far end that was asked to answer fast, and should have begun by `from`.
    pub(super) fn unanswered_at(&self, from: Instant, patience: u32) -> Option<Instant> {
        Some(self.heard?.max(from) + BUSY_INTERVAL * patience + self.deaf)
    }
}

fn in_a_row(odds: Odds) -> u32 {
    let mut run = odds.lost;
    let mut lost = 1;
    while run >= CHANCE && lost < MOST {
        run *= odds.again;
        lost += 1;
    }
    lost + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_loss_from_four_to_ten() {
        let by_loss: Vec<_> = [0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 1.0]
            .into_iter()
            .map(|lost| in_a_row(Odds { lost, again: lost }).clamp(FEWEST, MOST))
            .collect();
        assert_eq!(by_loss, [4, 4, 5, 7, 9, 10, 10]);
        let bursts = Odds {
            lost: 0.01,
            again: 0.2,
        };
        assert_eq!(in_a_row(bursts), 10);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn a_gap_that_ended_makes_it_more_patient_for_some_minutes() {
        let now = Instant::now();
        let mut ear = Ear::new(BUSY_INTERVAL, now);
        ear.handle_heard(true, now);
        assert_eq!(ear.patience(Some(Odds::default()), false), 4);
        ear.handle_heard(true, now + Duration::from_millis(350));
        assert_eq!(ear.patience(Some(Odds::default()), false), 6);
        assert_eq!(ear.patience(Some(Odds::default()), true), 2);
        for tenth in 1..7200 {
            ear.handle_heard(true, now + BUSY_INTERVAL * (3 + tenth));
        }
        assert_eq!(ear.patience(Some(Odds::default()), false), 4);
    }
}
