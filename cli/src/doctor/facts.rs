//! All that the checks may know. Values only: where they come from is [`super::look`]'s business.

use std::collections::{BTreeMap, BTreeSet};

use pathweaved::control::{PathStatus, PeerStatus, Status};

#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) daemon: Daemon,
    /// This command's version.
    pub(crate) version: String,
    /// The daemon's program was replaced since it was started.
    pub(crate) replaced: bool,
    /// What the daemon's settings are now, of this network namespace.
    pub(crate) kernel: Kernel,
    pub(crate) machine: Machine,
    pub(crate) clock: Clock,
    /// What could not be looked at, and why, one sentence each.
    pub(crate) unseen: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Daemon {
    Running(Box<Status>),
    /// What the socket said, and systemd, if it is there.
    Absent {
        why: String,
        unit: Option<Unit>,
    },
    /// It runs, and may not be asked.
    Closed,
}

/// `pathweaved.service`, as systemd sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// `active`, `inactive`, `failed`, …
    pub(crate) state: String,
    /// `success`, `exit-code`, …
    pub(crate) result: String,
    pub(crate) exit_code: String,
}

/// Of the network namespace in which this command runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    /// `6.12.48-amd64`
    pub(crate) release: String,
    /// Or later, as far as MPTCP goes.
    pub(crate) is_6_12: bool,
    /// By their dotted names, as far as this kernel has them.
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Packets that the reverse path filter has dropped.
    pub(crate) filtered: u64,
    /// Devices with a default route, for IPv4 and for IPv6.
    pub(crate) default_routes: [BTreeSet<String>; 2],
    pub(crate) namespace: Option<u64>,
    /// That of process 1; only root may see it.
    pub(crate) first_namespace: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// Share of all processors' time that was used in the last moment, 0.0..=1.0.
    pub(crate) busy: f64,
    /// The same of the busiest one.
    pub(crate) busiest: f64,
    /// Share of the last ten seconds in which somebody waited, in percent (`some avg10`).
    pub(crate) pressure: BTreeMap<String, f64>,
    pub(crate) memory: u64,
    /// bit/s of the user's data over all paths in the same moment, out and in.
    pub(crate) rate: [u64; 2],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// A file of ours that was written later than now, and when.
    pub(crate) future: Option<(String, u64)>,
}

impl Facts {
    pub(crate) fn status(&self) -> Option<&Status> {
        match &self.daemon {
            Daemon::Running(status) => Some(status),
            Daemon::Absent { .. } | Daemon::Closed => None,
        }
    }

    /// What the kernel says here is what the daemon sees.
    pub(crate) fn same_namespace(&self) -> bool {
        let there = self
            .status()
            .and_then(|status| status.site.diagnosis.network_namespace);
        there.is_none() || self.kernel.namespace.is_none() || there == self.kernel.namespace
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerStatus> {
        self.status().into_iter().flat_map(|status| &status.peers)
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = (&PeerStatus, &PathStatus)> {
        self.peers()
            .flat_map(|peer| peer.paths.iter().map(move |path| (peer, path)))
    }

    /// A sysctl's words as numbers.
    pub(crate) fn numbers(&self, sysctl: &str) -> Option<Vec<u64>> {
        let words = self.kernel.sysctls.get(sysctl)?.split_whitespace();
        words.map(|word| word.parse().ok()).collect()
    }

    /// The devices of our links.
    pub(crate) fn link_devices(&self) -> BTreeSet<&str> {
        let devices = self
            .paths()
            .filter_map(|(_, path)| path.diagnosis.device.as_deref());
        devices.collect()
    }
}

/// How a path is called in a sentence.
pub(crate) fn name(peer: &PeerStatus, path: &PathStatus) -> String {
    format!(
        "path {} to {} ({} → {})",
        path.path, peer.site, path.link, path.remote_link
    )
}
