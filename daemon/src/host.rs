//! The kernel's state: observe it, compare it with the plan object by object, apply the
//! difference. Start is "change from empty", stop is "change to empty", recovery after a crash
//! is the same road. What is not ours is alien and stays.
//!
//! Ours is recognised: routes and rules by protocol 183, addresses on `lo` and MPTCP endpoints
//! inside the overlay, the nft table by its name, TUN devices by their name and alias.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel tells much that is none of our business"
)]

pub mod device;
mod journal;
mod mptcp;
mod netlink;
mod nft;
mod observe;
mod route;
pub mod subflows;
mod sysctl;
mod verdict;
pub mod watch;

use std::io;
use std::path::Path;

use crate::plan::KernelState;

use journal::Journal;
use netlink::Netlink;
pub use verdict::Change;

/// Why the machine cannot carry pathweave, or why one object could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "this kernel has no MPTCP (/proc/sys/net/mptcp is missing): use a kernel of 5.16 or \
         later that is built with CONFIG_MPTCP"
    )]
    NoMptcp,
    #[error("the kernel's network state may not be changed: run as root or with CAP_NET_ADMIN")]
    NotPermitted,
    #[error(
        "the leak guard needs `nft`, which is not installed: install the package nftables, or \
         set `leak_guard = false` to run without it"
    )]
    NoNft,
    #[error("nft refuses the leak guard: {0}")]
    Nft(String),
    #[error("{object}: {error}")]
    Object { object: String, error: io::Error },
    #[error("{path}: {error}; the state directory must be writable")]
    Journal { path: String, error: io::Error },
}

impl HostError {
    fn object(object: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.raw_os_error().map(nix::errno::Errno::from_raw) {
            Some(nix::errno::Errno::EPERM) => Self::NotPermitted,
            _ => Self::Object {
                object: object.to_string(),
                error,
            },
        }
    }
}

/// What a reconciliation did.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they were made.
    pub changes: Vec<Change>,
    pub failures: Vec<HostError>,
}

/// The kernel's network state in this network namespace.
#[derive(Debug)]
pub struct Host {
    netlink: Netlink,
    journal: Journal,
    nft: nft::Nft,
}

impl Host {
    /// Checks that the machine can do what is needed. Changes nothing.
    pub fn open(state_dir: &Path) -> Result<Self, HostError> {
        if !Path::new("/proc/sys/net/mptcp").exists() {
            return Err(HostError::NoMptcp);
        }
        let netlink = Netlink::open().map_err(HostError::object("netlink"))?;
        let journal = Journal::open(state_dir)?;
        Ok(Self {
            netlink,
            journal,
            nft: nft::Nft::default(),
        })
    }

    /// The guard can be loaded, as far as can be seen without loading it.
    pub fn check_guard(&self) -> Result<(), HostError> {
        nft::check()
    }

    /// Makes the kernel as `desired` says. A second call with the same plan changes nothing.
    pub fn reconcile(&mut self, desired: &KernelState) -> Result<Report, HostError> {
        self.journal.remember(&self.netlink, desired)?;
        let observed = self.observe(&desired.ours)?;
        let mut report = Report::default();
        for change in verdict::changes(desired, &observed) {
            match self.apply(&change) {
                Ok(()) => report.changes.push(change),
                Err(error) => report.failures.push(error),
            }
        }
        Ok(report)
    }

    /// Removes everything that is ours and puts back what we changed. Needs no configuration,
    /// works after a crash, and does nothing on a clean machine.
    pub fn clear(&mut self) -> Result<Report, HostError> {
        let empty = KernelState {
            ours: self.journal.overlay(),
            ..KernelState::default()
        };
        let observed = self.observe(&empty.ours)?;
        let mut report = Report::default();
        for change in verdict::changes(&empty, &observed) {
            match self.apply(&change) {
                Ok(()) => report.changes.push(change),
                Err(error) => report.failures.push(error),
            }
        }
        report.failures.extend(self.remove_devices().err());
        report.failures.extend(self.nft.unload().err());
        report.failures.extend(self.journal.restore(&self.netlink));
        Ok(report)
    }

    fn remove_devices(&self) -> Result<(), HostError> {
        for device in self.devices()?.into_iter().filter(device::Device::is_ours) {
            self.remove_device(&device)?;
        }
        Ok(())
    }
}
