//! A path's lane: its tunnel, its TUN, the sockets of its link, and the thread that carries
//! packets from the TUN to the far end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::errno::Errno;

use crate::carrier::udp::UdpSocket;
use crate::control::Offload;
use crate::packet::batch::{Plain, Row};
use crate::tun::{Tun, TunReader};
use crate::tunnel::{Counters, Tunnel};

use super::clock;
use super::wake::{Stoppable, Wake};

/// Packets in one batch: what one superpacket may be split into, and some more.
const BATCH: usize = 192;
/// What one superpacket may be split into. Our own TUN and [`crate::packet::coalesce`] make 64 at
/// most; a guest machine's of 64 kB in segments of 536 bytes, the least that IPv4 promises, are 122.
const SPLIT: usize = 128;

/// A link's open sockets.
#[derive(Clone, Debug, Default)]
pub struct LinkSockets {
    pub v4: Option<Arc<UdpSocket>>,
    pub v6: Option<Arc<UdpSocket>>,
}

impl LinkSockets {
    pub fn is_open(&self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    /// There is a socket of that address's family.
    pub fn reaches(&self, remote: SocketAddr) -> bool {
        self.towards(remote).is_some()
    }

    fn towards(&self, remote: SocketAddr) -> Option<&Arc<UdpSocket>> {
        if remote.is_ipv6() {
            self.v6.as_ref()
        } else {
            self.v4.as_ref()
        }
    }
}

/// What the outbound thread, the receivers and control share of one path.
#[derive(Debug)]
pub struct Lane {
    pub tunnel: Tunnel,
    pub tun: Tun,
    /// Replaced when the link's device comes or goes.
    pub sockets: ArcSwap<LinkSockets>,
}

impl Lane {
    pub fn new(tunnel: Tunnel, tun: Tun) -> Self {
        Self {
            tunnel,
            tun,
            sockets: ArcSwap::default(),
        }
    }

    /// The user's bytes in both directions since the lane was made.
    pub fn data_bytes(&self) -> u64 {
        let counters = &self.tunnel.counters;
        counters.tx_bytes.load(Relaxed) + counters.rx_bytes.load(Relaxed)
    }

    /// The age of the last completed handshake, and when it was in seconds since 1970.
    pub fn last_handshake(&self) -> Option<(Duration, u64)> {
        let age = self.tunnel.last_handshake()?;
        Some((age, clock::wall().saturating_sub(age).as_secs()))
    }

    /// Sends one datagram to where the far end is now.
    pub fn send(&self, datagram: &[u8]) {
        if let Some(remote) = self.tunnel.remote() {
            self.send_to(datagram, remote);
        }
    }

    /// What of the kernel's offloads the path uses.
    pub fn offload(&self) -> Offload {
        let sockets = self.sockets.load();
        let socket = self
            .tunnel
            .remote()
            .and_then(|remote| sockets.towards(remote));
        let socket = socket.map(|socket| socket.offload());
        Offload {
            tun: self.tun.has_offload(),
            send_segments: socket.map_or(0, |used| used.segments),
            receive: socket.is_some_and(|used| used.receive),
            socket_buffer: socket.map_or(0, |used| used.buffer),
        }
    }

    pub fn send_to(&self, datagram: &[u8], remote: SocketAddr) {
        let sockets = self.sockets.load();
        let sent = sockets
            .towards(remote)
            .map(|socket| socket.send_one(datagram, remote));
        if !matches!(sent, Some(Ok(()))) {
            Counters::add(&self.tunnel.counters.no_room, 1);
        }
        if let Some(Err(error)) = sent
            && self.tunnel.remote() == Some(remote)
        {
            // A single datagram is invalid only if its source address is gone.
            self.look_at_refusal(&error, Some(Errno::EINVAL));
        }
    }

    /// The kernel's own word that this path leads nowhere now. ICMP errors do not come this way:
    /// the sockets are not connected.
    fn look_at_refusal(&self, error: &io::Error, another: Option<Errno>) {
        let code = error.raw_os_error().map(Errno::from_raw);
        let gone = matches!(
            code,
            Some(Errno::ENETUNREACH | Errno::ENETDOWN | Errno::ENODEV | Errno::EADDRNOTAVAIL)
        );
        if gone || (code.is_some() && code == another) {
            tracing::trace!(%error, path = %self.tunnel.path(), "refused");
            Counters::add(&self.tunnel.counters.refused, 1);
        }
    }
}

/// The outbound engine: TUN → carrier.
#[derive(Debug)]
pub struct Outbound {
    lane: Arc<Lane>,
    reader: TunReader,
    plain: Plain,
    sealed: Row,
}

impl Outbound {
    pub fn new(lane: Arc<Lane>) -> Self {
        let mtu = lane.tunnel.parts().mtu;
        Self {
            reader: TunReader::default(),
            plain: Plain::new(BATCH, usize::from(mtu)),
            sealed: Row::new(BATCH, BATCH * lane.tunnel.longest_datagram()),
            lane,
        }
    }

    /// Reads what is there, seals and sends it. `WouldBlock` when there was nothing.
    pub fn pump(&mut self) -> io::Result<()> {
        self.plain.clear();
        self.sealed.clear();
        while self.plain.has_room(SPLIT) {
            match self.reader.read(&self.lane.tun, &mut self.plain) {
                Ok(()) => {}
                Err(error) if is_unsplittable(&error) => {
                    Counters::add(&self.lane.tunnel.counters.no_room, 1);
                    tracing::debug!(%error, interface = %self.lane.tun.name(), "a packet was dropped");
                }
                Err(error) if self.plain.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        self.send();
        Ok(())
    }

    fn send(&mut self) {
        let tunnel = &self.lane.tunnel;
        let sockets = self.lane.sockets.load();
        let way = tunnel
            .remote()
            .and_then(|remote| Some((sockets.towards(remote)?, remote)));
        let Some((socket, remote)) = way else {
            Counters::add(&tunnel.counters.no_room, self.plain.len());
            return;
        };
        tunnel.seal(&mut self.plain, &mut self.sealed);
        if let Err(error) = socket.send(&self.sealed, remote) {
            Counters::add(&tunnel.counters.no_room, error.dropped);
            tracing::trace!(%error, path = %tunnel.path(), "dropped");
            self.lane.look_at_refusal(&error.error, None);
        }
    }

    /// Pumps until told to stop.
    fn run(mut self, wake: &Wake) {
        while wake.wait(self.lane.tun.as_fd()) {
            match self.pump() {
                Ok(()) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::error!(%error, interface = %self.lane.tun.name(), "the TUN is lost");
                    return;
                }
            }
        }
    }

    /// Starts the thread of this lane.
    pub fn start(self) -> io::Result<Stoppable> {
        let name = format!("{}>", self.lane.tun.name());
        Stoppable::start(name, move |wake| self.run(wake))
    }
}

/// tun-rs could not split a superpacket: too many segments, or longer ones than the path's MTU,
/// because somebody changed the interface. The kernel itself always says an error number.
fn is_unsplittable(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.kind() != io::ErrorKind::WouldBlock
}

/// EIO: the TUN is down.
fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    let passing = matches!(code, Some(Errno::EAGAIN | Errno::EINTR | Errno::EIO));
    passing || error.kind() == io::ErrorKind::WouldBlock
}
