//! The data-plane machine, one per path: seals batches, opens batches, checks the inner source,
//! takes the daemon's own packets out. No I/O, no clock.
//!
//! A [`Tunnel`] is shared by its outbound lane, the receivers of its link and control. It holds
//! one lock of its own, taken once per batch; no two tunnels share anything.

pub mod gate;
mod inbound;
pub mod knock;
pub mod switchboard;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnetwork::IpNetwork;

use crate::names::{PathId, PublicKey};
use crate::noise::{Identity, Outcome, Session};
use crate::packet::batch::{Plain, Row};
use crate::packet::ecn::Ecn;
use crate::packet::message::{DATA_OVERHEAD, INITIATION_LENGTH};

pub use inbound::{Datagram, Opened, Opener};

/// WireGuard pads the inner packet to this (whitepaper section 5.4.6).
const PADDING: usize = 16;

/// What a tunnel is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub path: PathId,
    /// The far end's key.
    pub key: PublicKey,
    /// 24 bits; the low 8 are the path number.
    pub index: u32,
    /// The largest inner packet that the path may ever carry.
    pub mtu: u16,
    /// The inner sources that the far end may have at first: see [`Tunnel::allow`].
    pub allowed: Vec<IpNetwork>,
    /// Our addresses on this path, if the far end is a plain `wg` that we ask by echo.
    pub echo_to: Vec<IpAddr>,
    /// The far end hands marks of congestion on: it runs pathweave.
    pub merges_marks: bool,
}

#[derive(Debug)]
pub struct Tunnel {
    parts: Parts,
    session: Mutex<Session>,
    allowed: ArcSwap<Vec<IpNetwork>>,
    remote: Mutex<Option<SocketAddr>>,
    /// The largest inner packet that the path carries now: padding stays below it.
    mtu: AtomicU16,
    pub counters: Counters,
}

/// What passed and what was dropped since the tunnel was made.
#[derive(Debug, Default)]
pub struct Counters {
    pub tx_bytes: AtomicU64,
    pub rx_bytes: AtomicU64,
    /// Authenticated packets received.
    pub heard: AtomicU64,
    pub wrong_source: AtomicU64,
    pub malformed: AtomicU64,
    pub unauthentic: AtomicU64,
    pub no_room: AtomicU64,
    /// Sends that failed for want of a route, a device or an address: the path is dead here.
    pub refused: AtomicU64,
    /// Handshake initiations made.
    pub handshakes: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Relaxed);
    }
}

impl Tunnel {
    pub fn new(identity: &Identity, mut parts: Parts) -> Self {
        let allowed = std::mem::take(&mut parts.allowed);
        let session = Mutex::new(Session::new(identity, parts.key, parts.index));
        Self {
            mtu: parts.mtu.into(),
            parts,
            session,
            allowed: ArcSwap::from_pointee(allowed),
            remote: Mutex::new(None),
            counters: Counters::default(),
        }
    }

    pub fn path(&self) -> PathId {
        self.parts.path
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The inner sources that the far end may have from now on: its overlay networks and subnets.
    pub fn allow(&self, networks: Vec<IpNetwork>) {
        self.allowed.store(Arc::new(networks));
    }

    /// Bytes of the longest datagram that [`Tunnel::seal`] makes.
    pub fn longest_datagram(&self) -> usize {
        (usize::from(self.parts.mtu) + DATA_OVERHEAD).max(INITIATION_LENGTH)
    }

    /// Where datagrams go now; `None` until the far end is known.
    pub fn remote(&self) -> Option<SocketAddr> {
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_remote(&self, remote: Option<SocketAddr>) {
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner) = remote;
    }

    pub fn mtu(&self) -> u16 {
        self.mtu.load(Relaxed)
    }

    /// At most that of [`Parts`], for which the buffers are made.
    pub fn set_mtu(&self, mtu: u16) {
        self.mtu.store(mtu.min(self.parts.mtu), Relaxed);
    }

    /// Begins anew, if there is no key yet: with what the wall clock says now.
    pub fn renew(&self, identity: &Identity) {
        let mut session = self.session();
        if !session.is_established() {
            *session = Session::new(identity, self.parts.key, self.parts.index);
        }
    }

    pub fn is_established(&self) -> bool {
        self.session().is_established()
    }

    pub fn last_handshake(&self) -> Option<Duration> {
        self.session().last_handshake()
    }

    /// Seals the user's packets. Before there is a key they wait, and an initiation comes out.
    /// What finds no room is dropped and counted; with both batches of one size nothing is.
    pub fn seal(&self, plain: &mut Plain, out: &mut Row) {
        let mut session = self.session();
        let mut sealer = session.sealer();
        let (mut bytes, mtu) = (0, usize::from(self.mtu()));
        for (slot, length) in plain.packets_mut() {
            let packet = padded(slot, length, mtu);
            match sealer.seal(packet, out.spare()) {
                Outcome::Datagram(sealed) => {
                    out.commit(sealed, self.mark(packet));
                    bytes += length;
                }
                Outcome::Packet(_) | Outcome::Nothing | Outcome::Malformed => bytes += length,
                Outcome::Refused => Counters::add(&self.counters.no_room, 1),
            }
        }
        Counters::add(&self.counters.tx_bytes, bytes);
    }

    /// Seals one packet of the daemon's own. Nothing is queued when there is no session.
    pub fn seal_control(&self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut session = self.session();
        let mut sealer = session.sealer();
        if !sealer.has_key() {
            return None;
        }
        datagram(sealer.seal(packet, out))
    }

    /// A handshake initiation into `out`.
    pub fn initiate(&self, out: &mut [u8]) -> Option<usize> {
        let length = datagram(self.session().initiate(out));
        self.count_handshake(length);
        length
    }

    /// Call a few times a second; a datagram may come of it.
    pub fn tick(&self, out: &mut [u8]) -> Option<usize> {
        let length = datagram(self.session().tick(out));
        self.count_handshake(length);
        length
    }

    fn count_handshake(&self, length: Option<usize>) {
        let initiation = length == Some(INITIATION_LENGTH);
        Counters::add(&self.counters.handshakes, usize::from(initiation));
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The datagram's mark of congestion. A far end that may not merge it on the way in gets none
    /// (RFC 6040 section 4.1, compatibility mode).
    fn mark(&self, packet: &[u8]) -> Ecn {
        if self.parts.merges_marks {
            Ecn::of(packet)
        } else {
            Ecn::NotEct
        }
    }
}

/// With zeros behind it, but never beyond the MTU, as Linux does.
fn padded(slot: &mut [u8], length: usize, mtu: usize) -> &[u8] {
    let most = mtu.min(slot.len()).max(length);
    let padded = length.next_multiple_of(PADDING).min(most);
    if let Some(padding) = slot.get_mut(length..padded) {
        padding.fill(0);
    }
    slot.get(..padded).unwrap_or_default()
}

fn datagram(outcome: Outcome) -> Option<usize> {
    match outcome {
        Outcome::Datagram(length) => Some(length),
        Outcome::Packet(_) | Outcome::Nothing | Outcome::Malformed | Outcome::Refused => None,
    }
}

#[cfg(test)]
mod tests;
