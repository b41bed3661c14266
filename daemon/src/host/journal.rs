//! What the machine was like before us: written to the state directory, and on the disk, before
//! anything is changed. After a crash, the next start or `--cleanup` finds it there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::plan::KernelState;

use super::mptcp::Limits;
use super::netlink::Netlink;
use super::{HostError, sysctl};

const FILE: &str = "before.json";

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    entry: Entry,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// This boot and this network namespace; an entry of another says nothing about this one.
    place: String,
    overlay: Vec<IpNetwork>,
    sysctls: BTreeMap<String, Original>,
    limits: Option<(Limits, Limits)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Original {
    before: String,
    ours: String,
}

impl Journal {
    pub(super) fn open(folder: &Path) -> Result<Self, HostError> {
        let path = folder.join(FILE);
        let explain = |error| failure(&path, error);
        let place = place().map_err(explain)?;
        let old = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Entry>(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failure(&path, error)),
        };
        let here = old.filter(|entry| entry.place == place);
        let entry = here.unwrap_or_else(|| Entry {
            place,
            ..Entry::default()
        });
        Ok(Self { path, entry })
    }

    /// The networks in which addresses and endpoints are ours.
    pub(super) fn overlay(&self) -> Vec<IpNetwork> {
        self.entry.overlay.clone()
    }

    /// Notes what `desired` is about to change, unless it is noted already.
    pub(super) fn remember(
        &mut self,
        netlink: &Netlink,
        desired: &KernelState,
    ) -> Result<(), HostError> {
        let mut entry = self.entry.clone();
        for network in desired
            .ours
            .iter()
            .filter(|n| !self.entry.overlay.contains(n))
        {
            entry.overlay.push(*network);
        }
        for wanted in &desired.sysctls {
            let Some(ours) = sysctl::wanted(wanted) else {
                continue;
            };
            let Ok(before) = sysctl::read(wanted.name) else {
                continue;
            };
            entry
                .sysctls
                .entry(wanted.name.to_owned())
                .or_insert(Original { before, ours });
        }
        if entry.limits.is_none() && !desired.addresses.is_empty() {
            let before = netlink
                .limits()
                .map_err(HostError::object("MPTCP limits"))?;
            let enough = u32::try_from(crate::plan::ENDPOINTS).unwrap_or(u32::MAX);
            let ours = Limits {
                subflows: before.subflows.max(enough),
                ..before
            };
            entry.limits = Some((before, ours));
        }
        if entry == self.entry {
            return Ok(());
        }
        write(&self.path, &entry).map_err(|error| failure(&self.path, error))?;
        self.entry = entry;
        Ok(())
    }

    /// Puts back what is still as we left it, and forgets it.
    pub(super) fn restore(&mut self, netlink: &Netlink) -> Vec<HostError> {
        let mut failures = Vec::new();
        for (name, original) in &self.entry.sysctls {
            if sysctl::read(name).is_ok_and(|now| now == original.ours) {
                failures.extend(sysctl::write(name, &original.before).err());
            } else {
                tracing::info!(sysctl = %name, "somebody else changed it since: left as it is");
            }
        }
        if let Some((before, ours)) = self.entry.limits
            && netlink.limits().is_ok_and(|now| now == ours)
        {
            failures.extend(
                netlink
                    .set_limits(before)
                    .map_err(HostError::object("MPTCP limits"))
                    .err(),
            );
        }
        if failures.is_empty() {
            let place = std::mem::take(&mut self.entry.place);
            self.entry = Entry {
                place,
                ..Entry::default()
            };
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    failures.push(failure(&self.path, error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        failures
    }
}

fn failure(path: &Path, error: io::Error) -> HostError {
    HostError::Journal {
        path: path.display().to_string(),
        error,
    }
}

fn place() -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::metadata("/proc/thread-self/ns/net")?;
    Ok(format!("{} {}", boot.trim(), namespace.ino()))
}

/// Written aside, synced, then renamed: after a power cut there is the old one or the new one.
fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(entry)?)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}
