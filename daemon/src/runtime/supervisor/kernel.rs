//! The supervisor's way to the kernel: follows its devices, keeps it as the plan says, and mends
//! what others undo.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::host::{Object, Report};
use crate::names::PathId;
use crate::plan::{self, KernelState, PathUse};
use crate::site::Obstacle;

use super::super::clock;
use super::super::story::say;
use super::Supervisor;

/// Looks take no more than one part in so many of the time.
const LOOKS_SHARE: u32 = 20;

impl Supervisor {
    /// Somebody changed something: follow the devices, mend what is ours.
    pub(super) fn look_at_kernel(&mut self) {
        let devices = match self.host.devices() {
            Ok(devices) => devices,
            Err(error) => {
                tracing::error!(%error, "the devices cannot be listed");
                return;
            }
        };
        if let Err(error) = self.links.refresh(&devices) {
            tracing::error!(%error, "a link cannot be opened");
        }
        let tuns = match self.paths.refresh(&self.host) {
            Ok(results) => results,
            Err(error) => {
                tracing::error!(%error, "the tunnels' devices cannot be listed");
                Vec::new()
            }
        };
        for (path, result) in &tuns {
            match result {
                Ok(()) => {
                    let made = (Object::Device, format!("made the interface of {path} anew"));
                    self.repairs.handle([made].into_iter(), clock::now());
                }
                Err(error) => tracing::error!(%path, %error, "no TUN"),
            }
        }
        self.look_at_links();
        self.stale = true;
    }

    /// Gives each lane its link's sockets, and tells the site what is in a path's way.
    pub(super) fn look_at_links(&mut self) {
        let view = self.site.view().clone();
        for (peer, path) in view.paths() {
            let lane = self.paths.lane(path.id);
            let remote_link = peer.site.links.get(path.remote_link);
            let obstacle = match (lane, self.links.obstacle(path.link)) {
                (None, _) => Some(Obstacle::NoTun(format!("{} cannot be had", path.interface))),
                (Some(_), Some(obstacle)) => Some(obstacle),
                (Some(_), None) => remote_link
                    .filter(|link| link.endpoint.is_none())
                    .map(|link| Obstacle::NoEndpoint {
                        remote_link: link.name.to_string(),
                    }),
            };
            if let Some(lane) = lane {
                lane.sockets.store(Arc::new(self.links.sockets(path.link)));
            }
            self.site.handle_obstacle(path.id, obstacle, clock::now());
        }
        self.due.resolve = clock::now();
    }

    pub(super) fn reconcile(&mut self, uses: BTreeMap<PathId, PathUse>, now: Instant) {
        for (path, usage) in uses
            .iter()
            .filter(|(id, usage)| self.planned.get(id) != Some(usage))
        {
            self.tell(*path, *usage);
        }
        let site_paths = self.site.site_paths();
        for (peer, path) in &site_paths {
            if self.site_paths.get(peer) != Some(path) {
                let peer = self.site.view().peer(*peer);
                let peer = peer.map(|peer| peer.site.name.to_string());
                tracing::info!(peer, path = %path, "site address travels by this path");
            }
        }
        let desired =
            plan::desired(self.site.view(), &uses, &site_paths).managed_by(self.healer.manager());
        match self.host.reconcile(&desired) {
            Ok(report) => {
                say(&report);
                self.count_repairs(&report, &desired, now);
                self.memory.failures = report.failures;
            }
            Err(error) => tracing::error!(%error, "the kernel cannot be brought in order"),
        }
        self.desired = desired;
        if self.planned != uses {
            let live = uses.iter().filter(|(_, usage)| **usage == PathUse::Live);
            self.live = live.map(|(path, _)| *path).collect();
            self.healer.hurry(now);
            // Asks for the addresses of what went down, and learns those of what came up.
            self.due.resolve = now;
        }
        (self.planned, self.site_paths) = (uses, site_paths);
        self.stale = false;
    }

    /// What was changed though nothing else is wanted than before, somebody had undone.
    fn count_repairs(&mut self, report: &Report, desired: &KernelState, now: Instant) {
        if *desired != self.desired {
            return;
        }
        let mended = report.changes.iter();
        let mended = mended.map(|change| (change.object(), change.to_string()));
        let before = self.repairs.warnings(now).len();
        self.repairs.handle(mended, now);
        let warnings = self.repairs.warnings(now);
        for warning in warnings.iter().skip(before) {
            tracing::warn!("{warning}");
        }
    }

    /// The kernel does not announce everything that somebody may change.
    pub(super) fn look_at_unannounced(&mut self, now: Instant) {
        match self.host.is_disturbed(&self.desired) {
            Ok(false) => {}
            Ok(true) => self.look_soon(now),
            Err(error) => tracing::debug!(%error, "the kernel's MPTCP state cannot be read"),
        }
    }

    /// Somebody changed something; more may come. With hundreds of paths a look takes long, and
    /// while their MTUs are searched, somebody always changes something: then there is a rest
    /// between two looks.
    pub(super) fn look_soon(&mut self, now: Instant) {
        let (looked, cost) = self.last_look;
        let soon = (now + self.repairs.settle(now)).max(looked + cost * LOOKS_SHARE);
        self.due.look_at_kernel = self.due.look_at_kernel.min(soon);
    }

    /// One line of the operator's story.
    fn tell(&self, path: PathId, usage: PathUse) {
        let peer = self
            .site
            .view()
            .peer(path.peer)
            .map(|peer| peer.site.name.to_string());
        let (peer, number) = (peer.unwrap_or_default(), path.number);
        match usage {
            PathUse::Live => tracing::info!(peer, path = %number, "path is up"),
            PathUse::Idle | PathUse::Absent => {
                let why = self.site.reason(path).unwrap_or_default();
                tracing::info!(peer, path = %number, why, "path is not up");
            }
        }
    }
}
