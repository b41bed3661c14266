//! The private key's file, WireGuard's format: one line. This file does I/O, the only one of its
//! room beside the fleet file's own reading.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "io::ErrorKind grows with every release"
)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::names::{KeyError, PrivateKey};

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("{0} does not exist: make one with `(umask 077; pathweave genkey > {0})`")]
    Missing(String),
    #[error("{path} may be read by others (mode {mode:04o}): `chmod 600 {path}`")]
    TooOpen { path: String, mode: u32 },
    #[error("{path} holds no private key: {error}")]
    Invalid { path: String, error: KeyError },
    #[error("{path} is longer than one key: it should hold the line of `pathweave genkey` alone")]
    TooLong { path: String },
    #[error("{path}: {error}")]
    Unreadable { path: String, error: io::Error },
}

/// The longest file that is read: a key, and some white space.
const LONGEST: u64 = 64;

/// Reads a private key. A file that others may read is refused: its key is no secret any more.
pub fn read_private_key(path: &Path) -> Result<PrivateKey, KeyFileError> {
    let name = || path.display().to_string();
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing(name()),
        _ => KeyFileError::Unreadable {
            path: name(),
            error,
        },
    };
    let mode = fs::metadata(path).map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::TooOpen { path: name(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    let mut file = File::open(path).map_err(unreadable)?.take(LONGEST + 1);
    file.read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(KeyFileError::TooLong { path: name() });
    }
    text.trim().parse().map_err(|error| KeyFileError::Invalid {
        path: name(),
        error,
    })
}
