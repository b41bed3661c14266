//! Neighbouring TCP segments put together, so that the kernel takes up to 64 kB in one write to
//! a TUN.
//!
//! tun-rs brings a port of wireguard-go's coalescing, but it merges what MPTCP and its users must
//! not lose: it takes segments with different windows or IPv6 flow labels for one, looks for a
//! place in all open superpackets of a flow (and in front of them), lets data overtake a pure ACK
//! or a FIN, merges UDP whether one wants it or not, and copies each packet to the heap. Here:
//!
//! - A segment is appended only to its flow's open superpacket, of which there is one. If it
//!   cannot be, that is closed for good, and written before it: a flow keeps its order.
//! - All header fields but length, identification, sequence number, PSH and checksums are equal,
//!   options byte for byte; the sequence number is the expected one; nothing follows a shorter
//!   segment or a PSH.
//! - Checksums are verified before a merge, lest it should launder a damaged packet into a valid
//!   one. What is not merged goes out as it came, and no flag says that it is good.
//! - IP options, extension headers and fragments pass; UDP does (a later matter).

use super::batch::LARGEST_PACKET;
use super::inner::sum;

/// Length of the virtio-net header in front of each packet (`struct virtio_net_hdr`).
pub const HEADROOM: usize = 10;
/// Segments of one superpacket. Whoever reads it from another TUN must find room for them all, and
/// the kernel counts none of what came from a TUN (`tcp_gso_segment` lets it pass as it is).
pub(super) const MOST_SEGMENTS: usize = 64;
/// Flows with an open superpacket; for another one, the oldest is written.
const FLOWS: usize = 8;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
/// Offsets inside the TCP header (RFC 9293 section 3.1).
const SEQUENCE: usize = 4;
const FLAGS: usize = 13;
const CHECKSUM: usize = 16;

/// One write to the TUN: virtio-net header and packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub bytes: &'a [u8],
    /// How many packets it is made of.
    pub packets: usize,
}

/// Open superpackets, oldest first. [`Coalescer::push`] each packet in order of arrival, then
/// [`Coalescer::flush`]; frames come out through `write`. Packets are whole, as
/// [`super::ip::Header::of`] has it.
#[derive(Debug, Default)]
pub struct Coalescer {
    open: Vec<Superpacket>,
    spare: Vec<Superpacket>,
    alone: Vec<u8>,
}

impl Coalescer {
    pub fn push(&mut self, packet: &[u8], mut write: impl FnMut(Frame<'_>)) {
        let Some(segment) = Segment::of(packet) else {
            if !keeps_no_order(packet) {
                self.flush(&mut write);
            }
            self.pass(packet, write);
            return;
        };
        let flow = segment.flow();
        let found = self.open.iter().position(|other| other.is_of(flow));
        if let Some(at) = found {
            if self
                .open
                .get_mut(at)
                .is_some_and(|head| head.append(&segment))
            {
                return;
            }
            self.close(at, &mut write);
        }
        if segment.may_be_merged() {
            self.begin(&segment, write);
        } else {
            self.pass(packet, write);
        }
    }

    /// Writes what is open.
    pub fn flush(&mut self, mut write: impl FnMut(Frame<'_>)) {
        while !self.open.is_empty() {
            self.close(0, &mut write);
        }
    }

    fn begin(&mut self, segment: &Segment<'_>, mut write: impl FnMut(Frame<'_>)) {
        if self.open.len() == FLOWS {
            self.close(0, &mut write);
        }
        let mut superpacket = self.spare.pop().unwrap_or_default();
        superpacket.begin(segment);
        self.open.push(superpacket);
    }

    fn close(&mut self, at: usize, mut write: impl FnMut(Frame<'_>)) {
        let mut superpacket = self.open.remove(at);
        write(superpacket.finish());
        self.spare.push(superpacket);
    }

    /// Writes a packet as it is, before all that is open.
    pub fn pass(&mut self, packet: &[u8], mut write: impl FnMut(Frame<'_>)) {
        self.alone.clear();
        self.alone.resize(HEADROOM, 0);
        self.alone.extend_from_slice(packet);
        write(Frame {
            bytes: &self.alone,
            packets: 1,
        });
    }
}

/// Whole datagrams of these have no neighbours whose order they could break.
fn keeps_no_order(packet: &[u8]) -> bool {
    let protocol = match packet {
        [0x45, ..] if packet.get(6..8).is_some_and(is_whole) => packet.get(9),
        [first, ..] if first >> 4 == 6 => packet.get(6),
        _ => None,
    };
    matches!(protocol, Some(&(UDP | ICMP | ICMP6)))
}

/// Flags and fragment offset: Don't Fragment may be set, nothing else.
fn is_whole(fragment: &[u8]) -> bool {
    matches!(fragment, [0 | 0x40, 0])
}

/// A TCP segment in an IP packet without options, extensions or fragmentation.
#[derive(Clone, Copy, Debug)]
struct Segment<'a> {
    packet: &'a [u8],
    /// Where TCP begins and its payload begins.
    tcp: usize,
    payload: usize,
    sequence: u32,
    flags: u8,
}

impl<'a> Segment<'a> {
    fn of(packet: &'a [u8]) -> Option<Self> {
        let tcp = match packet {
            [0x45, ..] if packet.get(9) == Some(&TCP) && is_whole(packet.get(6..8)?) => V4_HEADER,
            [first, ..] if first >> 4 == 6 && packet.get(6) == Some(&TCP) => V6_HEADER,
            _ => return None,
        };
        let header = packet.get(tcp..)?.first_chunk::<20>()?;
        let length = usize::from(header[12] >> 4) * 4;
        let payload = tcp + length;
        if length < 20 || payload > packet.len() || packet.len() > LARGEST_PACKET {
            return None;
        }
        let sequence = header.get(SEQUENCE..)?.first_chunk::<4>()?;
        Some(Self {
            packet,
            tcp,
            payload,
            sequence: u32::from_be_bytes(*sequence),
            flags: header[FLAGS],
        })
    }

    /// Addresses and ports, which lie side by side.
    fn flow(&self) -> &'a [u8] {
        flow_of(self.packet, self.tcp)
    }

    fn body(&self) -> &'a [u8] {
        self.packet.get(self.payload..).unwrap_or_default()
    }

    /// Pure ACKs, SYN, FIN, RST, URG, CWR and ECE stand alone.
    fn may_be_merged(&self) -> bool {
        self.flags & !PSH == ACK && !self.body().is_empty()
    }
}

fn flow_of(packet: &[u8], tcp: usize) -> &[u8] {
    let addresses = if tcp == V4_HEADER { 8 } else { 32 };
    packet.get(tcp - addresses..tcp + 4).unwrap_or_default()
}

/// A segment, and what was appended to it.
#[derive(Debug, Default)]
struct Superpacket {
    /// Virtio-net header and packet.
    bytes: Vec<u8>,
    tcp: usize,
    payload: usize,
    /// Length of each segment but the last.
    segment: usize,
    packets: usize,
    next_sequence: u32,
    /// A shorter segment or a PSH was the last.
    ended: bool,
}

impl Superpacket {
    fn begin(&mut self, segment: &Segment<'_>) {
        self.bytes.clear();
        self.bytes.resize(HEADROOM, 0);
        self.bytes.extend_from_slice(segment.packet);
        self.tcp = segment.tcp;
        self.payload = segment.payload;
        self.segment = segment.body().len();
        self.packets = 1;
        self.next_sequence = after(segment);
        self.ended = segment.flags & PSH != 0;
    }

    fn packet(&self) -> &[u8] {
        self.bytes.get(HEADROOM..).unwrap_or_default()
    }

    fn is_of(&self, flow: &[u8]) -> bool {
        flow_of(self.packet(), self.tcp) == flow
    }

    /// `false` if it does not belong here.
    fn append(&mut self, segment: &Segment<'_>) -> bool {
        let body = segment.body();
        let fits = !self.ended
            && segment.may_be_merged()
            && segment.sequence == self.next_sequence
            && body.len() <= self.segment
            && self.packets < MOST_SEGMENTS
            && self.packet().len() + body.len() <= LARGEST_PACKET
            && self.headers_agree(segment)
            && (self.packets > 1 || is_valid(self.packet(), self.tcp))
            && is_valid(segment.packet, segment.tcp);
        if !fits {
            return false;
        }
        self.bytes.extend_from_slice(body);
        self.packets += 1;
        self.next_sequence = after(segment);
        self.ended = body.len() < self.segment || segment.flags & PSH != 0;
        if let Some(flags) = self.bytes.get_mut(HEADROOM + self.tcp + FLAGS) {
            *flags |= segment.flags & PSH;
        }
        true
    }

    fn headers_agree(&self, segment: &Segment<'_>) -> bool {
        let (ours, theirs) = (self.packet(), segment.packet);
        let same = |from: usize, to: usize| ours.get(from..to) == theirs.get(from..to);
        let ip = if self.tcp == V4_HEADER {
            // Version, length and TOS; fragmentation; TTL and protocol.
            same(0, 2) && same(6, 10)
        } else {
            // Version, traffic class and flow label; next header and hop limit.
            same(0, 4) && same(6, 8)
        };
        let tcp = self.tcp;
        // Acknowledgement and header length; window; urgent pointer and options.
        ip && self.payload == segment.payload
            && same(tcp + 8, tcp + FLAGS)
            && same(tcp + 14, tcp + CHECKSUM)
            && same(tcp + 18, self.payload)
    }

    /// The frame to write. What was merged says so in its virtio-net header: the kernel is to
    /// compute the checksums, of which the pseudo-header's part is given.
    fn finish(&mut self) -> Frame<'_> {
        if self.packets > 1 {
            self.fill_headers();
        }
        Frame {
            bytes: &self.bytes,
            packets: self.packets,
        }
    }

    fn fill_headers(&mut self) {
        let v4 = self.tcp == V4_HEADER;
        let (tcp, total) = (self.tcp, self.packet().len());
        let header = virtio_header(v4, self.payload, self.segment, tcp);
        let Some((front, packet)) = self.bytes.split_first_chunk_mut::<HEADROOM>() else {
            return;
        };
        *front = header;
        let length = if v4 { total } else { total - V6_HEADER };
        let length_at = if v4 { 2 } else { 4 };
        put(packet, length_at, word(length));
        if v4 {
            put(packet, 10, 0);
            let header = packet.get(..V4_HEADER).unwrap_or_default();
            let checksum = !sum(0, header);
            put(packet, 10, checksum);
        }
        let pseudo = pseudo_header(packet, tcp);
        put(packet, tcp + CHECKSUM, sum(pseudo, &[]));
    }
}

/// `struct virtio_net_hdr` (virtio 1.2 section 5.1.6), in the machine's byte order as TUN has it.
fn virtio_header(v4: bool, headers: usize, segment: usize, tcp: usize) -> [u8; HEADROOM] {
    const NEEDS_CSUM: u8 = 1;
    const GSO_TCPV4: u8 = 1;
    const GSO_TCPV6: u8 = 4;
    let [h0, h1] = word(headers).to_ne_bytes();
    let [s0, s1] = word(segment).to_ne_bytes();
    let [c0, c1] = word(tcp).to_ne_bytes();
    let [o0, o1] = word(CHECKSUM).to_ne_bytes();
    let kind = if v4 { GSO_TCPV4 } else { GSO_TCPV6 };
    [NEEDS_CSUM, kind, h0, h1, s0, s1, c0, c1, o0, o1]
}

/// Lengths here are those of IP packets.
fn word(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn put(packet: &mut [u8], at: usize, value: u16) {
    if let Some(place) = packet.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn after(segment: &Segment<'_>) -> u32 {
    let length = u32::try_from(segment.body().len()).unwrap_or(u32::MAX);
    segment.sequence.wrapping_add(length)
}

/// The unfolded sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo_header(packet: &[u8], tcp: usize) -> u32 {
    let addresses = if tcp == V4_HEADER { 8 } else { 32 };
    let addresses = packet.get(tcp - addresses..tcp).unwrap_or_default();
    let length = u32::try_from(packet.len() - tcp).unwrap_or(u32::MAX);
    u32::from(sum(0, addresses)) + u32::from(TCP) + length
}

/// The TCP checksum is right, and so is IPv4's of the header.
fn is_valid(packet: &[u8], tcp: usize) -> bool {
    let header = packet.get(..V4_HEADER).unwrap_or_default();
    let header_is_valid = tcp != V4_HEADER || sum(0, header) == u16::MAX;
    let segment = packet.get(tcp..).unwrap_or_default();
    header_is_valid && sum(pseudo_header(packet, tcp), segment) == u16::MAX
}

#[cfg(test)]
mod tests;
