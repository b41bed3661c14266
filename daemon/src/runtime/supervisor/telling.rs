//! What the CLI is told of the whole: each room tells its part.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use crate::control::{Dropped, Status};
use crate::site::PathFacts;

use super::super::clock;
use super::super::lane::Lane;
use super::Supervisor;

impl Supervisor {
    pub(super) fn status(&self) -> Status {
        let subflows = self
            .host
            .count_subflows(&self.addresses)
            .unwrap_or_else(|error| {
                tracing::error!(%error, "subflows cannot be counted");
                BTreeMap::new()
            });
        let facts = self.paths.lanes().map(|(path, lane)| {
            let count = subflows.get(&path).copied().unwrap_or(0);
            (path, facts(lane, count, self.memory.peak(path)))
        });
        let strangers = self.shared.strangers.load(Relaxed);
        let mut warnings = self.desired.warnings.clone();
        warnings.extend(self.repairs.warnings(clock::now()));
        warnings.extend(self.trial_warning(clock::now()));
        warnings.extend(self.metrics.warning());
        let mut status = self.site.status(&facts.collect(), warnings, strangers);
        self.healer.tell(&mut status.site);
        status.site.repairs = self.repairs.totals();
        status.site.diagnosis = self.diagnosis(clock::now());
        self.tell_reserve(&mut status);
        self.tell_fallbacks(&mut status);
        status
    }

    /// No silent fallback: what is plain TCP though it could be more is told.
    fn tell_fallbacks(&self, status: &mut Status) {
        let now = self.host.fallbacks().unwrap_or_default();
        let since = |(reason, count): (&'static str, u64)| {
            let count = count - self.fallbacks.get(reason).copied().unwrap_or(0).min(count);
            (count > 0).then(|| (reason.to_owned(), count))
        };
        status.site.fallbacks = now.into_iter().filter_map(since).collect();
        let plain = self.host.count_plain(&self.addresses).unwrap_or_default();
        for (peer, told) in self.site.view().peers.iter().zip(&mut status.peers) {
            told.plain_tcp = plain.get(&peer.site.id).copied().unwrap_or(0);
        }
    }
}

fn facts(lane: &Lane, subflows: u32, peak: [u64; 2]) -> PathFacts {
    let counters = &lane.tunnel.counters;
    PathFacts {
        endpoint: lane.tunnel.remote(),
        tx_bytes: counters.tx_bytes.load(Relaxed),
        rx_bytes: counters.rx_bytes.load(Relaxed),
        last_handshake: lane.last_handshake(),
        dropped: Dropped {
            wrong_source: counters.wrong_source.load(Relaxed),
            malformed: counters.malformed.load(Relaxed),
            unauthentic: counters.unauthentic.load(Relaxed),
            no_room: counters.no_room.load(Relaxed),
        },
        subflows,
        mtu: lane.tunnel.mtu(),
        offload: lane.offload(),
        handshakes: counters.handshakes.load(Relaxed),
        peak,
    }
}
