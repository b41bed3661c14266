//! What the supervisor keeps in mind for whoever wants to know why something is not as it should
//! be: see [`crate::control::SiteDiagnosis`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::control::SiteDiagnosis;
use crate::host::HostError;
use crate::names::PathId;

use super::super::lately::{Lately, Peaks};
use super::Supervisor;

#[derive(Debug)]
pub(super) struct Memory {
    born: Instant,
    /// Of the last reconciliation.
    pub(super) failures: Vec<HostError>,
    lately: Lately,
    peaks: Peaks,
    namespace: Option<u64>,
}

impl Memory {
    pub(super) fn new(now: Instant) -> Self {
        // Ours stays what it is for as long as we live.
        let namespace = fs::metadata("/proc/self/ns/net");
        Self {
            born: now,
            failures: Vec::new(),
            lately: Lately::default(),
            peaks: Peaks::default(),
            namespace: namespace.ok().map(|file| file.ino()),
        }
    }

    pub(super) fn peak(&self, path: PathId) -> [u64; 2] {
        self.peaks.of(path)
    }
}

impl Supervisor {
    /// Once a second.
    pub(super) fn remember(&mut self, now: Instant) {
        let carried = self.paths.lanes().map(|(path, lane)| {
            let counters = &lane.tunnel.counters;
            let bytes = [&counters.tx_bytes, &counters.rx_bytes].map(|count| count.load(Relaxed));
            (path, bytes)
        });
        self.memory.peaks.handle_look(carried.collect(), now);
        if self.memory.lately.wants_look(now) {
            let counters = self.host.mptcp_counters().unwrap_or_default();
            self.memory.lately.handle_look(counters, now);
        }
    }

    pub(super) fn diagnosis(&self, now: Instant) -> SiteDiagnosis {
        let memory = &self.memory;
        let guardless = memory.failures.iter().any(HostError::is_of_guard);
        let counters = self.host.mptcp_counters();
        SiteDiagnosis {
            running_s: now.saturating_duration_since(memory.born).as_secs(),
            network_namespace: memory.namespace,
            leak_guard: Some(self.desired.guard.is_some() && !guardless),
            failures: memory.failures.iter().map(ToString::to_string).collect(),
            mended: self.repairs.mended(now),
            mptcp_lately: counters.map_or_else(|_| BTreeMap::new(), |now| memory.lately.rose(now)),
        }
    }
}
