//! Which of the far end's latest probes arrived, as a sliding bitmap over their sequence numbers.
//! A bit that leaves the bitmap is final, however late probes may come, and goes into a slow mean.

/// How many probes the share is taken over.
const WINDOW: u32 = 64;
/// Below this many the share says nothing.
const ENOUGH: u32 = 8;
/// Below this many the slow mean says nothing either.
const SURE: u32 = 16;
/// Weight of one probe in the slow mean.
const SLOW: f64 = 1.0 / 512.0;
/// Weight of one probe that follows a lost one in [`Odds::again`].
const AGAIN: f64 = 1.0 / 64.0;

/// What to reckon with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Odds {
    /// That a probe is lost.
    pub(super) lost: f64,
    /// That the next one is lost as well: losses come in bursts.
    pub(super) again: f64,
}

#[derive(Debug, Default)]
pub(super) struct LossWindow {
    newest: u32,
    /// Bit i: probe `newest - i` arrived.
    arrived: u64,
    seen: u32,
    mean: f64,
    again: f64,
    last_lost: bool,
    /// Probes that were due since the beginning.
    due: u32,
}

impl LossWindow {
    pub(super) fn arrived(&mut self, sequence: u32) {
        let ahead = sequence.wrapping_sub(self.newest);
        let behind = self.newest.wrapping_sub(sequence);
        if self.seen == 0 || (ahead >= WINDOW && behind >= WINDOW) {
            // The first one, a restart of the far end, or a gap longer than the window.
            (self.newest, self.arrived, self.seen) = (sequence, 1, 1);
            self.due = self.due.saturating_add(1);
        } else if ahead < WINDOW {
            self.retire(ahead);
            self.arrived = self.arrived << ahead | 1;
            self.newest = sequence;
            self.seen = (self.seen + ahead).min(WINDOW);
        } else {
            self.arrived |= 1 << behind;
        }
    }

    /// Takes the oldest `count` into the mean, as far as they were seen at all.
    fn retire(&mut self, count: u32) {
        self.due = self.due.saturating_add(count);
        for place in 0..(self.seen + count).saturating_sub(WINDOW).min(self.seen) {
            let lost = self.arrived >> (self.seen - 1 - place) & 1 == 0;
            let value = f64::from(u8::from(lost));
            self.mean += (value - self.mean) * SLOW;
            if self.last_lost {
                self.again += (value - self.again) * AGAIN;
            }
            self.last_lost = lost;
        }
    }

    /// An outage begins: what is missing from now on is not loss.
    pub(super) fn pause(&mut self) {
        (self.seen, self.last_lost) = (0, false);
    }

    /// `None` while there is nothing to reckon from.
    pub(super) fn odds(&self) -> Option<Odds> {
        if self.due < SURE {
            return None;
        }
        let lately = if self.seen < SURE { None } else { self.share() };
        let lost = lately.unwrap_or(0.0).max(self.mean);
        Some(Odds {
            lost,
            again: self.again.max(lost),
        })
    }

    /// Over hundreds of probes.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    pub(super) fn share(&self) -> Option<f64> {
        if self.seen < ENOUGH {
            return None;
        }
        let mask = if self.seen == WINDOW {
            u64::MAX
        } else {
            (1 << self.seen) - 1
        };
        let here = (self.arrived & mask).count_ones();
        Some(1.0 - f64::from(here) / f64::from(self.seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequences: impl IntoIterator<Item = u32>) -> Option<f64> {
        let mut window = LossWindow::default();
        sequences
            .into_iter()
            .for_each(|sequence| window.arrived(sequence));
        window.share()
    }

    #[test]
    fn every_second_probe_lost_is_half() {
        let share = after((0..200).step_by(2)).unwrap();
        assert!((share - 0.5).abs() < 0.02, "{share}");
    }

    #[test]
    fn nothing_lost_is_zero_and_a_late_probe_counts() {
        assert_eq!(after(0..100), Some(0.0));
        assert_eq!(after((0..50).chain(51..100).chain([50])), Some(0.0));
    }

    #[test]
    fn the_mean_remembers_what_the_window_has_forgotten_and_an_outage_is_no_loss() {
        let mut window = LossWindow::default();
        let lossy = (0..5000).filter(|sequence| sequence % 20 != 0);
        lossy.for_each(|sequence| window.arrived(sequence));
        assert!((window.mean - 0.05).abs() < 0.01, "{}", window.mean);
        window.pause();
        (5040..5140).for_each(|sequence| window.arrived(sequence));
        assert_eq!(window.share(), Some(0.0));
        assert!((0.04..0.06).contains(&window.odds().unwrap().lost));
    }

    #[test]
    fn a_restarted_far_end_starts_afresh() {
        assert_eq!(after((5000..5100).chain(1..3)), None);
    }
}
