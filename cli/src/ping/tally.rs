//! What became of one path's echoes. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Echoes of full size have this bit in their sequence number.
const FULL_SIZE: u16 = 1 << 15;
/// So many are tried.
const FULL_SIZE_TRIES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Tally {
    under_way: BTreeMap<u16, Instant>,
    pub(super) sent: u32,
    pub(super) received: u32,
    /// Of the newest echo, if it was answered.
    pub(super) newest: Option<Duration>,
    last: Option<Duration>,
    least: Option<Duration>,
    most: Duration,
    sum: Duration,
    varied: Duration,
    full_size_tries: u32,
    full_size: bool,
}

impl Tally {
    /// The sequence number of the next echo, which leaves now.
    pub(super) fn send(&mut self, now: Instant) -> u16 {
        self.sent += 1;
        self.newest = None;
        #[expect(clippy::cast_possible_truncation, reason = "it wraps round")]
        let sequence = self.sent as u16 & !FULL_SIZE;
        self.under_way.insert(sequence, now);
        sequence
    }

    /// That of an echo of full size, if one is still needed.
    pub(super) fn send_full_size(&mut self) -> Option<u16> {
        if self.full_size || self.full_size_tries == FULL_SIZE_TRIES {
            return None;
        }
        self.full_size_tries += 1;
        Some(FULL_SIZE)
    }

    pub(super) fn receive(&mut self, sequence: u16, now: Instant) {
        if sequence & FULL_SIZE != 0 {
            self.full_size = true;
            return;
        }
        // One that comes twice counts once.
        let Some(sent) = self.under_way.remove(&sequence) else {
            return;
        };
        let time = now.saturating_duration_since(sent);
        self.received += 1;
        self.newest = Some(time);
        self.least = Some(self.least.map_or(time, |least| least.min(time)));
        self.most = self.most.max(time);
        self.sum += time;
        if let Some(last) = self.last.replace(time) {
            self.varied += last.abs_diff(time);
        }
    }

    /// Nothing is awaited any more.
    pub(super) fn is_complete(&self) -> bool {
        self.under_way.is_empty() && (self.full_size || self.full_size_tries == 0)
    }

    /// Least, mean and most, in milliseconds.
    pub(super) fn round_trips(&self) -> Option<[f64; 3]> {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let mean = self.sum.checked_div(self.received)?;
        Some([millis(self.least?), millis(mean), millis(self.most)])
    }

    /// How much one round trip differs from the next, on the average, in milliseconds.
    pub(super) fn jitter(&self) -> Option<f64> {
        let mean = self.varied.checked_div(self.received.checked_sub(1)?)?;
        Some(mean.as_secs_f64() * 1000.0)
    }

    pub(super) fn loss(&self) -> Option<f64> {
        let lost = self.sent.saturating_sub(self.received);
        (self.sent > 0).then(|| f64::from(lost) / f64::from(self.sent))
    }

    /// An echo of the path's full size came back; `None`: none was sent.
    pub(super) fn full_size(&self) -> Option<bool> {
        (self.full_size_tries > 0).then_some(self.full_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn late_lost_and_double_replies_are_counted_right() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        assert_eq!((tally.loss(), tally.round_trips()), (None, None));
        let sequences = [0, 1, 2, 3].map(|at| tally.send(start + at * 100 * MS));
        tally.receive(sequences[0], start + 10 * MS);
        tally.receive(sequences[0], start + 20 * MS);
        // Later than the next one.
        tally.receive(sequences[2], start + 220 * MS);
        tally.receive(sequences[1], start + 230 * MS);
        tally.receive(77, start + 240 * MS);
        assert_eq!((tally.sent, tally.received), (4, 3));
        assert_eq!(tally.loss(), Some(0.25));
        let [least, mean, most] = tally.round_trips().unwrap();
        assert_eq!((least, most), (10.0, 130.0));
        assert!((mean - 160.0 / 3.0).abs() < 0.001);
        assert_eq!(tally.jitter(), Some(60.0));
        assert!(!tally.is_complete());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn full_size_is_tried_three_times_until_one_is_answered() {
        let (mut never, mut once) = (Tally::default(), Tally::default());
        assert_eq!(never.full_size(), None);
        let tries = std::iter::from_fn(|| never.send_full_size()).count();
        assert_eq!((tries, never.full_size()), (3, Some(false)));
        let sequence = once.send_full_size().unwrap();
        once.receive(sequence, Instant::now());
        assert_eq!(
            (once.send_full_size(), once.full_size()),
            (None, Some(true))
        );
        assert_eq!(once.received, 0, "it is no measurement");
        assert!(once.is_complete());
    }
}
