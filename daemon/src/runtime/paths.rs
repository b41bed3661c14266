//! The lanes of all paths: made, replaced when somebody deletes their TUN, and shown to the
//! receivers as one switchboard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnetwork::IpNetwork;

use crate::change::{Changes, Fate};
use crate::config::{Path, Peer, SiteKind, View};
use crate::host::{Host, HostError};
use crate::names::{InterfaceName, PathId};
use crate::tun::{Tun, TunError};
use crate::tunnel::switchboard::{self, Seat, Switchboard};
use crate::tunnel::{Parts, Tunnel};

use super::lane::{Lane, Outbound};
use super::receiver::Shared;
use super::wake::Stoppable;

#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error(transparent)]
    Tun(#[from] TunError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What became of opening a path.
pub type Opened = (PathId, Result<(), PathError>);

/// A path's lane and its outbound thread.
#[derive(Debug)]
struct Running {
    lane: Arc<Lane>,
    /// Its place on the switchboard, for as long as it lives.
    slot: u16,
    _outbound: Stoppable,
}

#[derive(Debug)]
pub struct Paths {
    view: View,
    shared: Arc<Shared>,
    running: BTreeMap<PathId, Running>,
}

impl Paths {
    pub fn new(view: &View, shared: Arc<Shared>) -> Self {
        Self {
            view: view.clone(),
            shared,
            running: BTreeMap::new(),
        }
    }

    /// Refuses interface names that another program has taken. Changes nothing.
    pub fn check_names(view: &View, host: &Host) -> Result<(), PathError> {
        let devices = host.devices()?;
        for (_, path) in view.paths() {
            let name = &path.interface;
            let taken = devices.iter().find(|device| device.name == name.as_str());
            if taken.is_some_and(|device| !device.is_ours()) {
                return Err(TunError::Taken(name.clone()).into());
            }
        }
        Ok(())
    }

    /// Makes the lanes that are missing, and those anew whose TUN is gone. Each path's result.
    pub fn refresh(&mut self, host: &Host) -> Result<Vec<Opened>, HostError> {
        let devices = host.devices()?;
        let there = |name: &InterfaceName| devices.iter().any(|d| d.name == name.as_str());
        let view = self.view.clone();
        let mut results = Vec::new();
        for (peer, path) in view.paths() {
            if self.running.contains_key(&path.id) && there(&path.interface) {
                continue;
            }
            self.running.remove(&path.id);
            results.push((path.id, self.open(host, peer, path)));
        }
        if !results.is_empty() {
            self.publish();
        }
        Ok(results)
    }

    /// Makes the lanes of the paths that a new view adds. On `Err` none of them is there.
    pub fn add(&mut self, view: &View, changes: &Changes, host: &Host) -> Result<(), PathError> {
        let old = std::mem::replace(&mut self.view, view.clone());
        let added: BTreeSet<_> = changes.paths(Fate::Added).collect();
        let paths = view.paths().filter(|(_, path)| added.contains(&path.id));
        let mut paths = paths.map(|(peer, path)| self.open(host, peer, path));
        let opened = paths.try_for_each(|opened| opened);
        self.view = old;
        if opened.is_err() {
            self.forget(added.into_iter());
        }
        opened
    }

    /// Their devices go with the next reconciliation.
    pub fn forget(&mut self, paths: impl Iterator<Item = PathId>) {
        for path in paths {
            self.running.remove(&path);
        }
    }

    /// Follows a new view, whose paths were added. Each result of those made anew.
    pub fn change(
        &mut self,
        view: &View,
        changes: &Changes,
        host: &Host,
    ) -> Result<Vec<Opened>, HostError> {
        self.view = view.clone();
        for path in changes
            .paths(Fate::Removed)
            .chain(changes.paths(Fate::Remade))
        {
            self.running.remove(&path);
        }
        for (peer, path) in view.paths() {
            if let Some(running) = self.running.get(&path.id) {
                running.lane.tunnel.allow(self.allowed(peer));
            }
        }
        let results = self.refresh(host);
        self.publish();
        results
    }

    pub fn lane(&self, path: PathId) -> Option<&Arc<Lane>> {
        self.running.get(&path).map(|running| &running.lane)
    }

    pub fn lanes(&self) -> impl Iterator<Item = (PathId, &Arc<Lane>)> {
        self.running
            .iter()
            .map(|(path, running)| (*path, &running.lane))
    }

    fn open(&mut self, host: &Host, peer: &Peer, path: &Path) -> Result<(), PathError> {
        let link = self.view.site.links.get(path.link);
        let tun = Tun::open(&path.interface, link.is_none_or(|link| link.offload))?;
        let what = format!("path {} to {}", path.id.number, peer.site.name);
        host.prepare_tun(&path.interface, path.mtu, &what)?;
        tun.persist()?;
        let slot = self.free_slot();
        let tunnel = Tunnel::new(&self.shared.identity, self.parts(peer, path, slot));
        let lane = Arc::new(Lane::new(tunnel, tun));
        let outbound = Outbound::new(lane.clone()).start()?;
        self.running.insert(
            path.id,
            Running {
                lane,
                slot,
                _outbound: outbound,
            },
        );
        Ok(())
    }

    fn free_slot(&self) -> u16 {
        let taken: BTreeSet<_> = self.running.values().map(|running| running.slot).collect();
        let free = (0..).find(|slot| !taken.contains(slot));
        free.unwrap_or(u16::MAX)
    }

    /// The inner sources that a peer's packets may have.
    pub fn allowed(&self, peer: &Peer) -> Vec<IpNetwork> {
        let mut allowed = self.view.overlay.site_networks(peer.site.id);
        allowed.extend(&peer.site.subnets);
        allowed
    }

    fn parts(&self, peer: &Peer, path: &Path, slot: u16) -> Parts {
        let overlay = &self.view.overlay;
        let echo_to = match peer.site.kind {
            SiteKind::Pathweave => Vec::new(),
            SiteKind::WireGuard => overlay.addresses(self.view.site.id, path.id.number),
        };
        Parts {
            path: path.id,
            key: path.public_key,
            index: switchboard::index(slot, path.id.number),
            mtu: path.mtu,
            allowed: self.allowed(peer),
            echo_to,
            merges_marks: peer.site.kind == SiteKind::Pathweave,
        }
    }

    /// A seat for every path that runs, at its slot.
    fn publish(&self) {
        let seats = self.view.paths().filter_map(|(peer, path)| {
            let running = self.running.get(&path.id)?;
            let seat = Seat {
                tunnel: running.lane.clone(),
                key: path.public_key,
                path: path.id.number,
                numbered: peer.site.kind == SiteKind::Pathweave,
                link: path.link,
            };
            Some((running.slot, seat))
        });
        let mut seats: BTreeMap<u16, _> = seats.collect();
        let last = seats.keys().next_back().copied();
        let all = last.map(|last| (0..=last).map(|slot| seats.remove(&slot)).collect());
        self.shared
            .lanes
            .store(Arc::new(Switchboard::new(all.unwrap_or_default())));
    }
}
