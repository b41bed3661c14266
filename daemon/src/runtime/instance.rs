//! One daemon per runtime directory, and one per network namespace: two would undo each other's
//! kernel state. The kernel holds both claims, and lets go of them when the daemon dies.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, fchown};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

const LOCK: &str = "pathweaved.lock";
/// Abstract Unix names belong to the network namespace (unix(7)).
const NAMESPACE_NAME: &[u8] = b"pathweaved";
/// More of a lock file than a process id is not read.
const LONGEST: u64 = 32;

#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    #[error("another pathweaved{pid} runs on {folder}: stop it, or use another --runtime-dir")]
    Folder { pid: String, folder: String },
    #[error("another pathweaved{pid} already serves this network namespace: stop it first")]
    Namespace { pid: String },
    #[error("{folder}: {error}; the runtime directory must be writable")]
    Unusable { folder: String, error: io::Error },
}

/// Held as long as the daemon runs.
#[derive(Debug)]
pub struct Instance {
    _lock: Flock<File>,
    _name: UnixListener,
}

impl Instance {
    pub fn claim(folder: &Path) -> Result<Self, InstanceError> {
        let lock = claim_folder(folder)?;
        let name = claim_namespace(folder)?;
        Ok(Self {
            _lock: lock,
            _name: name,
        })
    }
}

/// The lock file stays when the daemon stops: removing it would let a third daemon lock a new
/// file while a second still waits for the old one.
fn claim_folder(folder: &Path) -> Result<Flock<File>, InstanceError> {
    let unusable = |error| unusable(folder, error);
    fs::create_dir_all(folder).map_err(unusable)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(folder.join(LOCK)).map_err(unusable)?;
    // Root's `--cleanup` leaves the service's own user a lock that it may take.
    if geteuid().is_root() {
        let owner = fs::metadata(folder).map_err(unusable)?;
        fchown(&file, Some(owner.uid()), Some(owner.gid())).map_err(unusable)?;
    }
    let mut holder = Vec::new();
    (&file)
        .take(LONGEST)
        .read_to_end(&mut holder)
        .map_err(unusable)?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        if errno != Errno::EWOULDBLOCK {
            return unusable(errno.into());
        }
        InstanceError::Folder {
            pid: shown(String::from_utf8_lossy(&holder).trim().parse().ok()),
            folder: folder.display().to_string(),
        }
    })?;
    lock.set_len(0).map_err(unusable)?;
    lock.rewind().map_err(unusable)?;
    writeln!(lock, "{}", std::process::id()).map_err(unusable)?;
    Ok(lock)
}

fn claim_namespace(folder: &Path) -> Result<UnixListener, InstanceError> {
    let name =
        SocketAddr::from_abstract_name(NAMESPACE_NAME).map_err(|error| unusable(folder, error))?;
    UnixListener::bind_addr(&name).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            InstanceError::Namespace {
                pid: shown(holder_of(&name)),
            }
        } else {
            unusable(folder, error)
        }
    })
}

/// The process that listens on a Unix name; abstract names have no permissions, so it may be
/// anybody's.
fn holder_of(name: &SocketAddr) -> Option<i32> {
    let stream = UnixStream::connect_addr(name).ok()?;
    let holder = getsockopt(&stream, PeerCredentials).ok()?;
    Some(holder.pid())
}

fn shown(pid: Option<i32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

fn unusable(folder: &Path, error: io::Error) -> InstanceError {
    InstanceError::Unusable {
        folder: folder.display().to_string(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_on_the_same_directory_is_told_who_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        for _ in 0..2 {
            // The second time over an old lock file, as after a restart.
            let held = claim_folder(folder.path()).unwrap();
            let refused = claim_folder(folder.path()).unwrap_err().to_string();
            let expected = format!(
                "another pathweaved (pid {pid}) runs on {}: stop it, or use another --runtime-dir",
                folder.path().display()
            );
            assert_eq!(refused, expected);
            drop(held);
        }
    }

    #[test]
    fn a_longer_old_pid_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), "123456789012345\n").unwrap();
        let _held = claim_folder(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(LOCK)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    /// In a network namespace of the test's own: the real one may have its daemon.
    #[test]
    fn a_second_daemon_in_the_same_network_namespace_is_told_who_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let refused = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
            let _held = claim_namespace(folder.path()).unwrap();
            Ok::<_, Errno>(claim_namespace(folder.path()).unwrap_err().to_string())
        });
        match refused.join().unwrap() {
            Err(errno) => eprintln!("skipped: no network namespace can be made here ({errno})"),
            Ok(refused) => assert_eq!(
                refused,
                format!(
                    "another pathweaved (pid {}) already serves this network namespace: stop it \
                     first",
                    std::process::id()
                )
            ),
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let refused = claim_folder(Path::new("/proc/nowhere")).unwrap_err();
        assert!(
            refused.to_string().starts_with("/proc/nowhere: "),
            "the operator would have seen: {refused}"
        );
    }
}
