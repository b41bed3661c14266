//! The smoothed round-trip time (RFC 6298 section 2, alpha = 1/8).

use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct RoundTrip(Option<Duration>);

impl RoundTrip {
    pub(super) fn sample(&mut self, sample: Duration) {
        self.0 = Some(
            self.0
                .map_or(sample, |smoothed| (smoothed * 7 + sample) / 8),
        );
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.0
    }
}
