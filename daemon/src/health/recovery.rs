//! The way back up: at once for the first time; after an outage when [`ECHOES`] of the probes
//! sent since were answered and the hold is over; never while this machine cannot send.

use std::time::{Duration, Instant};

use super::damping::Damping;

/// So many of the probes sent since an outage must be answered.
const ECHOES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub(super) damping: Damping,
    /// There was an outage: echoes and the hold are asked for.
    wary: bool,
    echoes: u32,
    /// Enough echoes have come; the hold ends then.
    held_until: Option<Instant>,
    ready: bool,
    /// There is no other live path to this peer.
    alone: bool,
    /// This machine cannot send on the path.
    fault: bool,
}

impl Recovery {
    /// The path went down after having been up for `up`.
    pub(super) fn handle_outage(&mut self, up: Duration, now: Instant) {
        self.damping.handle_outage(up, now);
        self.wary = true;
    }

    /// Its operator brings it back: whatever was before is forgiven.
    pub(super) fn trust(&mut self) {
        self.wary = false;
    }

    pub(super) fn handle_fault(&mut self, fault: bool) {
        self.fault = fault;
    }

    pub(super) fn handle_company(&mut self, alone: bool) {
        self.alone = alone;
    }

    /// The way back begins anew.
    pub(super) fn start(&mut self) {
        (self.echoes, self.held_until, self.ready) = (0, None, false);
    }

    /// A probe that was sent on the way back was answered.
    pub(super) fn handle_echo(&mut self, now: Instant) {
        self.echoes = self.echoes.saturating_add(1);
        if self.echoes == ECHOES {
            self.held_until = Some(now + self.damping.hold());
        }
    }

    /// True when this is the moment from which the path may come up.
    pub(super) fn becomes_ready(&mut self, now: Instant) -> bool {
        let held = match self.held_until {
            None => self.wary,
            Some(until) => !self.alone && now < until,
        };
        let ready = !self.ready && !held && !self.fault;
        self.ready |= ready;
        ready
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// The far end's word that it is ready may be taken.
    pub(super) fn may_rise(&self) -> bool {
        self.ready || (!self.wary && !self.fault)
    }

    /// Enough echoes have come, and it waits for the end of the hold alone.
    pub(super) fn is_holding(&self) -> bool {
        self.held_until.is_some() && !self.ready
    }

    pub(super) fn hold_ends_at(&self) -> Option<Instant> {
        self.held_until.filter(|_| !self.ready && !self.fault)
    }
}
