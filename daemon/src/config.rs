//! The fleet file: one description of the whole overlay, the same at every site.
//!
//! Text → raw (what TOML says) → checked ([`Fleet`]) → [`Overlay`] as one site sees it
//! ([`View`]). Everything downstream takes only checked values.

mod checked;

pub use checked::{
    Cost, Endpoint, Fleet, Host, Link, OverlayPrefixes, Pairing, Path, Peer, Site, SiteKind, View,
};
