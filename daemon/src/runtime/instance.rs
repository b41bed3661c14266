//! One daemon per runtime directory, and one per network namespace.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

const LOCK: &str = "pathweaved.lock";
/// Abstract Unix names belong to the network namespace (unix(7)).
const NAMESPACE_NAME: &[u8] = b"pathweaved";

#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    #[error("another pathweaved{pid} runs on {folder}: stop it, or use another --runtime-dir")]
    Folder { pid: String, folder: String },
    #[error("another pathweaved serves this network namespace already: stop it first")]
    Namespace,
    #[error("{folder}: {error}; the runtime directory must be writable")]
    Unusable { folder: String, error: io::Error },
}

/// Held as long as the daemon runs; the kernel lets go of it when the daemon dies.
#[derive(Debug)]
pub struct Instance {
    _lock: Flock<File>,
    _name: UnixListener,
}

impl Instance {
    pub fn claim(folder: &Path) -> Result<Self, InstanceError> {
        let shown = || folder.display().to_string();
        let unusable = |error| InstanceError::Unusable {
            folder: shown(),
            error,
        };
        fs::create_dir_all(folder).map_err(unusable)?;
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let mut file = open.open(folder.join(LOCK)).map_err(unusable)?;
        let mut pid = String::new();
        file.read_to_string(&mut pid).map_err(unusable)?;
        let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            let pid = pid.trim();
            let pid = if pid.is_empty() {
                String::new()
            } else {
                format!(" (pid {pid})")
            };
            InstanceError::Folder {
                pid,
                folder: shown(),
            }
        })?;
        lock.set_len(0).map_err(unusable)?;
        writeln!(lock, "{:<10}", std::process::id()).map_err(unusable)?;
        let name = SocketAddr::from_abstract_name(NAMESPACE_NAME).map_err(unusable)?;
        let name = UnixListener::bind_addr(&name).map_err(|_| InstanceError::Namespace)?;
        Ok(Self {
            _lock: lock,
            _name: name,
        })
    }
}
