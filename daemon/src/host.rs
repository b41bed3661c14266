//! The kernel's state: observe it, compare it with the plan object by object, apply the
//! difference. Start is "change from empty", stop is "change to empty", recovery after a crash
//! is the same road. What is not ours is alien and stays.
//!
//! Ours is recognised: addresses on `lo` by protocol 183, routes and rules by protocol 183 and
//! by their tables and priorities, MPTCP endpoints by addresses inside the overlay, the nft
//! table by its name, TUN devices by their name and alias.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel tells much that is none of our business"
)]

mod address;
mod apply;
pub mod device;
mod error;
mod fallback;
mod journal;
mod mptcp;
pub mod netlink;
mod nft;
mod observe;
pub mod path_manager;
mod progress;
mod route;
mod rule;
mod sockets;
pub mod subflows;
mod sysctl;
mod verdict;
pub mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use crate::plan::{self, Guard, KernelState};

pub use error::HostError;
use journal::Journal;
use netlink::Netlink;
use verdict::Step;
pub use verdict::{Change, Object};

/// What a reconciliation did.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they were made.
    pub changes: Vec<Change>,
    pub failures: Vec<HostError>,
}

/// A program's say in the choice of subflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathManagement {
    None,
    /// Linux 5.19: all but the first subflow, which is not opened again.
    Partial,
    /// Linux 6.12: every one.
    Full,
}

/// A sysctl that came with Linux 6.12, below `/proc/sys`.
pub const LINUX_6_12: &str = "net/mptcp/blackhole_timeout";

/// The kernel's network state in this network namespace.
#[derive(Debug)]
pub struct Host {
    netlink: Netlink,
    journal: Journal,
    nft: nft::Nft,
    /// Sysctls that this kernel has not, and that the operator was told of.
    absent: BTreeSet<String>,
}

impl Host {
    /// Checks that the machine can do what is needed. Changes nothing.
    pub fn open(state_dir: &Path) -> Result<Self, HostError> {
        if !Path::new("/proc/sys/net/mptcp").exists() {
            return Err(HostError::NoMptcp);
        }
        if !may_change_network() {
            return Err(HostError::NotPermitted);
        }
        let netlink = Netlink::open().map_err(HostError::object("netlink"))?;
        Ok(Self {
            netlink,
            journal: Journal::open(state_dir)?,
            nft: nft::Nft::open(),
            absent: BTreeSet::new(),
        })
    }

    /// The guard can be loaded, as far as can be seen without loading it.
    pub fn check_guard(&self) -> Result<(), HostError> {
        nft::check()
    }

    /// Puts the guard in place, whatever else there is. One that is there already is replaced in
    /// one step.
    pub fn load_guard(&mut self, guard: &Guard) -> Result<(), HostError> {
        nft::check()?;
        self.nft.load(guard)
    }

    /// Makes the kernel as `desired` says. A second call with the same plan changes nothing.
    pub fn reconcile(&mut self, desired: &KernelState) -> Result<Report, HostError> {
        let observed = self.observe(desired)?;
        self.journal.remember(desired, &observed)?;
        self.tell_absent(desired, &observed);
        Ok(self.apply_all(verdict::changes(desired, &observed)))
    }

    /// Whether something is not as `desired` says of what the kernel does not announce: sysctls,
    /// MPTCP's endpoints and limits. Cheap: it may be asked every second.
    pub fn is_disturbed(&self, desired: &KernelState) -> Result<bool, HostError> {
        let observed = self.observe_unannounced(desired)?;
        Ok(verdict::is_disturbed(desired, &observed))
    }

    /// Removes everything that is ours and puts back what we changed. Needs no configuration,
    /// works after a crash, and does nothing on a clean machine.
    pub fn clear(&mut self) -> Result<Report, HostError> {
        let empty = plan::nothing();
        let observed = self.observe(&empty)?;
        let mut steps = verdict::changes(&empty, &observed);
        let (guard, mut steps): (Vec<_>, Vec<_>) = steps
            .drain(..)
            .partition(|change| change.0 == Step::UnloadGuard);
        steps.extend(self.journal.restorations(&observed).into_iter().map(Change));
        // The guard goes last: until then nothing can leak.
        steps.extend(guard);
        let mut report = self.apply_all(steps);
        if report.failures.is_empty() {
            report.failures.extend(self.journal.forget().err());
        }
        if report.changes.is_empty() && report.failures.is_empty() {
            tracing::info!("nothing of pathweave's is on this machine");
        }
        Ok(report)
    }

    /// One step after the other; a step that fails does not hold up the others.
    fn apply_all(&mut self, changes: Vec<Change>) -> Report {
        let mut report = Report::default();
        for change in changes {
            match self.apply(&change) {
                Ok(()) => report.changes.push(change),
                Err(error) => report.failures.push(error),
            }
        }
        report
    }

    /// How far the kernel lets a program choose the subflows.
    pub fn path_management(&self) -> PathManagement {
        match (sysctl::read(plan::PATH_MANAGER), sysctl::read(LINUX_6_12)) {
            (Err(_), _) => PathManagement::None,
            (Ok(_), Err(_)) => PathManagement::Partial,
            (Ok(_), Ok(_)) => PathManagement::Full,
        }
    }

    /// Makes every connection's subflow from `address` anew: the in-kernel path manager does it
    /// when an endpoint comes, never by itself. It renews the subflows to *all* peers.
    pub fn renew_endpoint(&mut self, address: IpAddr) -> Result<(), HostError> {
        let explain = || HostError::object(format!("MPTCP endpoint {address}"));
        let endpoints = self.netlink.endpoints().map_err(explain())?;
        for old in endpoints.into_iter().filter(|e| e.address == address) {
            self.netlink.remove_endpoint(old).map_err(explain())?;
        }
        self.netlink.add_endpoint(address).map_err(explain())
    }

    /// A kernel may be too old for a sysctl that makes things better. Says so once.
    fn tell_absent(&mut self, desired: &KernelState, observed: &observe::Observed) {
        for sysctl in &desired.sysctls {
            let machine = sysctl.lifetime == plan::Lifetime::Machine;
            let missing = machine && !observed.sysctls.contains_key(&sysctl.name);
            if missing && self.absent.insert(sysctl.name.clone()) {
                let name = sysctl.name.replace('/', ".");
                tracing::warn!(
                    sysctl = name,
                    "this kernel has no such sysctl: outages are survived less well than on a \
                     newer one"
                );
            }
        }
    }
}

/// CAP_NET_ADMIN (12, linux/capability.h) is among the thread's effective capabilities.
fn may_change_network() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits & (1 << 12) != 0)
}

#[cfg(test)]
mod tests;
