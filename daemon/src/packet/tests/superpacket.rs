//! TCP superpackets as they are read from a TUN with offloads, and their split.

use std::io;
use std::net::IpAddr;

use proptest::prelude::*;
use tun_rs::{VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VirtioNetHdr, gso_split};

use super::super::batch::LARGEST_PACKET;
use super::super::coalesce::MOST_SEGMENTS;
use super::super::inner;

pub const ACK: u8 = 0x10;
pub const PSH: u8 = 0x08;
pub const FIN: u8 = 0x01;
pub const CWR: u8 = 0x80;
pub const ECE: u8 = 0x40;
pub const NEEDS_CSUM: u8 = 1;
pub const CHECKSUM: u16 = 16;
/// Packets that the buffers of one split take.
pub const MOST: usize = 128;
/// The longest headers: IPv6's, an extension header, TCP's with all its options.
const HEADERS: usize = 40 + 8 + 60;

/// A superpacket, ready to be made.
#[derive(Clone, Debug)]
pub struct Superpacket {
    pub v6: bool,
    pub port: u16,
    pub sequence: u32,
    pub flags: u8,
    pub window: u16,
    pub identification: u16,
    pub dont_fragment: bool,
    pub tos: u8,
    pub hop_limit: u8,
    pub flow_label: u16,
    pub options: Vec<u8>,
    pub body: usize,
    pub gso_size: u16,
}

impl Superpacket {
    /// Plain data; `body` bytes in segments of `gso_size`.
    pub fn of(v6: bool, body: usize, gso_size: u16) -> Self {
        Self {
            v6,
            port: 1000,
            sequence: u32::MAX - 3000,
            flags: ACK,
            window: 500,
            identification: 65_530,
            dont_fragment: true,
            tos: 0,
            hop_limit: 64,
            flow_label: 0,
            options: timestamps(7),
            body,
            gso_size,
        }
    }

    pub fn ip_header(&self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    pub fn headers(&self) -> usize {
        self.ip_header() + 20 + self.options.len()
    }

    /// Bytes that differ from place to place, lest two segments be mistaken for each other.
    pub fn payload(&self) -> Vec<u8> {
        let start = u64::from(self.sequence) << 16 | u64::from(self.port);
        let mut state = start.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..self.body).map(|_| next()).collect()
    }

    /// The virtio-net header with an exact header length, and the packet with a partial checksum.
    pub fn make(&self) -> (VirtioNetHdr, Vec<u8>) {
        let (source, destination) = self.addresses();
        let mut packet = inner::packet(source, destination, 6, &self.tcp()).unwrap();
        if self.v6 {
            packet[0] |= self.tos >> 4;
            packet[1] = self.tos << 4;
            packet[2..4].copy_from_slice(&self.flow_label.to_be_bytes());
            packet[7] = self.hop_limit;
        } else {
            packet[1] = self.tos;
            packet[4..6].copy_from_slice(&self.identification.to_be_bytes());
            packet[6] = if self.dont_fragment { 0x40 } else { 0 };
            packet[8] = self.hop_limit;
            mend_v4(&mut packet);
        }
        let tcp = self.ip_header();
        let addresses = inner::sum(0, &packet[tcp - if self.v6 { 32 } else { 8 }..tcp]);
        let length = u32::try_from(packet.len() - tcp).unwrap();
        let partial = inner::sum(u32::from(addresses) + 6 + length, &[]);
        packet[tcp + 16..tcp + 18].copy_from_slice(&partial.to_be_bytes());
        (self.header(), packet)
    }

    fn header(&self) -> VirtioNetHdr {
        VirtioNetHdr {
            flags: NEEDS_CSUM,
            gso_type: if self.v6 {
                VIRTIO_NET_HDR_GSO_TCPV6
            } else {
                VIRTIO_NET_HDR_GSO_TCPV4
            },
            hdr_len: u16::try_from(self.headers()).unwrap(),
            gso_size: self.gso_size,
            csum_start: u16::try_from(self.ip_header()).unwrap(),
            csum_offset: CHECKSUM,
        }
    }

    fn addresses(&self) -> (IpAddr, IpAddr) {
        let (source, destination) = if self.v6 {
            ("fd50::1", "fd50::2")
        } else {
            ("10.213.1.1", "10.213.2.1")
        };
        (source.parse().unwrap(), destination.parse().unwrap())
    }

    fn tcp(&self) -> Vec<u8> {
        let mut tcp = self.port.to_be_bytes().to_vec();
        tcp.extend(7000u16.to_be_bytes());
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(9u32.to_be_bytes());
        let length = u8::try_from(20 + self.options.len()).unwrap();
        tcp.extend([length << 2, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(self.payload());
        tcp
    }

    pub fn pieces(&self) -> Vec<Vec<u8>> {
        let (header, packet) = self.make();
        split(header, &packet).unwrap()
    }

    /// The superpacket that the same connection sends next.
    pub fn next(&self) -> Self {
        let mut next = self.clone();
        let body = u32::try_from(self.body).unwrap();
        next.sequence = self.sequence.wrapping_add(body);
        let pieces = self.body.div_ceil(usize::from(self.gso_size));
        let pieces = u16::try_from(pieces).unwrap();
        next.identification = self.identification.wrapping_add(pieces);
        next
    }
}

/// Computes the header checksum of an IPv4 packet, whatever its header's length.
pub fn mend_v4(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let checksum = inner::checksum(0, &packet[..header]).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
}

/// NOP, NOP and the timestamps option (RFC 7323 section 3.2).
pub fn timestamps(value: u32) -> Vec<u8> {
    let mut option = vec![1, 1, 8, 10];
    option.extend(value.to_be_bytes());
    option.extend(value.wrapping_mul(31).to_be_bytes());
    option
}

/// MPTCP's data sequence signal (RFC 8684 section 3.3) with both numbers in 64 bits, as Linux
/// sends it: 26 bytes and two NOPs.
pub fn data_sequence_signal(value: u64) -> Vec<u8> {
    let mut option = vec![30, 26, 0x20, 0x0f];
    option.extend(value.to_be_bytes());
    option.extend(value.rotate_left(32).to_be_bytes());
    option.extend([0, 0, 0, 1, 0x05, 0x64, 1, 1]);
    option
}

/// The split that `SyncDevice::recv_multiple` makes. It takes the length of the headers from the
/// TCP header, and from the virtio-net header only where that begins; that step is not public.
pub fn split(mut header: VirtioNetHdr, packet: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let offset = usize::from(header.csum_start) + 12;
    let offset = packet.get(offset).copied().unwrap_or_default();
    header.hdr_len = header.csum_start.saturating_add(u16::from(offset >> 4) * 4);
    split_as_it_says(header, packet, &mut Buffers::new(MOST, header.gso_size))
}

/// Where a split writes to, used again and again.
pub struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    /// For `most` segments of `gso_size` bytes.
    pub fn new(most: usize, gso_size: u16) -> Self {
        Self(vec![vec![0; HEADERS + usize::from(gso_size)]; most])
    }
}

pub fn split_as_it_says(
    header: VirtioNetHdr,
    packet: &[u8],
    buffers: &mut Buffers,
) -> io::Result<Vec<Vec<u8>>> {
    let mut packet = packet.to_vec();
    let v6 = packet.first().is_some_and(|first| first >> 4 == 6);
    let mut sizes = vec![0; buffers.0.len()];
    let count = gso_split(&mut packet, header, &mut buffers.0, &mut sizes, 0, v6)?;
    let pieces = buffers.0.iter().zip(sizes).take(count);
    Ok(pieces.map(|(bytes, size)| bytes[..size].to_vec()).collect())
}

fn options() -> impl Strategy<Value = Vec<u8>> {
    let signal = any::<u64>().prop_map(data_sequence_signal);
    prop_oneof![
        Just(Vec::new()),
        any::<u32>().prop_map(timestamps),
        signal.clone(),
        (any::<u32>().prop_map(timestamps), signal).prop_map(|(a, b)| [a, b].concat()),
    ]
}

prop_compose! {
    fn shape()(
        gso_size in prop_oneof![1u16..64, 536u16..1441, Just(1380), 1u16..9000],
        options in options(),
        v6 in any::<bool>(),
    )(
        // What fits: into one IP packet, and into one superpacket of ours.
        body in 1..=(usize::from(gso_size) * MOST_SEGMENTS)
            .min(LARGEST_PACKET - if v6 { 40 } else { 20 } - 20 - options.len()),
        gso_size in Just(gso_size),
        options in Just(options),
        v6 in Just(v6),
    ) -> Superpacket {
        Superpacket { options, ..Superpacket::of(v6, body, gso_size) }
    }
}

prop_compose! {
    /// Data with `flags`, one of them; everything else as it may come.
    pub fn with_flags(flags: Vec<u8>)(
        shape in shape(),
        (port, sequence, window, identification) in any::<(u16, u32, u16, u16)>(),
        (dont_fragment, tos, hop_limit, flow_label) in any::<(bool, u8, u8, u16)>(),
        flags in prop::sample::select(flags),
    ) -> Superpacket {
        Superpacket {
            port, sequence, flags, window, identification,
            dont_fragment, tos, hop_limit, flow_label,
            ..shape
        }
    }
}
