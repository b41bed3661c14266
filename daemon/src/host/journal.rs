//! What the machine was like before us: written to the state directory, and on the disk, before
//! anything is changed. After a crash, the next start or `--cleanup` finds it there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::plan::{KernelState, Lifetime};

use super::HostError;
use super::mptcp::Limits;
use super::observe::Observed;
use super::verdict::{self, Step};

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
            Ok(bytes) => parse(&bytes, &path),
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

    /// The networks in which endpoints are ours.
    pub(super) fn overlay(&self) -> &[IpNetwork] {
        &self.entry.overlay
    }

    /// Names of the sysctls that we changed.
    pub(super) fn sysctls(&self) -> impl Iterator<Item = &str> {
        self.entry.sysctls.keys().map(String::as_str)
    }

    /// Notes what `desired` is about to change, unless it is noted already.
    pub(super) fn remember(
        &mut self,
        desired: &KernelState,
        observed: &Observed,
    ) -> Result<(), HostError> {
        let entry = self.entry.with(desired, observed);
        if entry == self.entry {
            return Ok(());
        }
        write(&self.path, &entry).map_err(|error| failure(&self.path, error))?;
        self.entry = entry;
        Ok(())
    }

    /// The steps that put back what is still as we left it.
    pub(super) fn restorations(&self, observed: &Observed) -> Vec<Step> {
        let mut steps = Vec::new();
        for (name, original) in &self.entry.sysctls {
            match observed.sysctls.get(name) {
                Some(now) if *now == original.ours => steps.push(Step::RestoreSysctl {
                    name: name.clone(),
                    value: original.before.clone(),
                }),
                Some(now) if *now != original.before => tracing::info!(
                    sysctl = name.replace('/', "."),
                    value = now,
                    "changed by somebody else since: left as it is"
                ),
                Some(_) | None => {}
            }
        }
        if let Some((before, ours)) = self.entry.limits
            && observed.limits == Some(ours)
            && before != ours
        {
            steps.push(Step::RestoreLimits(before));
        }
        steps
    }

    /// After everything was put back.
    pub(super) fn forget(&mut self) -> Result<(), HostError> {
        let place = std::mem::take(&mut self.entry.place);
        self.entry = Entry {
            place,
            ..Entry::default()
        };
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failure(&self.path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Entry {
    /// This entry, and what it does not know yet.
    fn with(&self, desired: &KernelState, observed: &Observed) -> Self {
        let mut entry = self.clone();
        let new = desired
            .ours
            .iter()
            .filter(|network| !self.overlay.contains(network));
        entry.overlay.extend(new);
        let lasting = desired
            .sysctls
            .iter()
            .filter(|s| s.lifetime == Lifetime::Machine);
        for sysctl in lasting {
            let now = observed.sysctls.get(&sysctl.name);
            let Some((before, ours)) = now.and_then(|now| Some((now, sysctl.value.wanted(now)?)))
            else {
                continue;
            };
            let original = Original {
                before: before.clone(),
                ours: ours.clone(),
            };
            // Somebody changed it meanwhile: what was before us stays what it was.
            entry
                .sysctls
                .entry(sysctl.name.clone())
                .or_insert(original)
                .ours = ours;
        }
        if let Some(before) = observed.limits
            && entry.limits.is_none()
            && let Some(ours) = verdict::raised(desired, observed)
        {
            entry.limits = Some((before, ours));
        }
        entry
    }
}

/// A journal that nobody can read must not keep the daemon from starting.
fn parse(bytes: &[u8], path: &Path) -> Option<Entry> {
    let entry = serde_json::from_slice(bytes);
    if let Err(error) = &entry {
        let path = path.display();
        tracing::warn!(%path, %error, "unreadable: the sysctls of before are not known any more");
    }
    entry.ok()
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
    fs::rename(&aside, path)?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
