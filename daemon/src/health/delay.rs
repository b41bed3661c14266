//! Round trip and jitter of a path, from the stamps of probes.

use std::time::{Duration, Instant};

/// A far end's stamps that jump by more are another clock's: it was started anew, or it lies.
const LONGEST_JUMP: u64 = 10_000_000;
/// The floor of the round trip is the least of the last one to two of these.
const EPOCH: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Delay {
    smoothed: Option<Duration>,
    /// The least sample of this epoch and of the one before.
    floors: [Option<Duration>; 2],
    epoch: Option<Instant>,
    jitter: Option<Duration>,
    /// Arrival minus stamp of the last probe, in two clocks: only its changes mean something.
    transit: Option<u64>,
}

impl Delay {
    /// RFC 6298 section 2, alpha = 1/8.
    pub(super) fn handle_round_trip(&mut self, sample: Duration, now: Instant) {
        let smoothed = self
            .smoothed
            .map_or(sample, |smoothed| (smoothed * 7 + sample) / 8);
        self.smoothed = Some(smoothed);
        let begun = *self.epoch.get_or_insert(now);
        let [floor, before] = &mut self.floors;
        if now.saturating_duration_since(begun) >= EPOCH {
            (*before, *floor, self.epoch) = (*floor, None, Some(now));
        }
        *floor = Some(floor.map_or(sample, |least| least.min(sample)));
    }

    /// Inter-arrival jitter, RFC 3550 section 6.4.1: what the way towards us alone does.
    pub(super) fn handle_transit(&mut self, stamp_us: u64, arrived_us: u64) {
        let transit = arrived_us.wrapping_sub(stamp_us);
        let last = self.transit.replace(transit);
        let Some(last) = last else { return };
        let change = transit.wrapping_sub(last);
        let change = change.min(change.wrapping_neg());
        if change <= LONGEST_JUMP {
            let (change, jitter) = (
                Duration::from_micros(change),
                self.jitter.unwrap_or_default(),
            );
            self.jitter = Some((jitter * 15 + change) / 16);
        }
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// What the way itself takes, without the queues that our own traffic makes.
    pub(super) fn floor(&self) -> Option<Duration> {
        self.floors.iter().flatten().min().copied()
    }

    pub(super) fn jitter(&self) -> Option<Duration> {
        self.jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_how_much_the_way_here_varies_whatever_the_clocks_say() {
        let mut delay = Delay::default();
        for i in 0..1000_u64 {
            let late = if i % 2 == 0 { 0 } else { 20_000 };
            let stamp = (u64::MAX - 50_000_000).wrapping_add(i * 100_000);
            delay.handle_transit(stamp, i * 100_000 + late);
        }
        let jitter = delay.jitter().unwrap();
        assert!(
            jitter.abs_diff(Duration::from_millis(20)) < Duration::from_millis(1),
            "{jitter:?}"
        );
        delay.handle_transit(5, u64::MAX / 2);
        assert_eq!(delay.jitter(), Some(jitter), "another clock's stamp");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn the_floor_forgets_a_way_that_is_no_longer_so_short() {
        let (mut delay, now) = (Delay::default(), Instant::now());
        let millis = Duration::from_millis;
        delay.handle_round_trip(millis(10), now);
        delay.handle_round_trip(millis(500), now + millis(100));
        assert_eq!(delay.floor(), Some(millis(10)));
        for minute in 1..20 {
            delay.handle_round_trip(millis(40), now + Duration::from_secs(60 * minute));
        }
        assert_eq!(delay.floor(), Some(millis(40)));
    }
}
