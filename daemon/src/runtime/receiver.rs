//! One receiver per UDP socket: carrier → TUN, for all the paths of its link.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::carrier::udp::{Inbox, UdpSocket};
use crate::names::PathId;
use crate::noise::{Identity, Initiator, Outcome};
use crate::packet::batch::{LARGEST_PACKET, Row};
use crate::packet::coalesce::{Coalescer, Frame};
use crate::packet::ecn::Ecn;
use crate::packet::message::Message;
use crate::tunnel::gate::Gate;
use crate::tunnel::knock::Knock;
use crate::tunnel::switchboard::{Standing, Switchboard};
use crate::tunnel::{Counters, Datagram, Opened, Opener};

use super::clock;
use super::lane::Lane;
use super::wake::{Stoppable, Wake};

pub type Lanes = ArcSwap<Switchboard<Arc<Lane>>>;

/// What another daemon says to ours. The channel is bounded; when it is full it is lost, like any
/// probe may be.
#[derive(Debug)]
pub enum Control {
    /// An inner packet of the path's far end.
    Packet {
        path: PathId,
        packet: Vec<u8>,
    },
    Knock(Knock),
}

/// What every receiver of the daemon knows.
#[derive(Debug)]
pub struct Shared {
    pub identity: Identity,
    pub lanes: Lanes,
    pub control: mpsc::Sender<Control>,
    gate: Mutex<Gate>,
    /// Datagrams that belong to no tunnel: answered by silence.
    pub strangers: AtomicU64,
    /// Control packets that found the supervisor busy.
    pub lost_control: AtomicU64,
}

impl Shared {
    pub fn new(identity: Identity, control: mpsc::Sender<Control>, now: Instant) -> Self {
        Self {
            identity,
            lanes: ArcSwap::from_pointee(Switchboard::new(Vec::new())),
            control,
            gate: Mutex::new(Gate::new(now)),
            strangers: 0.into(),
            lost_control: 0.into(),
        }
    }
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

/// Where opened packets wait for the write to their TUN. They are opened with their tunnel's lock
/// held, and coalesced and written without it: the far end's packets do not hold up ours.
#[derive(Debug)]
struct Desk {
    opened: Row,
    coalescer: Coalescer,
}

/// Datagrams that receive offload puts into one message (UDP_GRO_CNT_MAX, net/ipv4/udp_offload.c),
/// twice.
const OPENED: usize = 128;

impl Inbound {
    pub fn new(shared: Arc<Shared>, socket: Arc<UdpSocket>, link: usize) -> Self {
        let desk = Desk {
            // A message, and what a session wants for its last datagram.
            opened: Row::new(OPENED, 2 * LARGEST_PACKET),
            coalescer: Coalescer::default(),
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
    pub fn pump(&mut self, now: Instant) -> io::Result<()> {
        let Self {
            shared,
            socket,
            link,
            inbox,
            desk,
        } = self;
        let lanes = shared.lanes.load();
        let came_from = |source, mark| Arrival {
            shared,
            socket,
            link: *link,
            source,
            mark,
            now,
        };
        // Whose packets are on the desk; those of one tunnel go out in one write.
        let mut served: Option<&Arc<Lane>> = None;
        for message in inbox.receive(socket)? {
            let arrival = came_from(message.source, message.mark);
            let datagrams = message.datagrams;
            if datagrams.len() == 0 {
                shared.strangers.fetch_add(1, Relaxed);
            }
            let mut open: Option<Opener<'_>> = None;
            for datagram in datagrams {
                if is_initiation(datagram) {
                    // Choosing among tunnels asks how they are: nothing may be locked here.
                    open = None;
                }
                let Some(lane) = arrival.lane(&lanes, datagram) else {
                    continue;
                };
                if !served.is_some_and(|served| Arc::ptr_eq(served, lane)) {
                    // The old lock goes before the new one is taken: two receivers that hold two
                    // tunnels crosswise would wait for each other for ever.
                    open = None;
                    desk.flush(served.replace(lane));
                }
                if desk.opened.is_full() {
                    open = None;
                    desk.write(lane);
                }
                let opener = open.get_or_insert_with(|| lane.tunnel.opener());
                desk.take(&arrival, lane, opener, datagram);
            }
            drop(open);
            if let Some(lane) = served {
                desk.write(lane);
            }
        }
        desk.flush(served);
        Ok(())
    }

    fn run(mut self, wake: &Wake) {
        let socket = self.socket.clone();
        while wake.wait(socket.as_fd()) {
            if let Err(error) = self.pump(clock::now())
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
        arrival: &Arrival<'_>,
        lane: &Lane,
        opener: &mut Opener<'_>,
        datagram: &[u8],
    ) {
        match opener.open(arrival.of(datagram), self.opened.spare()) {
            Opened::Packet(packet) => {
                let length = packet.len();
                self.opened.commit(length, Ecn::NotEct);
            }
            Opened::Control(packet) => arrival.tell(Control::Packet {
                path: lane.tunnel.path(),
                packet: packet.to_vec(),
            }),
            Opened::Reply(reply) => arrival.reply(reply),
            Opened::Nothing => {}
        }
        while !self.opened.is_full()
            && let Some(waited) = opener.release(self.opened.spare())
        {
            arrival.reply(waited);
        }
    }

    /// Coalesces what was opened, and writes what is whole. What is not stays for the neighbours
    /// that the next message may bring.
    fn write(&mut self, lane: &Lane) {
        for packet in self.opened.packets() {
            if lane.tun.has_offload() {
                self.coalescer.push(packet, |frame| write(lane, frame));
            } else {
                self.coalescer.pass(packet, |frame| write(lane, frame));
            }
        }
        self.opened.clear();
    }

    fn flush(&mut self, lane: Option<&Arc<Lane>>) {
        if let Some(lane) = lane {
            self.write(lane);
            self.coalescer.flush(|frame| write(lane, frame));
        }
    }
}

fn write(lane: &Lane, frame: Frame<'_>) {
    if let Err(error) = lane.tun.write(frame) {
        Counters::add(&lane.tunnel.counters.no_room, frame.packets);
        tracing::trace!(%error, interface = %lane.tun.name(), "a write to the TUN failed");
    }
}

fn is_initiation(datagram: &[u8]) -> bool {
    matches!(Message::of(datagram), Some(Message::Initiation { .. }))
}

/// How the datagrams of one message came.
struct Arrival<'a> {
    shared: &'a Shared,
    socket: &'a UdpSocket,
    link: usize,
    source: SocketAddr,
    mark: Ecn,
    now: Instant,
}

impl Arrival<'_> {
    fn of<'a>(&self, bytes: &'a [u8]) -> Datagram<'a> {
        Datagram {
            bytes,
            source: self.source,
            mark: self.mark,
        }
    }

    /// The lane of a datagram. A stranger's is counted and answered by silence.
    fn lane<'l>(
        &self,
        lanes: &'l Switchboard<Arc<Lane>>,
        datagram: &[u8],
    ) -> Option<&'l Arc<Lane>> {
        let found = match Message::of(datagram) {
            Some(
                Message::Data { receiver }
                | Message::Response { receiver }
                | Message::Cookie { receiver },
            ) => lanes.by_receiver(receiver),
            Some(Message::Initiation { .. }) => match self.initiator(datagram) {
                Some(initiator) => {
                    let lane = self.initiators_lane(lanes, initiator);
                    let knock = || Knock::of(initiator, datagram, self.source);
                    if let (None, Some(knock)) = (lane, knock()) {
                        self.tell(Control::Knock(knock));
                        return None;
                    }
                    lane
                }
                None => None,
            },
            None => None,
        };
        if found.is_none() {
            self.shared.strangers.fetch_add(1, Relaxed);
        }
        found
    }

    /// Who an initiation is from, if it may cost the asking.
    fn initiator(&self, datagram: &[u8]) -> Option<Initiator> {
        let identity = &self.shared.identity;
        let mut cookie = [0; 148];
        let verified = match identity.verify(datagram, self.source.ip(), &mut cookie) {
            Ok(verified) => verified,
            Err(Outcome::Datagram(length)) => {
                self.reply(cookie.get(..length).unwrap_or_default());
                return None;
            }
            Err(_) => return None,
        };
        let gate = &self.shared.gate;
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = gate.admits(datagram, self.source.ip(), self.now);
        drop(gate);
        admitted.then(|| identity.identify(&verified))?
    }

    fn initiators_lane<'l>(
        &self,
        lanes: &'l Switchboard<Arc<Lane>>,
        initiator: Initiator,
    ) -> Option<&'l Arc<Lane>> {
        lanes.by_initiator(initiator, self.link, self.source, |lane| Standing {
            remote: lane.tunnel.remote(),
            established: lane.tunnel.is_established(),
        })
    }

    fn reply(&self, datagram: &[u8]) {
        if let Err(error) = self.socket.send_one(datagram, self.source) {
            tracing::trace!(%error, to = %self.source, "a reply was not sent");
        }
    }

    fn tell(&self, control: Control) {
        if self.shared.control.try_send(control).is_err() {
            self.shared.lost_control.fetch_add(1, Relaxed);
        }
    }
}
