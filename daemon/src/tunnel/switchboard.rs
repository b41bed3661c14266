//! Which tunnel does a datagram belong to?
//!
//! Data, response and cookie carry our own index: `slot << 16 | path << 8 | boringtun's 8 bits`.
//! An initiation is matched by its static key, then: a pathweave peer put the path number into
//! its own index; a plain `wg` peer is told apart by the socket it came in on, then by where it
//! came from.

use std::net::SocketAddr;

use crate::names::{PathNumber, PublicKey};
use crate::noise::Initiator;

/// A tunnel's 24-bit index: its slot on the switchboard and the path number.
pub fn index(slot: u16, path: PathNumber) -> u32 {
    u32::from(slot) << 8 | u32::from(path.value())
}

/// One tunnel on the switchboard. `T` is whatever its owner wants back.
#[derive(Clone, Debug)]
pub struct Seat<T> {
    pub tunnel: T,
    pub key: PublicKey,
    pub path: PathNumber,
    /// The far end runs pathweave, so its index carries the path number.
    pub numbered: bool,
    /// Index of our link.
    pub link: usize,
}

/// All tunnels of the daemon; replaced as a whole when paths change.
#[derive(Clone, Debug)]
pub struct Switchboard<T> {
    /// A tunnel's slot is its place here; a path that does not run leaves its place empty.
    seats: Vec<Option<Seat<T>>>,
}

impl<T> Switchboard<T> {
    pub fn new(seats: Vec<Option<Seat<T>>>) -> Self {
        Self { seats }
    }

    /// By the receiver index of a data, response or cookie message.
    pub fn by_receiver(&self, receiver: u32) -> Option<&T> {
        let seat = self
            .seats
            .get(usize::try_from(receiver >> 16).ok()?)?
            .as_ref()?;
        let path = u32::from(seat.path.value());
        (receiver >> 8 & 0xff == path).then_some(&seat.tunnel)
    }

    /// By what an initiation said, the link it came in on and where it came from. `standing` says
    /// how a tunnel does at present.
    pub fn by_initiator(
        &self,
        initiator: Initiator,
        link: usize,
        source: SocketAddr,
        standing: impl Fn(&T) -> Standing,
    ) -> Option<&T> {
        let mine: Vec<_> = self
            .seats
            .iter()
            .flatten()
            .filter(|seat| seat.key == initiator.key)
            .collect();
        if mine.iter().any(|seat| seat.numbered) {
            let path = initiator.sender >> 8 & 0xff;
            let mut numbered = mine.iter();
            return numbered
                .find(|seat| u32::from(seat.path.value()) == path)
                .map(|seat| &seat.tunnel);
        }
        if let [only] = mine.as_slice() {
            return Some(&only.tunnel);
        }
        let mut on_link: Vec<_> = mine.iter().filter(|seat| seat.link == link).collect();
        if let [only] = on_link.as_slice() {
            return Some(&only.tunnel);
        }
        // Several of its interfaces come in here. One that stands and is used from elsewhere is
        // not given away.
        on_link.sort_by_key(|seat| standing(&seat.tunnel).fit(source));
        on_link
            .first()
            .filter(|seat| standing(&seat.tunnel).fit(source) < Fit::Taken)
            .map(|seat| &seat.tunnel)
    }
}

/// How a tunnel does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where its far end was last.
    pub remote: Option<SocketAddr>,
    pub established: bool,
}

/// How well a tunnel fits an initiation's source, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It comes from there.
    Same,
    /// It may have changed its port behind NAT: it has no session from the old one.
    SameHost,
    /// Nobody has been heard on it yet.
    Free,
    /// Its session is over.
    Idle,
    Taken,
}

impl Standing {
    fn fit(self, source: SocketAddr) -> Fit {
        match self.remote {
            Some(remote) if remote == source => Fit::Same,
            Some(remote) if remote.ip() == source.ip() && !self.established => Fit::SameHost,
            None => Fit::Free,
            Some(_) if !self.established => Fit::Idle,
            Some(_) => Fit::Taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::PrivateKey;

    const SOURCE: &str = "192.0.2.1:51820";

    fn key(number: u8) -> PublicKey {
        PrivateKey::from_bytes([number; 32]).public()
    }

    fn seat(tunnel: usize, owner: u8, path: u8, numbered: bool, link: usize) -> Seat<usize> {
        Seat {
            tunnel,
            key: key(owner),
            path: PathNumber::new(path).unwrap(),
            numbered,
            link,
        }
    }

    fn board() -> Switchboard<usize> {
        Switchboard::new(
            [
                seat(0, 2, 1, true, 0),
                seat(1, 2, 2, true, 1),
                seat(2, 3, 1, false, 0),
                seat(3, 3, 2, false, 1),
                seat(4, 3, 3, false, 1),
                seat(5, 4, 1, false, 0),
            ]
            .map(Some)
            .into(),
        )
    }

    fn initiate(owner: u8, sender: u32, link: usize, source: &str) -> Option<usize> {
        let standing = |tunnel: &usize| Standing {
            remote: (*tunnel == 4).then(|| SOURCE.parse().unwrap()),
            established: *tunnel == 4,
        };
        let initiator = Initiator {
            key: key(owner),
            sender,
        };
        board()
            .by_initiator(initiator, link, source.parse().unwrap(), standing)
            .copied()
    }

    #[test]
    fn our_own_index_leads_back_to_the_tunnel() {
        let ours = index(1, PathNumber::new(2).unwrap()) << 8 | 0x7f;
        assert_eq!(board().by_receiver(ours), Some(&1));
        assert_eq!(
            board().by_receiver(ours ^ 0x0100),
            None,
            "another path's number"
        );
        assert_eq!(board().by_receiver(u32::MAX), None);
    }

    #[test]
    fn a_pathweave_peer_says_the_path_itself_whatever_the_socket() {
        assert_eq!(initiate(2, 0x0007_0200, 0, SOURCE), Some(1));
        assert_eq!(initiate(2, 0x0007_0900, 0, SOURCE), None);
    }

    #[test]
    fn a_plain_wg_peer_is_told_by_key_then_socket_then_address() {
        assert_eq!(
            initiate(4, 0x1234_5678, 1, SOURCE),
            Some(5),
            "its only path"
        );
        assert_eq!(
            initiate(3, 0x1234_5678, 0, SOURCE),
            Some(2),
            "the only one on that link"
        );
        assert_eq!(
            initiate(3, 0x1234_5678, 1, SOURCE),
            Some(4),
            "it was there before"
        );
        assert_eq!(
            initiate(3, 0x1234_5678, 1, "192.0.2.9:1"),
            Some(3),
            "the free one"
        );
        assert_eq!(initiate(9, 0, 0, SOURCE), None, "a stranger");
    }
}
