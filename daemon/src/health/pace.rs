//! How often we probe, and what we promise of it.
//!
//! The far end counts silence in the intervals that we announce. A slower one is therefore
//! announced [`NOTICE`] times before it is taken up: one lost probe must not leave the far end
//! waiting by an interval that is no longer ours (RFC 5880 section 6.8.3 polls for the same end).

use std::time::{Duration, Instant};

/// Probe interval while the path carries data: what decides how soon a dead path is seen.
pub const BUSY_INTERVAL: Duration = Duration::from_millis(100);
/// Probe interval of an idle path. 120 outer bytes over IPv4, both ways: 0.77 kbit/s. A dead one
/// is seen in four seconds all the same, because the first probe that is missing is asked after.
pub const IDLE_INTERVAL: Duration = Duration::from_millis(2500);
/// While a path is down: soon after a repair it should be back.
pub(super) const DOWN_INTERVAL: Duration = Duration::from_millis(200);
/// Of a path that is down, or held back, for longer.
pub(super) const PATIENT_INTERVAL: Duration = Duration::from_secs(1);
const NOTICE: u32 = 10;
/// A path counts as busy this long after its last data packet.
pub(super) const BUSY_FOR: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    noticed: u32,
    next: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            interval: DOWN_INTERVAL,
            noticed: 0,
            next: now,
        }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Probe now, whatever was planned.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// A probe leaves now; gives back the interval that it shall announce.
    pub(super) fn take(&mut self, wanted: Duration, now: Instant) -> Duration {
        if wanted <= self.interval || self.noticed >= NOTICE {
            (self.interval, self.noticed) = (wanted, 0);
        } else {
            self.noticed += 1;
        }
        self.next = now + self.interval;
        wanted
    }
}

/// A wish for fast probes, from its beginning until [`BUSY_FOR`] after it was last heard of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand(Option<(Instant, Instant)>);

impl Demand {
    /// True when the demand begins with this.
    pub(super) fn renew(&mut self, now: Instant) -> bool {
        let began = self.began(now);
        self.0 = Some((began.unwrap_or(now), now));
        began.is_none()
    }

    pub(super) fn began(self, now: Instant) -> Option<Instant> {
        let (began, last) = self.0?;
        (now.saturating_duration_since(last) < BUSY_FOR).then_some(began)
    }

    pub(super) fn lasts(self, now: Instant) -> bool {
        self.began(now).is_some()
    }
}
