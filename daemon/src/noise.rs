//! The seam to boringtun: nobody else knows it. A [`Session`] seals and opens for one path; an
//! [`Identity`] is this site's key, and the gate in front of all sessions.
//!
//! boringtun reads the clock itself; that is why this room takes no `now`. Its `Tunn` is `&mut`
//! throughout, so a path's two directions share it behind one lock, taken once per batch.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{HandshakeInit, Packet, Tunn, TunnResult};
use boringtun::x25519;

use crate::names::{PrivateKey, PublicKey};

/// Handshakes per second beyond which senders must prove their address by a cookie. Each one
/// passes the limiter twice: at the gate and in its session.
const HANDSHAKES_PER_SECOND: u64 = 200;
/// Packets that wait for a handshake; boringtun drops what is over without a word.
const MOST_WAITING: usize = 256;
/// A data message with a higher counter is never accepted (whitepaper section 6.1); boringtun's
/// replay window would overflow on the last of them.
const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
/// The least that boringtun wants to write to: an initiation.
const LEAST_ROOM: usize = 148;

/// What came of one packet or datagram. Lengths count from the start of the `out` buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `out` holds a datagram for the far end.
    Datagram(usize),
    /// `out` holds an inner packet.
    Packet(usize),
    /// Authentic, or queued; nothing to hand on.
    Nothing,
    /// Authentic, but what was inside is no IP packet.
    Malformed,
    /// Not authentic, replayed, or there is no session or no room.
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

/// An initiation whose sender knows our public key.
#[derive(Debug)]
pub struct Verified<'a>(HandshakeInit<'a>);

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

    /// An initiation's mac1, and when there are many its proof of address: cheap. `Err` is what to
    /// answer: a cookie, or silence.
    pub fn verify<'a>(
        &self,
        datagram: &'a [u8],
        source: IpAddr,
        out: &mut [u8],
    ) -> Result<Verified<'a>, Outcome> {
        match self.limiter.verify_packet(Some(source), datagram, out) {
            Ok(Packet::HandshakeInit(initiation)) => Ok(Verified(initiation)),
            Err(TunnResult::WriteToNetwork(cookie)) => Err(Outcome::Datagram(cookie.len())),
            Ok(_) | Err(_) => Err(Outcome::Refused),
        }
    }

    /// Who it says it is from: a curve operation, some 100 µs.
    pub fn identify(&self, initiation: &Verified<'_>) -> Option<Initiator> {
        let half = parse_handshake_anon(&self.private, &self.public, &initiation.0).ok()?;
        Some(Initiator {
            key: PublicKey::from_bytes(half.peer_static_public).ok()?,
            sender: half.peer_index,
        })
    }

    /// Call once a second: opens a new budget of handshakes.
    pub fn tick(&self) {
        self.limiter.reset_count();
    }
}

/// One path's WireGuard session: handshakes, keys, counters.
pub struct Session {
    tunn: Box<Tunn>,
    /// Packets that boringtun holds until there is a key.
    waiting: usize,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// `index`: 24 bits; the low 8 of each message's 32-bit index are boringtun's own.
    pub fn new(identity: &Identity, peer: PublicKey, index: u32) -> Self {
        let tunn = Box::new(Tunn::new(
            identity.private.clone(),
            x25519::PublicKey::from(*peer.as_bytes()),
            None,
            None,
            index,
            Some(identity.limiter.clone()),
        ));
        Self { tunn, waiting: 0 }
    }

    /// There is a key to seal with.
    pub fn is_established(&self) -> bool {
        self.last_handshake().is_some()
    }

    pub fn last_handshake(&self) -> Option<Duration> {
        self.tunn.time_since_last_handshake()
    }

    /// Begins a batch. Whether there is a key is asked once, not per packet: it reads the clock.
    pub fn sealer(&mut self) -> Sealer<'_> {
        Sealer {
            has_key: self.is_established(),
            session: self,
        }
    }

    /// `out` has room for the datagram, and never less than 148 bytes.
    pub fn open(&mut self, datagram: &[u8], source: IpAddr, out: &mut [u8]) -> Outcome {
        // To boringtun an empty datagram is a question for what waits: see `release`.
        let foreign = datagram.is_empty() || is_spent(datagram);
        if foreign || out.len() < datagram.len().max(LEAST_ROOM) {
            return Outcome::Refused;
        }
        let opened = outcome(self.tunn.decapsulate(Some(source), datagram, out));
        if opened == Outcome::Malformed && !is_data(datagram) {
            return Outcome::Refused;
        }
        opened
    }

    /// Once there is a key: the next packet that waited for it, sealed.
    pub fn release(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.waiting == 0 || !self.is_established() {
            return None;
        }
        self.waiting -= 1;
        match outcome(self.tunn.decapsulate(None, &[], out)) {
            Outcome::Datagram(length) => Some(length),
            Outcome::Packet(_) | Outcome::Nothing | Outcome::Malformed | Outcome::Refused => {
                self.waiting = 0;
                None
            }
        }
    }

    /// A handshake initiation, also when one is under way.
    pub fn initiate(&mut self, out: &mut [u8]) -> Outcome {
        outcome(self.tunn.format_handshake_initiation(out, true))
    }

    /// Call a few times a second: retries, rekeys, keepalives. An expired attempt is not final:
    /// the next `initiate` or `seal` begins anew.
    pub fn tick(&mut self, out: &mut [u8]) -> Outcome {
        let result = self.tunn.update_timers(out);
        if let TunnResult::Err(WireGuardError::ConnectionExpired) = result {
            // boringtun has thrown away what waited.
            self.waiting = 0;
        }
        outcome(result)
    }
}

/// A session that seals the packets of one batch.
#[derive(Debug)]
pub struct Sealer<'a> {
    session: &'a mut Session,
    has_key: bool,
}

impl Sealer<'_> {
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// Without a key the packet waits (256 at most) and a handshake begins. `out` has room for
    /// the packet and 32 bytes, and never less than 148.
    pub fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Outcome {
        if out.len() < (packet.len() + 32).max(LEAST_ROOM) {
            return Outcome::Refused;
        }
        if !self.has_key {
            if self.session.waiting == MOST_WAITING {
                return Outcome::Refused;
            }
            self.session.waiting += 1;
        }
        outcome(self.session.tunn.encapsulate(packet, out))
    }
}

fn is_data(datagram: &[u8]) -> bool {
    datagram.starts_with(&[4, 0, 0, 0]) && datagram.len() >= 32
}

/// A data message beyond the last counter that a key may be used for.
fn is_spent(datagram: &[u8]) -> bool {
    let counter = datagram.get(8..).and_then(|rest| rest.first_chunk::<8>());
    let spent = |counter: &[u8; 8]| u64::from_le_bytes(*counter) >= REJECT_AFTER_MESSAGES;
    is_data(datagram) && counter.is_some_and(spent)
}

fn outcome(result: TunnResult<'_>) -> Outcome {
    match result {
        TunnResult::Done => Outcome::Nothing,
        // Of a data message this is said of the inner packet only.
        TunnResult::Err(WireGuardError::InvalidPacket) => Outcome::Malformed,
        TunnResult::Err(_) => Outcome::Refused,
        TunnResult::WriteToNetwork(bytes) => Outcome::Datagram(bytes.len()),
        TunnResult::WriteToTunnelV4(bytes, _) | TunnResult::WriteToTunnelV6(bytes, _) => {
            Outcome::Packet(bytes.len())
        }
    }
}
