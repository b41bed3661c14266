//! Keys in WireGuard's text form, so that `wg` and `pathweave` may be used alike.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use pathweaved::names::PrivateKey;

use crate::failure::Failure;
use crate::output;

pub(crate) fn generate() -> Result<(), Failure> {
    let key = random()?;
    warn_if_readable();
    output::data(&key.to_text())?;
    output::data("\n")
}

pub(crate) fn random() -> Result<PrivateKey, Failure> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Failure::Other(format!("/dev/urandom: {error}")))?;
    Ok(PrivateKey::from_bytes(bytes))
}

pub(crate) fn public() -> Result<(), Failure> {
    let mut text = String::new();
    io::stdin()
        .take(128)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Other(format!("standard input: {error}")))?;
    let key: PrivateKey = text
        .trim()
        .parse()
        .map_err(|error| Failure::Other(format!("standard input holds no private key: {error}")))?;
    output::data(&format!("{}\n", key.public()))
}

/// A key in a file that others may read is no secret.
fn warn_if_readable() {
    let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let metadata = file.and_then(|file| file.metadata());
    if metadata.is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o007 != 0) {
        output::remark("writing to a file that others may read: use `umask 077` first");
    }
}
