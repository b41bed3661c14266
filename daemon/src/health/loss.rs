//! Which of the far end's latest probes arrived, as a sliding bitmap over their sequence numbers.

/// How many probes the share is taken over.
const WINDOW: u32 = 64;
/// Below this many the share says nothing.
const ENOUGH: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct LossWindow {
    newest: u32,
    /// Bit i: probe `newest - i` arrived.
    arrived: u64,
    seen: u32,
}

impl LossWindow {
    pub(super) fn arrived(&mut self, sequence: u32) {
        let ahead = sequence.wrapping_sub(self.newest);
        let behind = self.newest.wrapping_sub(sequence);
        if self.seen == 0 || (ahead >= WINDOW && behind >= WINDOW) {
            // The first one, a restart of the far end, or a gap longer than the window.
            *self = Self {
                newest: sequence,
                arrived: 1,
                seen: 1,
            };
        } else if ahead < WINDOW {
            self.arrived = self.arrived << ahead | 1;
            self.newest = sequence;
            self.seen = (self.seen + ahead).min(WINDOW);
        } else {
            self.arrived |= 1 << behind;
        }
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
    fn a_restarted_far_end_starts_afresh() {
        assert_eq!(after((5000..5100).chain(1..3)), None);
    }
}
