//! The seam to boringtun: nobody else knows it. A [`Session`] seals and opens for one path; an
//! [`Identity`] is this site's key, and the gate in front of all sessions.
//!
//! boringtun reads the clock itself; that is why this room takes no `now`. Its `Tunn` is `&mut`
//! throughout, so a path's two directions share it behind one lock, taken once per batch.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519;

use crate::names::{PrivateKey, PublicKey};

/// Handshakes per second beyond which senders must prove their address by a cookie. Each one
/// passes the limiter twice: at the gate and in its session.
const HANDSHAKES_PER_SECOND: u64 = 200;

/// What came of one packet or datagram. Lengths count from the start of the `out` buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `out` holds a datagram for the far end.
    Datagram(usize),
    /// `out` holds an inner packet.
    Packet(usize),
    /// Authentic, or queued; nothing to hand on.
    Nothing,
    /// Not authentic, replayed, malformed, or there is no session.
    Refused,
}

/// This site's static key and the limiter that all its sessions share.
#[derive(Clone)]
pub struct Identity {
    private: x25519::StaticSecret,
    public: x25519::PublicKey,
    limiter: Arc<RateLimiter>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Who an initiation says it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initiator {
    pub key: PublicKey,
    /// The initiator's own index; pathweave puts the path number into it.
    pub sender: u32,
}

impl Identity {
    pub fn new(private: &PrivateKey) -> Self {
        let secret = x25519::StaticSecret::from(*private.as_bytes());
        let public = x25519::PublicKey::from(&secret);
        let limiter = Arc::new(RateLimiter::new(&public, HANDSHAKES_PER_SECOND));
        Self {
            private: secret,
            public,
            limiter,
        }
    }

    /// mac1, then the cookie when there are many, then whose key it is. `Err` is what to answer:
    /// a cookie, or silence.
    pub fn admit(
        &self,
        datagram: &[u8],
        source: IpAddr,
        out: &mut [u8],
    ) -> Result<Initiator, Outcome> {
        let packet = match self.limiter.verify_packet(Some(source), datagram, out) {
            Ok(packet) => packet,
            Err(TunnResult::WriteToNetwork(cookie)) => return Err(Outcome::Datagram(cookie.len())),
            Err(_) => return Err(Outcome::Refused),
        };
        let Packet::HandshakeInit(initiation) = packet else {
            return Err(Outcome::Refused);
        };
        let half = parse_handshake_anon(&self.private, &self.public, &initiation)
            .map_err(|_| Outcome::Refused)?;
        let key = PublicKey::from_bytes(half.peer_static_public).map_err(|_| Outcome::Refused)?;
        Ok(Initiator {
            key,
            sender: half.peer_index,
        })
    }

    /// Call once a second: opens a new budget of handshakes.
    pub fn tick(&self) {
        self.limiter.reset_count();
    }
}

/// One path's WireGuard session: handshakes, keys, counters.
pub struct Session(Box<Tunn>);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// `index`: 24 bits; the low 8 of each message's 32-bit index are boringtun's own.
    pub fn new(identity: &Identity, peer: PublicKey, index: u32) -> Self {
        Self(Box::new(Tunn::new(
            identity.private.clone(),
            x25519::PublicKey::from(*peer.as_bytes()),
            None,
            None,
            index,
            Some(identity.limiter.clone()),
        )))
    }

    /// There is a key to seal with.
    pub fn is_established(&self) -> bool {
        self.0.time_since_last_handshake().is_some()
    }

    pub fn last_handshake(&self) -> Option<Duration> {
        self.0.time_since_last_handshake()
    }

    /// Without a key the packet is queued (256 at most) and a handshake begins. `out` has room
    /// for the packet and 32 bytes, and never less than 148.
    pub fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Outcome {
        if out.len() < (packet.len() + 32).max(148) {
            return Outcome::Refused;
        }
        outcome(self.0.encapsulate(packet, out))
    }

    /// `out` has room for the datagram, and never less than 148 bytes.
    pub fn open(&mut self, datagram: &[u8], source: IpAddr, out: &mut [u8]) -> Outcome {
        if out.len() < datagram.len().max(148) {
            return Outcome::Refused;
        }
        outcome(self.0.decapsulate(Some(source), datagram, out))
    }

    /// After a handshake: the next packet that waited for it.
    pub fn flush_queued(&mut self, out: &mut [u8]) -> Outcome {
        outcome(self.0.decapsulate(None, &[], out))
    }

    /// A handshake initiation, also when one is under way.
    pub fn initiate(&mut self, out: &mut [u8]) -> Outcome {
        outcome(self.0.format_handshake_initiation(out, true))
    }

    /// Call a few times a second: retries, rekeys, keepalives. An expired attempt is not final:
    /// the next `initiate` or `seal` begins anew.
    pub fn tick(&mut self, out: &mut [u8]) -> Outcome {
        outcome(self.0.update_timers(out))
    }
}

fn outcome(result: TunnResult<'_>) -> Outcome {
    match result {
        TunnResult::Done => Outcome::Nothing,
        TunnResult::Err(_) => Outcome::Refused,
        TunnResult::WriteToNetwork(bytes) => Outcome::Datagram(bytes.len()),
        TunnResult::WriteToTunnelV4(bytes, _) | TunnResult::WriteToTunnelV6(bytes, _) => {
            Outcome::Packet(bytes.len())
        }
    }
}
