//! A link's end at the site: a TUN device with the kernel's offloads, by tun-rs. One system call
//! carries up to 64 kB, but what is read is split, so that the line sees the packets of the wire,
//! and what is written is joined again only where the kernel's own receive offload would.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use pathweaved::packet::coalesce::{Coalescer, Frame};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use tun_rs::{DeviceBuilder, GROTable, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::namespace::netlink;

/// Largest IP packet on an ISP link.
pub const MTU: u16 = 1500;
/// Packets in one superpacket: as many as UDP segmentation offload allows, and TCP is told so.
const SEGMENTS: u16 = 128;
/// Datagrams that are joined in one turn: some three superpackets of full size.
const DATAGRAMS: usize = 128;
const LARGEST: usize = u16::MAX as usize;
const UDP: u8 = 17;

pub(crate) struct Port {
    device: SyncDevice,
    superpacket: Box<[u8]>,
    packets: Vec<Vec<u8>>,
    sizes: Vec<usize>,
    /// Slots, of which the first `waiting` hold a datagram each.
    datagrams: Vec<Vec<u8>>,
    waiting: usize,
    table: GROTable,
    segments: Coalescer,
}

impl Port {
    /// Makes the device in the calling thread's namespace, with its addresses and a default
    /// route of `metric`.
    pub(crate) fn open(
        name: &str,
        addresses: (Ipv4Addr, Ipv6Addr),
        metric: u32,
    ) -> io::Result<Self> {
        let (v4, v6) = addresses;
        let device = DeviceBuilder::new()
            .name(name)
            .mtu(MTU)
            .ipv4(v4, 32, None)
            .ipv6(v6, 128)
            .offload(true)
            .build_sync()
            .map_err(explain)?;
        device.set_nonblocking(true)?;
        let index = device.if_index()?;
        netlink(async move |handle| configure(&handle, index, metric).await)?;
        Ok(Self {
            device,
            superpacket: vec![0; VIRTIO_NET_HDR_LEN + LARGEST].into_boxed_slice(),
            packets: vec![vec![0; usize::from(MTU)]; usize::from(SEGMENTS)],
            sizes: vec![0; usize::from(SEGMENTS)],
            // tun-rs joins only what fits a slot as it is.
            datagrams: (0..DATAGRAMS)
                .map(|_| Vec::with_capacity(LARGEST))
                .collect(),
            waiting: 0,
            table: GROTable::new(),
            segments: Coalescer::default(),
        })
    }

    /// What one system call gives, packet by packet. `None`: nothing at present.
    pub(crate) fn read(&mut self) -> io::Result<Option<impl Iterator<Item = &[u8]>>> {
        let Self {
            device,
            superpacket,
            packets,
            sizes,
            ..
        } = self;
        let count = match device.recv_multiple(superpacket, packets, sizes, 0) {
            Ok(count) => count,
            // EIO: the device is down.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.raw_os_error() == Some(5) => return Ok(None),
            // Not the kernel's word but the library's: a packet that it cannot split.
            Err(error) if error.raw_os_error().is_none() => 0,
            Err(error) => return Err(error),
        };
        let read = packets.iter().zip(sizes.iter()).take(count);
        Ok(Some(read.map(|(packet, size)| &packet[..*size])))
    }

    /// Hands a packet over, at the latest with [`Port::flush`].
    pub(crate) fn write(&mut self, packet: &[u8]) {
        if !is_udp(packet) {
            let device = &self.device;
            self.segments.push(packet, |frame| send(device, frame));
            return;
        }
        if self.waiting == DATAGRAMS {
            self.flush_datagrams();
        }
        let slot = &mut self.datagrams[self.waiting];
        slot.clear();
        slot.resize(VIRTIO_NET_HDR_LEN, 0);
        slot.extend_from_slice(packet);
        self.waiting += 1;
    }

    pub(crate) fn flush(&mut self) {
        let device = &self.device;
        self.segments.flush(|frame| send(device, frame));
        self.flush_datagrams();
    }

    fn flush_datagrams(&mut self) {
        let datagrams = &mut self.datagrams[..self.waiting];
        self.waiting = 0;
        let sent = self
            .device
            .send_multiple(&mut self.table, datagrams, VIRTIO_NET_HDR_LEN);
        if sent.is_err() {
            // The device is down: the packets are lost, as on a real line.
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

fn send(device: &SyncDevice, frame: Frame<'_>) {
    if device.send(frame.bytes).is_err() {
        // The device is down: the packet is lost, as on a real line.
    }
}

fn is_udp(packet: &[u8]) -> bool {
    let protocol = match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(9),
        Some(6) => packet.get(6),
        _ => None,
    };
    protocol == Some(&UDP)
}

async fn configure(handle: &Handle, index: u32, metric: u32) -> Result<(), rtnetlink::Error> {
    let segments = LinkAttribute::GsoMaxSegs(u32::from(SEGMENTS));
    let link = LinkUnspec::new_with_index(index).append_extra_attribute(segments);
    handle.link().set(link.build()).execute().await?;
    let out = RouteMessageBuilder::<Ipv4Addr>::new()
        .output_interface(index)
        .priority(metric);
    handle.route().add(out.build()).execute().await?;
    let out = RouteMessageBuilder::<Ipv6Addr>::new()
        .output_interface(index)
        .priority(metric);
    handle.route().add(out.build()).execute().await
}

fn explain(error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "/dev/net/tun may not be opened: `sudo chmod 666 /dev/net/tun` (its usual mode), or \
             run as root"
        }
        io::ErrorKind::NotFound => "/dev/net/tun does not exist: `sudo modprobe tun`",
        _ => return error,
    };
    io::Error::new(error.kind(), remedy)
}
