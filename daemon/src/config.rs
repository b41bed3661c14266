//! The fleet file: one description of the whole overlay, the same at every site.
//!
//! Text → `section` (what TOML says, each value with its place) → `check` (drafts of sites, links
//! and paths, then the rules between them) → checked ([`Fleet`]) → the overlay as one site sees it
//! ([`View`]). Everything downstream takes only checked values. All errors of a file are reported
//! at once; what a broken value was meant to be is not guessed, so that one mistake is one error.
//! `secret` keeps private keys out of the messages. `file`, with its two callers `fleet_file` and
//! `key_file`, does the only I/O.

mod check;
mod checked;
mod file;
mod fleet_file;
mod key_file;
mod problem;
mod secret;
mod section;
mod value;
mod view;

pub use check::KEYS;
pub use checked::{
    Cost, Endpoint, Fleet, Host, Link, Listen, OverlayPrefixes, Pairing, Path, PathManagerWish,
    Peer, Site, SiteKind, View,
};
pub use fleet_file::{ReadError, read, read_text};
pub use key_file::{KeyFileError, read_credential, read_private_key};
pub use problem::ConfigErrors;
pub use view::ViewError;

/// Parses and checks a fleet file's text. `file` is its name in messages.
pub fn parse(file: &str, text: &str) -> Result<Fleet, ConfigErrors> {
    check::fleet(text).map_err(|problems| ConfigErrors::new(file, text, problems))
}

#[cfg(test)]
mod tests;
