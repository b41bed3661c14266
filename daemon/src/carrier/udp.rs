//! One UDP socket per link and family, bound to the link's device or source address; batches by
//! quinn-udp, with segmentation and receive offload where the kernel has them.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "io::ErrorKind grows with every release"
)]

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::names::InterfaceName;
use crate::packet::batch::{Run, Sealed};

/// Old kernels take no more than 64 segments (`UDP_MAX_SEGMENTS`, linux/udp.h before 6.9).
const SEGMENTS: usize = 64;
/// Above this the kernel segments in software without saying so.
const SEND_BYTES: usize = 65_400;
/// Socket buffers: a few milliseconds at 10 Gbit/s.
const BUFFER: usize = 4 << 20;
/// Messages taken by one receive, and the size of each one's slot: the largest that receive
/// offload can make.
const SLOTS: usize = 8;
const SLOT: usize = 65_535;

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    #[error("device {0} does not exist")]
    NoDevice(InterfaceName),
    #[error("source address {0} is not on this machine")]
    NoSource(IpAddr),
    #[error(
        "UDP port {0} is in use: stop the program that holds it (`ss -ulpn 'sport = :{0}'`), \
         or set another listen_port at every site"
    )]
    PortInUse(u16),
    #[error("a socket may not be bound to a device: run as root or with CAP_NET_RAW")]
    NotPermitted,
    #[error("UDP socket: {0}")]
    Other(#[from] io::Error),
}

/// What a link's socket is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindTo {
    pub interface: Option<InterfaceName>,
    /// An address of this machine, or the unspecified address of the family.
    pub source: IpAddr,
    pub port: u16,
}

impl BindTo {
    /// Every address of a family.
    pub fn any(v6: bool) -> IpAddr {
        if v6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    }
}

#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    state: UdpSocketState,
}

impl UdpSocket {
    pub fn open(to: &BindTo) -> Result<Self, CarrierError> {
        let address = SocketAddr::new(to.source, to.port);
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if let Some(interface) = &to.interface {
            socket
                .bind_device(Some(interface.as_str().as_bytes()))
                .map_err(|error| match error.kind() {
                    io::ErrorKind::PermissionDenied => CarrierError::NotPermitted,
                    _ => CarrierError::NoDevice(interface.clone()),
                })?;
        }
        socket
            .bind(&address.into())
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => CarrierError::PortInUse(to.port),
                io::ErrorKind::AddrNotAvailable => CarrierError::NoSource(to.source),
                _ => CarrierError::Other(error),
            })?;
        widen(&socket);
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state })
    }

    /// Sends the whole batch to `to`. What the kernel refuses is dropped; the first such error is
    /// given back after the rest has been tried.
    pub fn send(&self, batch: &Sealed, to: SocketAddr) -> io::Result<()> {
        let segments = self.state.max_gso_segments().min(SEGMENTS);
        let mut result = Ok(());
        for run in batch.runs(segments, SEND_BYTES) {
            let sent = self.send_run(run, to);
            if result.is_ok() {
                result = sent;
            }
        }
        result
    }

    /// Sends one datagram.
    pub fn send_one(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.transmit(datagram, None, to)
    }

    fn send_run(&self, run: Run<'_>, to: SocketAddr) -> io::Result<()> {
        let size = (run.count > 1).then_some(run.size);
        match self.transmit(run.bytes, size, to) {
            // A device without checksum offload (EIO), or a segment above the route's MTU
            // (EMSGSIZE): those of them that fit still get through one by one.
            Err(error) if run.count > 1 && error.kind() != io::ErrorKind::WouldBlock => {
                let each = run.bytes.chunks(run.size);
                each.map(|datagram| self.transmit(datagram, None, to))
                    .fold(Ok(()), Result::and)
            }
            result => result,
        }
    }

    fn transmit(&self, contents: &[u8], size: Option<usize>, to: SocketAddr) -> io::Result<()> {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: size,
            src_ip: None,
        };
        self.state.try_send((&self.socket).into(), &transmit)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Large buffers, by force where we may; the plain option is bounded by `net.core.*mem_max`.
fn widen(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &BUFFER).is_err()
        && let Err(error) = socket.set_recv_buffer_size(BUFFER)
    {
        tracing::warn!(%error, "the receive buffer stays small: bursts may be lost");
    }
    if setsockopt(socket, sockopt::SndBufForce, &BUFFER).is_err()
        && let Err(error) = socket.set_send_buffer_size(BUFFER)
    {
        tracing::warn!(%error, "the send buffer stays small: bursts may be lost");
    }
}

/// The buffers of one receiver.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    metas: [RecvMeta; SLOTS],
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT],
            metas: [RecvMeta::default(); SLOTS],
        }
    }
}

impl Inbox {
    /// Receives once and gives each message's source and datagrams, in order of arrival.
    /// `WouldBlock` when there is nothing.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
    ) -> io::Result<impl Iterator<Item = (SocketAddr, std::slice::Chunks<'_, u8>)>> {
        let mut slots = self.bytes.chunks_mut(SLOT).map(IoSliceMut::new);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| slots.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let count = socket
            .state
            .recv((&socket.socket).into(), &mut slots, &mut self.metas)?;
        let messages = self.bytes.chunks(SLOT).zip(self.metas.iter()).take(count);
        Ok(messages.map(|(slot, meta)| {
            let bytes = slot.get(..meta.len).unwrap_or_default();
            (meta.addr, bytes.chunks(meta.stride.max(1)))
        }))
    }
}
