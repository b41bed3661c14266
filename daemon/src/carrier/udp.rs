//! One UDP socket per link and family, bound to the link's device or source address; batches by
//! quinn-udp, with segmentation and receive offload where the kernel has them.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "io::ErrorKind grows with every release"
)]

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::slice::Chunks;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::names::InterfaceName;
use crate::packet::batch::{Row, Run};
use crate::packet::ecn::Ecn;

/// Above this the kernel segments in software without saying so.
const BYTES: usize = 65_400;
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

/// Datagrams that the kernel did not take.
#[derive(Debug, thiserror::Error)]
#[error("{dropped} datagrams were not sent: {error}")]
pub struct SendError {
    pub dropped: usize,
    /// The last of the reasons.
    pub error: io::Error,
}

/// A device without checksum offload on an older kernel (EIO), or one segment above the route's
/// MTU (EMSGSIZE): those that fit still get through one by one.
fn may_go_singly(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE))
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

/// What a socket may use, or uses, of the kernel's offloads. What the kernel has not, or gives up
/// on the way, the socket does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Most datagrams in one send; 1: no segmentation offload.
    pub segments: usize,
    /// Datagrams may come in together.
    pub receive: bool,
    /// Bytes of each of the two socket buffers.
    pub buffer: usize,
}

impl Offload {
    /// Old kernels take no more than 64 segments (`UDP_MAX_SEGMENTS`, linux/udp.h before 6.9).
    /// The buffers hold a few milliseconds at 10 Gbit/s.
    pub const FULL: Self = Self {
        segments: 64,
        receive: true,
        buffer: 4 << 20,
    };
    /// One datagram at a time.
    pub const NONE: Self = Self {
        segments: 1,
        receive: false,
        ..Self::FULL
    };
}

#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    state: UdpSocketState,
    allowed: Offload,
    /// It was said that the kernel refuses segmentation offload here.
    told: AtomicBool,
}

impl UdpSocket {
    pub fn open(to: &BindTo, allowed: Offload) -> Result<Self, CarrierError> {
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
        widen(&socket, allowed.buffer);
        let state = UdpSocketState::new((&socket).into())?;
        if !allowed.receive {
            setsockopt(&socket, sockopt::UdpGroSegment, &false).map_err(io::Error::from)?;
        }
        Ok(Self {
            socket,
            state,
            allowed,
            told: AtomicBool::new(false),
        })
    }

    /// What is in use now.
    pub fn offload(&self) -> Offload {
        // The kernel tells the doubled value that it set (socket(7)).
        let buffer = self.socket.recv_buffer_size().map_or(0, |size| size / 2);
        Offload {
            segments: self.segments(),
            receive: self.allowed.receive && self.state.gro_segments() > 1,
            buffer,
        }
    }

    /// Looked up before each send: quinn-udp switches segmentation off after an EIO.
    fn segments(&self) -> usize {
        self.state.max_gso_segments().min(self.allowed.segments)
    }

    /// Sends the whole batch to `to`. What the kernel refuses is dropped, and the rest tried all
    /// the same.
    pub fn send(&self, batch: &Row, to: SocketAddr) -> Result<(), SendError> {
        let mut failed = None;
        let mut next = 0;
        while let Some(run) = batch.run(next, self.segments(), BYTES) {
            next += run.count;
            if let Err(error) = self.send_run(run, to) {
                let dropped = failed.map_or(0, |SendError { dropped, .. }| dropped);
                failed = Some(SendError {
                    dropped: dropped + error.dropped,
                    error: error.error,
                });
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sends one datagram.
    pub fn send_one(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.transmit(datagram, None, Ecn::NotEct, to)
    }

    fn send_run(&self, run: Run<'_>, to: SocketAddr) -> Result<(), SendError> {
        let size = (run.count > 1).then_some(run.size);
        let error = match self.transmit(run.bytes, size, run.mark, to) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if run.count == 1 || !may_go_singly(&error) {
            return Err(SendError {
                dropped: run.count,
                error,
            });
        }
        if self.segments() == 1 && !self.told.swap(true, Relaxed) {
            tracing::warn!(%error, "the kernel refuses UDP segmentation here: one datagram a send");
        }
        let refused = run.bytes.chunks(run.size);
        let refused: Vec<_> = refused
            .filter_map(|datagram| self.transmit(datagram, None, run.mark, to).err())
            .collect();
        let dropped = refused.len();
        match refused.into_iter().last() {
            None => Ok(()),
            Some(error) => Err(SendError { dropped, error }),
        }
    }

    fn transmit(
        &self,
        contents: &[u8],
        segment_size: Option<usize>,
        mark: Ecn,
        to: SocketAddr,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: to,
            ecn: EcnCodepoint::from_bits(mark.bits()),
            contents,
            segment_size,
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
fn widen(socket: &Socket, bytes: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err()
        && let Err(error) = socket.set_recv_buffer_size(bytes)
    {
        tracing::warn!(%error, "the receive buffer stays small: bursts may be lost");
    }
    if setsockopt(socket, sockopt::SndBufForce, &bytes).is_err()
        && let Err(error) = socket.set_send_buffer_size(bytes)
    {
        tracing::warn!(%error, "the send buffer stays small: bursts may be lost");
    }
}

/// What one source sent together: datagrams of one length, but the last may be shorter.
#[derive(Debug)]
pub struct Message<'a> {
    pub source: SocketAddr,
    pub mark: Ecn,
    pub datagrams: Chunks<'a, u8>,
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
    /// Receives once and gives the messages in order of arrival.
    /// `WouldBlock` when there is nothing.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<impl Iterator<Item = Message<'_>>> {
        let mut slots = self.bytes.chunks_mut(SLOT).map(IoSliceMut::new);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| slots.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let count = socket
            .state
            .recv((&socket.socket).into(), &mut slots, &mut self.metas)?;
        let messages = self.bytes.chunks(SLOT).zip(self.metas.iter()).take(count);
        Ok(messages.map(|(slot, meta)| {
            let bytes = slot.get(..meta.len).unwrap_or_default();
            Message {
                source: meta.addr,
                mark: Ecn::of_bits(meta.ecn.map_or(0, |mark| mark as u8)),
                datagrams: bytes.chunks(meta.stride.max(1)),
            }
        }))
    }
}
