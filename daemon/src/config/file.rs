//! Reads a small file whole, whatever was named by mistake: a pipe does not make it wait, a
//! device or a folder is refused, a huge file is not read to its end.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "io::ErrorKind grows with every release"
)]

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// Why a file was not read; whoever wanted it knows the remedy.
#[derive(Debug)]
pub(super) enum Refusal {
    Missing,
    /// "a folder", "a named pipe", …
    NotAFile(&'static str),
    TooLong,
    Io(io::Error),
}

/// Opens without waiting for a pipe's writer, and looks at what was opened, not at what the path
/// may name a moment later.
pub(super) fn open(path: &Path) -> Result<(File, Metadata), Refusal> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::Missing,
        // A socket cannot be opened at all (open(2), ENXIO).
        _ if error.raw_os_error() == Some(nix::libc::ENXIO) => Refusal::NotAFile("a socket"),
        _ => Refusal::Io(error),
    })?;
    let metadata = file.metadata().map_err(Refusal::Io)?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    let kind = metadata.file_type();
    Err(Refusal::NotAFile(if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }))
}

/// At most `longest` bytes. They are wiped after use and never lie in a buffer that was outgrown.
pub(super) fn read(file: File, longest: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(longest + 1));
    let mut limited = file.take(longest as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(Refusal::Io)?;
    if bytes.len() > longest {
        return Err(Refusal::TooLong);
    }
    Ok(bytes)
}
