//! Which process holds a socket: /proc/PID/fd names it by its inode. Only root sees all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Serialize;

/// A socket's extended attribute with the protocol that its program asked for (net/socket.c).
const PROTOCOL: &str = "system.sockprotoname";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Program {
    pub(super) pid: u32,
    pub(super) name: String,
    /// Its socket is one of MPTCP, whatever became of the connection; `None`: not told.
    #[serde(skip)]
    pub(super) asked_for_mptcp: Option<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Programs(BTreeMap<u32, Program>);

impl Programs {
    /// Of several that share a socket the oldest: the one that was started.
    pub(super) fn of(inodes: impl Iterator<Item = u32>) -> Self {
        let mut wanted: BTreeSet<u32> = inodes.filter(|inode| *inode != 0).collect();
        let mut found = BTreeMap::new();
        for pid in processes() {
            if wanted.is_empty() {
                break;
            }
            let folder = format!("/proc/{pid}/fd");
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if let Some(inode) = inode(&entry.path()).filter(|inode| wanted.remove(inode)) {
                    found.insert(inode, program(pid, &entry.path()));
                }
            }
        }
        Self(found)
    }

    pub(super) fn find(&self, inode: u32) -> Option<Program> {
        self.0.get(&inode).cloned()
    }
}

fn processes() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// `socket:[4711]` → 4711.
fn inode(descriptor: &Path) -> Option<u32> {
    let target = fs::read_link(descriptor).ok()?;
    let number = target.to_str()?.strip_prefix("socket:[")?;
    number.strip_suffix(']')?.parse().ok()
}

fn program(pid: u32, descriptor: &Path) -> Program {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    // A program may give itself any name.
    let name = name.trim_end_matches('\n').escape_debug().to_string();
    let mut buffer = [0; 32];
    let protocol = rustix::fs::getxattr(descriptor, PROTOCOL, &mut buffer).ok();
    let protocol = protocol.and_then(|length| buffer.get(..length));
    Program {
        pid,
        name,
        asked_for_mptcp: protocol.map(|name| name.starts_with(b"MPTCP")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_socket_of_ours_is_ours() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let descriptor = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let inode = inode(Path::new(&descriptor)).unwrap();
        let programs = Programs::of([inode, 0].into_iter());
        let found = programs.find(inode).unwrap();
        assert_eq!(found.pid, std::process::id());
        // What std opens is what the machine says: MPTCP under mptcpize.
        assert!(found.asked_for_mptcp.is_some());
        assert_eq!(programs.find(0), None);
    }
}
