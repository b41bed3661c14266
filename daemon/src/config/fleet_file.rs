//! The fleet file on disk.

use std::io;
use std::path::Path;

use super::checked::Fleet;
use super::file::{self, Refusal};
use super::problem::ConfigErrors;

/// Why there is no fleet.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(
        "{path} does not exist: write the fleet file there, or name another with --config \
         (examples: config-examples/two-sites.toml)"
    )]
    Missing { path: String },
    #[error("{path} is {what}: name the fleet file itself, a plain file")]
    NotAFile { path: String, what: &'static str },
    #[error("{path} is longer than 1 MiB, which no fleet needs: name the fleet file")]
    TooLong { path: String },
    #[error("{path}, line {line}: this is not UTF-8: save the fleet file as UTF-8 text")]
    NotText { path: String, line: usize },
    #[error("{path} cannot be read by this user: run this as root, or `chmod a+r {path}`")]
    NotPermitted { path: String },
    #[error("{path} cannot be read ({error}): check the disk, or name another file")]
    Unreadable { path: String, error: io::Error },
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// 254 sites of 9 links each are a third of this.
const LONGEST: usize = 1 << 20;

/// Reads, parses and checks a fleet file.
pub fn read(path: &Path) -> Result<Fleet, ReadError> {
    read_text(path).map(|(_, fleet)| fleet)
}

/// The same, with its text.
pub fn read_text(path: &Path) -> Result<(String, Fleet), ReadError> {
    let name = path.display().to_string();
    let read = file::open(path).and_then(|(file, _)| file::read(file, LONGEST));
    let bytes = read.map_err(|refusal| refused(name.clone(), refusal))?;
    match str::from_utf8(&bytes) {
        Ok(text) => Ok((text.to_owned(), super::parse(&name, text)?)),
        Err(error) => {
            let good = bytes.iter().take(error.valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            Err(ReadError::NotText { path: name, line })
        }
    }
}

fn refused(path: String, refusal: Refusal) -> ReadError {
    match refusal {
        Refusal::Missing => ReadError::Missing { path },
        Refusal::NotAFile(what) => ReadError::NotAFile { path, what },
        Refusal::TooLong => ReadError::TooLong { path },
        Refusal::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            ReadError::NotPermitted { path }
        }
        Refusal::Io(error) => ReadError::Unreadable { path, error },
    }
}
