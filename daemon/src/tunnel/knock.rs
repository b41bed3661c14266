//! A knock: a handshake initiation that nobody answers. It proves who sends it and that it is no
//! old one, and whoever gets it sees where it comes from: so a site behind NAT learns how one of
//! its links looks from outside, without a path that runs over it.
//!
//! Its sender index has the path number 0, which no path has, and above it what is asked about: a
//! path towards a peer, a link towards ourselves. To an older daemon it is a stranger's.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::names::PublicKey;
use crate::noise::{Identity, Initiator, Outcome, Session};
use crate::packet::message::RESPONSE_LENGTH;

/// One that came in; whether it is genuine is [`Door`]'s business.
#[derive(Clone, Debug)]
pub struct Knock {
    /// Who it says it is from.
    pub key: PublicKey,
    pub about: u8,
    pub source: SocketAddr,
    datagram: Vec<u8>,
}

impl Knock {
    /// `None`: the initiation is a path's.
    pub fn of(initiator: Initiator, datagram: &[u8], source: SocketAddr) -> Option<Self> {
        let [_, 0, about, 0] = initiator.sender.to_le_bytes() else {
            return None;
        };
        Some(Self {
            key: initiator.key,
            about,
            source,
            datagram: datagram.to_vec(),
        })
    }

    /// A knock for `key` into `out`.
    pub fn write(identity: &Identity, key: PublicKey, about: u8, out: &mut [u8]) -> Option<usize> {
        // The low 8 of the 32 bits are boringtun's own.
        let mut session = Session::new(identity, key, u32::from(about) << 8);
        match session.initiate(out) {
            Outcome::Datagram(length) => Some(length),
            Outcome::Packet(_) | Outcome::Nothing | Outcome::Malformed | Outcome::Refused => None,
        }
    }
}

/// Tells genuine knocks from forged and old ones. One session for each that knocks and for each
/// thing it asks about: their knocks overtake each other.
#[derive(Debug, Default)]
pub struct Door {
    sessions: BTreeMap<(PublicKey, u8), Session>,
}

impl Door {
    /// Only for keys and numbers that are known to be somebody's: each costs a session.
    pub fn admits(&mut self, identity: &Identity, knock: &Knock) -> bool {
        let session = || Session::new(identity, knock.key, 0);
        let key = (knock.key, knock.about);
        let session = self.sessions.entry(key).or_insert_with(session);
        let mut out = [0; 256];
        let outcome = session.open(&knock.datagram, knock.source.ip(), &mut out);
        outcome == Outcome::Datagram(RESPONSE_LENGTH)
    }

    /// Keeps those only whose key is still somebody's.
    pub fn retain(&mut self, is_known: impl Fn(&PublicKey) -> bool) {
        self.sessions.retain(|(key, _), _| is_known(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::PrivateKey;

    fn identity(number: u8) -> (Identity, PublicKey) {
        let key = PrivateKey::from_bytes([number; 32]);
        (Identity::new(&key), key.public())
    }

    fn source() -> SocketAddr {
        "192.0.2.1:20001".parse().unwrap()
    }

    /// What a receiver makes of a datagram.
    fn come_in(identity: &Identity, datagram: &[u8]) -> Option<Knock> {
        let verified = identity.verify(datagram, source().ip(), &mut [0; 148]);
        let initiator = identity.identify(&verified.ok()?)?;
        Knock::of(initiator, datagram, source())
    }

    fn knock(from: &Identity, to: PublicKey, about: u8) -> Vec<u8> {
        let mut out = vec![0; 148];
        assert_eq!(Knock::write(from, to, about, &mut out), Some(148));
        out
    }

    #[test]
    fn a_knock_says_who_and_what_about_and_counts_once() {
        let ((nara, nara_key), (tainan, tainan_key)) = (identity(1), identity(2));
        let mut door = Door::default();
        for about in [9, 2] {
            let knock = come_in(&nara, &knock(&tainan, nara_key, about)).unwrap();
            assert_eq!((knock.key, knock.about), (tainan_key, about));
            assert!(door.admits(&nara, &knock));
            assert!(!door.admits(&nara, &knock), "an old one");
        }
    }

    #[test]
    fn a_site_knocks_at_its_own_door() {
        let (nara, key) = identity(1);
        let knock = come_in(&nara, &knock(&nara, key, 1)).unwrap();
        assert_eq!((knock.key, knock.about), (key, 1));
        assert!(Door::default().admits(&nara, &knock));
    }

    #[test]
    fn whoever_knows_both_public_keys_cannot_knock_in_a_peer_s_name() {
        let ((nara, nara_key), (tainan, _)) = (identity(1), identity(2));
        let genuine = knock(&tainan, nara_key, 1);
        let forged = Knock {
            key: identity(3).1,
            ..come_in(&nara, &genuine).unwrap()
        };
        assert!(!Door::default().admits(&nara, &forged));
        let mut bent = genuine;
        bent[100] ^= 1;
        assert!(come_in(&nara, &bent).is_none(), "mac1");
    }

    #[test]
    fn a_path_s_initiation_is_no_knock() {
        let ((nara, _), (_, key)) = (identity(1), identity(2));
        let index = super::super::switchboard::index(3, crate::names::PathNumber::FIRST);
        let mut datagram = vec![0; 148];
        Session::new(&nara, key, index).initiate(&mut datagram);
        assert!(come_in(&identity(2).0, &datagram).is_none());
    }
}
