//! The wall clock matters to handshakes alone: an initiation carries its time, and a peer that has
//! seen a later one takes it for a replay (WireGuard's whitepaper, section 5.1).
//!
//! boringtun reads it when a session is made, and goes on by the monotonic clock. So a clock that
//! is set back breaks nothing that runs; but a daemon that was started with a wrong clock, as on
//! machines without a battery, would go on with it after the clock was set: its sessions that have
//! no key yet are made anew.

use std::time::{Duration, Instant};

/// Less is how clocks are steered all the time.
const STEP: Duration = Duration::from_secs(1);
/// 1 January 2026: pathweave was not there before.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// The mean year of the Gregorian calendar, 365.2425 days.
const YEAR: u64 = 31_556_952;

#[derive(Debug)]
pub struct WallClock {
    wall: Duration,
    at: Instant,
}

impl WallClock {
    pub fn new(wall: Duration, now: Instant) -> Self {
        Self { wall, at: now }
    }

    /// Call once a second: whether the clock was set forward since the last look.
    pub fn was_set_forward(&mut self, wall: Duration, now: Instant) -> bool {
        let expected = self.wall + now.saturating_duration_since(self.at);
        (self.wall, self.at) = (wall, now);
        wall.saturating_sub(expected) > STEP
    }
}

/// The year that it says, when that cannot be.
pub fn impossible_year(wall: Duration) -> Option<u64> {
    (wall < EARLIEST).then(|| 1970 + wall.as_secs() / YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn only_a_step_forward_counts() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut clock = WallClock::new(DAY, start);
        let mut look = |wall, after| clock.was_set_forward(wall, start + second * after);
        assert!(!look(DAY + second, 1));
        assert!(!look(DAY + second * 2 + second / 2, 2), "steered");
        assert!(look(DAY * 20_000, 3), "set right");
        assert!(!look(DAY * 20_000 + second, 4));
        assert!(!look(DAY, 5), "set back");
        assert!(!look(DAY + second, 6));
        assert!(look(DAY + second * 3600, 7), "the machine slept");
    }

    #[test]
    fn a_date_before_pathweave_is_impossible() {
        assert_eq!(impossible_year(Duration::ZERO), Some(1970));
        assert_eq!(impossible_year(DAY * 365 * 40), Some(2009));
        assert_eq!(impossible_year(EARLIEST - DAY), Some(2025));
        assert_eq!(impossible_year(EARLIEST), None);
    }
}
