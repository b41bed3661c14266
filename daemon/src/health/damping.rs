//! Flap damping: a path that goes down again and again is held back longer each time, so that
//! open connections do not follow it up and down.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// After the first outage; doubles with each further one.
const FIRST_HOLD: Duration = Duration::from_millis(500);
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// 0.5 s doubled seven times is over the longest hold.
const MOST: u32 = 8;
/// One outage is forgiven for each such time that the path then stayed up.
const FORGIVE: Duration = Duration::from_secs(10);
/// What `status` calls "lately".
const LATELY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Damping {
    outages: u32,
    total: u32,
    /// The newest ones, at most [`MOST`].
    when: VecDeque<Instant>,
}

impl Damping {
    /// The path went down after having been up for `up`.
    pub(super) fn handle_outage(&mut self, up: Duration, now: Instant) {
        let forgiven = up.as_secs() / FORGIVE.as_secs();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        self.outages = (self.outages.saturating_sub(forgiven) + 1).min(MOST);
        self.total = self.total.saturating_add(1);
        self.when.push_back(now);
        if self.when.len() > MOST as usize {
            self.when.pop_front();
        }
    }

    /// How long the path is held back once it answers again.
    pub(super) fn hold(&self) -> Duration {
        match self.outages.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => (FIRST_HOLD * 2_u32.saturating_pow(doublings)).min(LONGEST_HOLD),
        }
    }

    /// Outages since the start.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Outages in the last minute, as far as they are remembered.
    pub(super) fn lately(&self, now: Instant) -> usize {
        let recent = |at: &&Instant| now.saturating_duration_since(**at) <= LATELY;
        self.when.iter().filter(recent).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn the_hold_doubles_to_a_minute_and_is_forgiven_after_calm() {
        let (mut damping, now) = (Damping::default(), Instant::now());
        let mut holds = Vec::new();
        for _ in 0..10 {
            damping.handle_outage(Duration::from_secs(3), now);
            holds.push(damping.hold().as_secs_f64());
        }
        assert_eq!(
            holds,
            [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        );
        damping.handle_outage(Duration::from_secs(100), now);
        assert_eq!(damping.hold(), FIRST_HOLD);
        assert_eq!((damping.total(), damping.lately(now)), (11, 8));
        assert_eq!(damping.lately(now + LATELY * 2), 0);
    }
}
