//! The fleet file: one description of the whole overlay, the same at every site.
//!
//! Text → `section` (what TOML says, each value with its place) → checked ([`Fleet`]) → the
//! overlay as one site sees it ([`View`]). Everything downstream takes only checked values. All
//! errors of a file are reported at once.

mod check;
mod checked;
mod key_file;
mod problem;
mod section;
mod value;
mod view;

pub use check::KEYS;
pub use checked::{
    Cost, Endpoint, Fleet, Host, Link, OverlayPrefixes, Pairing, Path, Peer, Site, SiteKind, View,
};
pub use key_file::{KeyFileError, read_private_key};
pub use problem::ConfigErrors;
pub use view::ViewError;

/// Why there is no fleet.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(
        "{path} does not exist: write the fleet file there, or name another with --config \
         (examples: config-examples/two-sites.toml)"
    )]
    Missing { path: String },
    #[error("{path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// Parses and checks a fleet file's text. `file` is its name in messages.
pub fn parse(file: &str, text: &str) -> Result<Fleet, ConfigErrors> {
    check::fleet(text).map_err(|problems| ConfigErrors::new(file, text, problems))
}

/// Reads, parses and checks a fleet file.
pub fn read(path: &std::path::Path) -> Result<Fleet, ReadError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(parse(&name, &text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ReadError::Missing { path: name })
        }
        Err(error) => Err(ReadError::Unreadable { path: name, error }),
    }
}

#[cfg(test)]
mod tests;
