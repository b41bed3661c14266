//! The private key's file, WireGuard's format: one line.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::names::{KeyError, PrivateKey};

use super::file::{self, Refusal};

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("{0} does not exist: make one with `(umask 077; pathweave genkey > {0})`")]
    Missing(String),
    #[error(
        "systemd has found no private key: make one with `pathweave init`, or with \
         `(umask 077; pathweave genkey > /etc/pathweave/private.key)`"
    )]
    NotHandedOver,
    #[error("{path} is {what}: name the file that `pathweave genkey` was written to")]
    NotAFile { path: String, what: &'static str },
    #[error("{path} may be read by others (mode {mode:04o}): `chmod 600 {path}`")]
    TooOpen { path: String, mode: u32 },
    #[error("{path} holds no private key: {error}; write the line of `pathweave genkey` into it")]
    Invalid { path: String, error: KeyError },
    #[error("{path} is longer than one key: it should hold the line of `pathweave genkey` alone")]
    TooLong { path: String },
    #[error("{path} cannot be read by this user: run this as root")]
    NotPermitted { path: String },
    #[error("{path} cannot be read ({error}): check the disk, or name another file")]
    Unreadable { path: String, error: io::Error },
}

/// What the unit's `SetCredential=` gives in place of a key that is not there.
const NOT_THERE: &str = "missing";
/// The longest file that is read: a key, and some white space.
const LONGEST: usize = 64;

/// Reads a private key. A file that others may read is refused: its key is no secret any more.
pub fn read_private_key(path: &Path) -> Result<PrivateKey, KeyFileError> {
    read_guarded(path, 0o077)
}

/// Reads a private key that systemd hands over (systemd.exec(5), `LoadCredential=`). It lets the
/// service's user read by an access list, whose mask looks like a right of the group's (acl(5)).
pub fn read_credential(path: &Path) -> Result<PrivateKey, KeyFileError> {
    read_guarded(path, 0o007)
}

/// Nobody may have one of the rights in `forbidden`.
fn read_guarded(path: &Path, forbidden: u32) -> Result<PrivateKey, KeyFileError> {
    let name = || path.display().to_string();
    let refused = |refusal| refused(name(), refusal);
    let (file, metadata) = file::open(path).map_err(refused)?;
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(KeyFileError::TooOpen { path: name(), mode });
    }
    let bytes = file::read(file, LONGEST).map_err(refused)?;
    let text = str::from_utf8(&bytes).map_err(|_| KeyError::Format);
    if text == Ok(NOT_THERE) {
        return Err(KeyFileError::NotHandedOver);
    }
    let key = text.and_then(|text| text.trim().parse());
    key.map_err(|error| KeyFileError::Invalid {
        path: name(),
        error,
    })
}

fn refused(path: String, refusal: Refusal) -> KeyFileError {
    match refusal {
        Refusal::Missing => KeyFileError::Missing(path),
        Refusal::NotAFile(what) => KeyFileError::NotAFile { path, what },
        Refusal::TooLong => KeyFileError::TooLong { path },
        Refusal::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            KeyFileError::NotPermitted { path }
        }
        Refusal::Io(error) => KeyFileError::Unreadable { path, error },
    }
}
