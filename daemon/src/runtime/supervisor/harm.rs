//! Do no harm, carried out: what connections move → [`Harm`] → which subflows shall wait in
//! reserve. Only where we are the path manager: the kernel's own takes no wish for one connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::control::Status;
use crate::harm::{Harm, Moved};
use crate::names::{PathId, SiteId};
use crate::plan::{PathAddresses, PathManager, Progress};

use super::Supervisor;

#[derive(Debug, Default)]
pub(super) struct Reserve {
    peers: BTreeMap<SiteId, Harm>,
    /// How far each connection had come at the last look.
    acked: BTreeMap<u32, u64>,
    /// The user's bytes on all paths at the last look: while nothing moves, nothing is measured.
    bytes: u64,
    paths: BTreeSet<PathId>,
}

impl Reserve {
    /// What each peer has acknowledged since the last look, and has still to.
    fn moved(
        &mut self,
        connections: &[Progress],
        paths: &[PathAddresses],
    ) -> BTreeMap<SiteId, Moved> {
        let before = std::mem::take(&mut self.acked);
        let mut moved: BTreeMap<SiteId, Moved> = BTreeMap::new();
        for one in connections {
            self.acked.insert(one.token, one.acked);
            let reaches = |path: &&PathAddresses| path.reaches(one.destination);
            let Some(path) = paths.iter().find(reaches) else {
                continue;
            };
            let moved = moved.entry(path.path.peer).or_default();
            moved.waiting += one.outstanding;
            let then = before.get(&one.token).copied().unwrap_or(one.acked);
            moved.acked += one.acked.saturating_sub(then);
        }
        moved
    }

    fn of_peers(&self) -> BTreeSet<PathId> {
        let of = |(peer, harm): (&SiteId, &Harm)| {
            let peer = *peer;
            harm.reserve()
                .into_iter()
                .map(move |number| PathId { peer, number })
        };
        self.peers.iter().flat_map(of).collect()
    }
}

impl Supervisor {
    pub(super) fn look_at_harm(&mut self, now: Instant) {
        if self.healer.manager() == PathManager::Kernel {
            return;
        }
        let bytes = self.paths.lanes().map(|(_, lane)| lane.data_bytes()).sum();
        let idle = bytes == self.reserve.bytes;
        self.reserve.bytes = bytes;
        if idle && self.reserve.acked.is_empty() && self.reserve.paths.is_empty() {
            return;
        }
        let connections = match self.host.progress() {
            Ok(connections) => connections,
            Err(error) => return tracing::debug!(%error, "connections cannot be listed"),
        };
        let moved = self.reserve.moved(&connections, &self.addresses);
        if idle {
            self.reserve.acked.clear();
        }
        let conditions = self.site.conditions(now);
        self.reserve
            .peers
            .retain(|peer, _| conditions.contains_key(peer));
        for (peer, paths) in &conditions {
            let harm = self.reserve.peers.entry(*peer).or_default();
            harm.handle_look(moved.get(peer).copied().unwrap_or_default(), paths, now);
        }
        let paths = self.reserve.of_peers();
        self.tell_changes(&paths, now);
        if !paths.is_empty() || !self.reserve.paths.is_empty() {
            self.reserve.paths = paths;
            self.set_priorities();
        }
    }

    fn tell_changes(&self, paths: &BTreeSet<PathId>, now: Instant) {
        for path in paths.difference(&self.reserve.paths) {
            let harm = self.reserve.peers.get(&path.peer);
            let why = harm.and_then(|harm| harm.reason(path.number, now));
            tracing::info!(%path, why, "connections leave this path aside");
        }
        for path in self.reserve.paths.difference(paths) {
            tracing::info!(%path, "connections use this path again");
        }
    }

    fn set_priorities(&self) {
        let subflows = match self.host.subflows() {
            Ok(subflows) => subflows,
            Err(error) => return tracing::debug!(%error, "subflows cannot be listed"),
        };
        for subflow in subflows.iter().filter(|subflow| subflow.established) {
            let carries = |path: &&PathAddresses| path.carries(subflow.source, subflow.destination);
            let Some(path) = self.addresses.iter().find(carries) else {
                continue;
            };
            let backup = self.reserve.paths.contains(&path.path);
            if backup != subflow.backup
                && let Err(error) = self.host.set_backup(subflow, backup)
            {
                tracing::debug!(%error, path = %path.path, backup, "a subflow's priority");
            }
        }
    }

    pub(super) fn tell_reserve(&self, status: &mut Status) {
        let now = super::clock::now();
        for (peer, site) in self.site.view().peers.iter().zip(&mut status.peers) {
            let Some(harm) = self.reserve.peers.get(&peer.site.id) else {
                continue;
            };
            for (path, told) in peer.paths.iter().zip(&mut site.paths) {
                told.reserve = harm.reason(path.id.number, now);
            }
        }
    }
}
