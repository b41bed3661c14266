//! One receiver per UDP socket: carrier → TUN, for all the paths of its link.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::carrier::udp::{Inbox, UdpSocket};
use crate::names::PathId;
use crate::noise::{Identity, Outcome};
use crate::packet::batch::{LARGEST_PACKET, Plain};
use crate::packet::message::Message;
use crate::tun::TunWriter;
use crate::tunnel::switchboard::Switchboard;
use crate::tunnel::{Counters, Opened, Opener};

use super::lane::Lane;
use super::wake::{Stoppable, Wake};

/// Packets that one write to a TUN takes at most.
const BATCH: usize = 128;

pub type Lanes = ArcSwap<Switchboard<Arc<Lane>>>;

/// A packet of the far end's daemon. The channel is bounded; when it is full the packet is lost,
/// like any probe may be.
#[derive(Debug)]
pub struct Control {
    pub path: PathId,
    pub packet: Vec<u8>,
}

/// What every receiver of the daemon knows.
#[derive(Debug)]
pub struct Shared {
    pub identity: Identity,
    pub lanes: Lanes,
    pub control: mpsc::Sender<Control>,
    /// Datagrams that belong to no tunnel: answered by silence.
    pub strangers: AtomicU64,
}

/// The inbound engine of one socket.
#[derive(Debug)]
pub struct Inbound {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    /// Index of our link.
    link: usize,
    inbox: Inbox,
    desk: Desk,
}

/// Where opened packets wait for the write to their TUN.
#[derive(Debug)]
struct Desk {
    plain: Plain,
    writer: TunWriter,
    out: Vec<u8>,
}

impl Inbound {
    pub fn new(shared: Arc<Shared>, socket: Arc<UdpSocket>, link: usize) -> Self {
        let desk = Desk {
            plain: Plain::new(BATCH, LARGEST_PACKET),
            writer: TunWriter::default(),
            out: vec![0; LARGEST_PACKET + 64],
        };
        Self {
            shared,
            socket,
            link,
            inbox: Inbox::default(),
            desk,
        }
    }

    /// Receives once, opens and writes. `WouldBlock` when there was nothing.
    pub fn pump(&mut self) -> io::Result<()> {
        let Self {
            shared,
            socket,
            link,
            inbox,
            desk,
        } = self;
        let lanes = shared.lanes.load();
        for (source, datagrams) in inbox.receive(socket)? {
            let mut open: Option<(&Arc<Lane>, Opener<'_>)> = None;
            for datagram in datagrams {
                let Some(lane) = find(shared, &lanes, *link, datagram, source, socket) else {
                    continue;
                };
                let same = open
                    .as_ref()
                    .is_some_and(|(held, _)| Arc::ptr_eq(held, lane));
                if !same && let Some((held, opener)) = open.replace((lane, lane.tunnel.opener())) {
                    drop(opener);
                    desk.flush(held);
                }
                if let Some((_, opener)) = open.as_mut() {
                    desk.take(shared, lane, opener, datagram, source, socket);
                }
            }
            if let Some((lane, opener)) = open {
                drop(opener);
                desk.flush(lane);
            }
        }
        Ok(())
    }

    fn run(mut self, wake: &Wake) {
        let socket = self.socket.clone();
        while wake.wait(socket.as_fd()) {
            if let Err(error) = self.pump()
                && error.kind() != io::ErrorKind::WouldBlock
            {
                // An ICMP error that waited on the socket; the next receive works again.
                tracing::trace!(%error, "receive");
            }
        }
    }

    pub fn start(self, name: &str) -> io::Result<Stoppable> {
        Stoppable::start(format!("<{name}"), move |wake| self.run(wake))
    }
}

impl Desk {
    fn take(
        &mut self,
        shared: &Shared,
        lane: &Lane,
        opener: &mut Opener<'_>,
        datagram: &[u8],
        source: SocketAddr,
        socket: &UdpSocket,
    ) {
        match opener.open(datagram, source, &mut self.out) {
            Opened::Packet(packet) => {
                if self.plain.is_full() {
                    write(&mut self.writer, lane, &mut self.plain);
                }
                self.plain.push(packet);
            }
            Opened::Control(packet) => {
                let control = Control {
                    path: lane.tunnel.path(),
                    packet: packet.to_vec(),
                };
                if shared.control.try_send(control).is_err() {
                    tracing::trace!("a probe was lost: the supervisor is busy");
                }
            }
            Opened::Reply(reply) => {
                reply_to(socket, reply, source);
                while let Some(queued) = opener.flush_queued(&mut self.out) {
                    reply_to(socket, queued, source);
                }
            }
            Opened::Nothing => {}
        }
    }

    fn flush(&mut self, lane: &Lane) {
        if !self.plain.is_empty() {
            write(&mut self.writer, lane, &mut self.plain);
        }
    }
}

fn write(writer: &mut TunWriter, lane: &Lane, plain: &mut Plain) {
    if let Err(error) = writer.write(&lane.tun, plain) {
        Counters::add(&lane.tunnel.counters.no_room, 1);
        tracing::trace!(%error, interface = %lane.tun.name(), "a write to the TUN failed");
    }
}

/// The lane of a datagram. A stranger's is counted and answered by silence.
fn find<'a>(
    shared: &Shared,
    lanes: &'a Switchboard<Arc<Lane>>,
    link: usize,
    datagram: &[u8],
    source: SocketAddr,
    socket: &UdpSocket,
) -> Option<&'a Arc<Lane>> {
    let found = match Message::of(datagram) {
        None => None,
        Some(
            Message::Data { receiver }
            | Message::Response { receiver }
            | Message::Cookie { receiver },
        ) => lanes.by_receiver(receiver),
        Some(Message::Initiation { .. }) => {
            let mut out = [0; 148];
            match shared.identity.admit(datagram, source.ip(), &mut out) {
                Ok(initiator) => lanes.by_initiator(initiator, link, source, |lane: &Arc<Lane>| {
                    lane.tunnel.remote()
                }),
                Err(Outcome::Datagram(length)) => {
                    reply_to(socket, out.get(..length).unwrap_or_default(), source);
                    None
                }
                Err(Outcome::Packet(_) | Outcome::Nothing | Outcome::Refused) => None,
            }
        }
    };
    if found.is_none() {
        shared.strangers.fetch_add(1, Relaxed);
    }
    found
}

fn reply_to(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_one(datagram, to) {
        tracing::trace!(%error, %to, "a reply was not sent");
    }
}
