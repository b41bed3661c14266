//! A peer or a path by its name; of one that is not there, those that are.

use pathweaved::control::{PathStatus, PeerStatus};

use crate::failure::Failure;
use crate::near;

pub(crate) fn find<'s>(name: &str, peers: &'s [PeerStatus]) -> Result<&'s PeerStatus, Failure> {
    let found = peers.iter().find(|peer| peer.site == name);
    found.ok_or_else(|| unknown(name, peers))
}

pub(crate) fn unknown(name: &str, peers: &[PeerStatus]) -> Failure {
    let known: Vec<_> = peers.iter().map(|peer| peer.site.as_str()).collect();
    if known.is_empty() {
        let text = "the fleet file names no other site: add one with `pathweave peer add`";
        return Failure::Other(text.to_owned());
    }
    let hint = near::hint(name, known.iter().copied());
    Failure::Other(format!(
        "no peer is called {name:?}{hint}; the peers are: {}",
        known.join(", ")
    ))
}

pub(crate) fn find_path(peer: &PeerStatus, number: u8) -> Result<&PathStatus, Failure> {
    let found = peer.paths.iter().find(|path| path.path == number);
    found.ok_or_else(|| {
        let numbers = peer.paths.iter().map(|path| path.path.to_string());
        let known: Vec<_> = numbers.collect();
        Failure::Other(format!(
            "{} has no path {number}; its paths are: {}",
            peer.site,
            known.join(", ")
        ))
    })
}
