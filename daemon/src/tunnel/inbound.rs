//! From datagrams to inner packets: authenticity is the session's business, the source check and
//! the daemon's own packets are ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::MutexGuard;

use crate::noise::{Outcome, Session};
use crate::packet::echo;
use crate::packet::ecn::{self, Ecn};
use crate::packet::ip::Header;
use crate::packet::message::Message;
use crate::packet::probe;

use super::{Counters, Tunnel};

/// What came in, and how.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    pub bytes: &'a [u8],
    pub source: SocketAddr,
    pub mark: Ecn,
}

/// What came of one datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// An inner packet for the TUN.
    Packet(&'a [u8]),
    /// A packet of the far end's daemon, or an echo reply of a plain `wg`.
    Control(&'a [u8]),
    /// A datagram to send back to where this one came from.
    Reply(&'a [u8]),
    /// Counted, if it was wrong; nothing to do.
    Nothing,
}

/// A tunnel with its lock held, to open the datagrams of one batch. What all of them have in
/// common is done once: they mostly come from one place, and carry packets of one source.
#[derive(Debug)]
pub struct Opener<'a> {
    tunnel: &'a Tunnel,
    session: MutexGuard<'a, Session>,
    /// Where the far end is known to be.
    remote: Option<SocketAddr>,
    /// An inner source that may come from the far end.
    allowed: Option<IpAddr>,
    heard: usize,
    rx_bytes: usize,
}

impl Tunnel {
    pub fn opener(&self) -> Opener<'_> {
        Opener {
            tunnel: self,
            session: self.session(),
            remote: None,
            allowed: None,
            heard: 0,
            rx_bytes: 0,
        }
    }
}

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        Counters::add(&self.tunnel.counters.heard, self.heard);
        Counters::add(&self.tunnel.counters.rx_bytes, self.rx_bytes);
    }
}

impl Opener<'_> {
    /// `out` has room for the largest packet.
    pub fn open<'b>(&mut self, datagram: Datagram<'_>, out: &'b mut [u8]) -> Opened<'b> {
        let Datagram {
            bytes,
            source,
            mark,
        } = datagram;
        let outcome = self.session.open(bytes, source.ip(), out);
        let counters = &self.tunnel.counters;
        if outcome == Outcome::Refused {
            Counters::add(&counters.unauthentic, 1);
            return Opened::Nothing;
        }
        match Message::of(bytes) {
            // Only these prove that the far end is there *now*: an initiation may be an old one
            // that was caught on another path (its timestamp is checked per session).
            Some(Message::Data { .. } | Message::Response { .. }) => self.heard_from(source),
            Some(Message::Initiation { .. } | Message::Cookie { .. }) | None => {}
        }
        match outcome {
            Outcome::Datagram(length) => Opened::Reply(out.get(..length).unwrap_or_default()),
            Outcome::Packet(length) => {
                self.inspect(out.get_mut(..length).unwrap_or_default(), mark)
            }
            Outcome::Malformed => {
                Counters::add(&counters.malformed, 1);
                Opened::Nothing
            }
            Outcome::Nothing | Outcome::Refused => Opened::Nothing,
        }
    }

    /// After each datagram, until there is none: the next packet that waited for a key, sealed. An
    /// initiator has a key with the response; a responder with the first data, and not before.
    pub fn release<'b>(&mut self, out: &'b mut [u8]) -> Option<&'b [u8]> {
        let length = self.session.release(out)?;
        out.get(..length)
    }

    fn heard_from(&mut self, source: SocketAddr) {
        self.heard += 1;
        if self.remote != Some(source) {
            self.remote = Some(source);
            self.tunnel.set_remote(Some(source));
        }
    }

    fn is_allowed(&mut self, source: IpAddr) -> bool {
        if self.allowed == Some(source) {
            return true;
        }
        let networks = self.tunnel.allowed.load();
        let allowed = networks.iter().any(|network| network.contains(source));
        self.allowed = allowed.then_some(source);
        allowed
    }

    fn inspect<'b>(&mut self, packet: &'b mut [u8], mark: Ecn) -> Opened<'b> {
        let counters = &self.tunnel.counters;
        let parts = &self.tunnel.parts;
        let Some(header) = Header::of(packet) else {
            Counters::add(&counters.malformed, 1);
            return Opened::Nothing;
        };
        if !self.is_allowed(header.source) {
            Counters::add(&counters.wrong_source, 1);
            return Opened::Nothing;
        }
        if header.protocol == probe::PROTOCOL {
            return Opened::Control(packet);
        }
        if parts.echo_to.contains(&header.destination) && echo::reply(packet).is_some() {
            return Opened::Control(packet);
        }
        if !ecn::merge(packet, mark) {
            Counters::add(&counters.malformed, 1);
            return Opened::Nothing;
        }
        self.rx_bytes += packet.len();
        Opened::Packet(packet)
    }
}
