//! From the kernel's superpacket to single packets and back: split by tun-rs, as a read from a TUN
//! does, seen by an independent parser, coalesced by us.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use tun_rs::{VirtioNetHdr, gso_split};

use super::super::inner;
use super::*;

/// A superpacket as the kernel hands it over, whose TCP checksum is only begun.
#[derive(Clone, Debug)]
struct Superpacket {
    v6: bool,
    segment: u16,
    options: Vec<u8>,
    flags: u8,
    body: Vec<u8>,
}

impl Superpacket {
    fn headers(&self) -> usize {
        let ip = if self.v6 { V6_HEADER } else { V4_HEADER };
        ip + 20 + self.options.len()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut tcp = vec![0x12, 0x34, 0x1b, 0x58];
        tcp.extend(0xffff_f000u32.to_be_bytes());
        tcp.extend(77u32.to_be_bytes());
        let length = u8::try_from(20 + self.options.len()).unwrap();
        tcp.extend([length << 2, self.flags, 1, 1, 0, 0, 0, 0]);
        tcp.extend(&self.options);
        tcp.extend(&self.body);
        let ends = if self.v6 {
            ["fd50::1", "fd50::2"]
        } else {
            ["10.213.1.1", "10.213.2.1"]
        };
        let [from, to] = ends.map(|end| end.parse().unwrap());
        let mut packet = inner::packet(from, to, TCP, &tcp).unwrap();
        let at = self.tcp();
        let begun = sum(pseudo_header(&packet, at), &[]);
        put(&mut packet, at + CHECKSUM, begun);
        packet
    }

    fn tcp(&self) -> usize {
        if self.v6 { V6_HEADER } else { V4_HEADER }
    }

    fn header(&self) -> VirtioNetHdr {
        let word = |length: usize| u16::try_from(length).unwrap();
        VirtioNetHdr {
            flags: 1,
            gso_type: if self.v6 { 4 } else { 1 },
            hdr_len: word(self.headers()),
            gso_size: self.segment,
            csum_start: word(self.tcp()),
            csum_offset: word(CHECKSUM),
        }
    }

    fn split(&self) -> Vec<Vec<u8>> {
        let count = self.body.len().div_ceil(usize::from(self.segment));
        let mut slots = vec![vec![0; self.headers() + usize::from(self.segment)]; count];
        let mut lengths = vec![0; count];
        let mut bytes = self.bytes();
        let header = self.header();
        let made = gso_split(&mut bytes, header, &mut slots, &mut lengths, 0, self.v6).unwrap();
        assert_eq!(made, count);
        let cut = |(mut slot, length): (Vec<u8>, usize)| {
            slot.truncate(length);
            slot
        };
        slots.into_iter().zip(lengths).map(cut).collect()
    }
}

/// Sequence number, flags, options and payload of a packet whose checksums are right.
fn parsed(packet: &[u8]) -> (u32, u8, Vec<u8>, Vec<u8>) {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("no TCP in {packet:?}");
    };
    let header = tcp.to_header();
    let right = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let ip = ip.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            header.calc_checksum_ipv4(&ip, tcp.payload()).unwrap()
        }
        NetSlice::Ipv6(ip) => {
            let ip = ip.header().to_header();
            header.calc_checksum_ipv6(&ip, tcp.payload()).unwrap()
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(header.checksum, right, "the TCP checksum");
    let flags = tcp.slice()[FLAGS];
    let options = tcp.options().to_vec();
    (
        header.sequence_number,
        flags,
        options,
        tcp.payload().to_vec(),
    )
}

/// The frames that come of packets.
fn coalesced(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut coalescer, mut frames) = (Coalescer::default(), Vec::new());
    for packet in packets {
        coalescer.push(packet, |frame| frames.push(frame.bytes.to_vec()));
    }
    coalescer.flush(|frame| frames.push(frame.bytes.to_vec()));
    frames
}

/// Frames as the kernel sends them on: tun-rs's split is the same arithmetic.
fn resplit(frame: &[u8]) -> Vec<Vec<u8>> {
    let (head, packet) = frame.split_at(HEADROOM);
    let header = VirtioNetHdr::decode(head).unwrap();
    if header.gso_type == 0 {
        return vec![packet.to_vec()];
    }
    let mut bytes = packet.to_vec();
    let most = usize::from(header.hdr_len) + usize::from(header.gso_size);
    let (mut slots, mut lengths) = (vec![vec![0; most]; 64], vec![0; 64]);
    let v6 = header.gso_type == 4;
    let count = gso_split(&mut bytes, header, &mut slots, &mut lengths, 0, v6).unwrap();
    let pieces = slots.into_iter().zip(lengths).take(count);
    pieces
        .map(|(slot, length)| slot[..length].to_vec())
        .collect()
}

fn superpacket() -> impl Strategy<Value = Superpacket> {
    let options = (0..=10usize).prop_map(|words| vec![1u8; words * 4]);
    let flags = prop_oneof![Just(ACK), Just(ACK | PSH)];
    let segment = 500..1400u16;
    (
        any::<bool>(),
        segment,
        options,
        flags,
        1..60_000usize,
        any::<u8>(),
    )
        .prop_map(|(v6, segment, options, flags, length, seed)| Superpacket {
            v6,
            segment,
            options,
            flags,
            // No more pieces than the daemon has slots for.
            body: (0..length.min(usize::from(segment) * 64))
                .map(|at| seed.wrapping_add((at * 7).to_le_bytes()[0]))
                .collect(),
        })
}

proptest! {
    #[test]
    fn split_then_coalesced_is_the_same_stream(superpacket in superpacket()) {
        let pieces = superpacket.split();
        let mut stream = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let (sequence, flags, options, payload) = parsed(piece);
            prop_assert_eq!(sequence, 0xffff_f000u32.wrapping_add(u32::try_from(stream.len()).unwrap()));
            prop_assert_eq!(&options, &superpacket.options);
            let last = at + 1 == pieces.len();
            prop_assert_eq!(flags & PSH != 0, last && superpacket.flags & PSH != 0);
            stream.extend(payload);
        }
        prop_assert_eq!(&stream, &superpacket.body);
        let frames = coalesced(&pieces);
        prop_assert_eq!(frames.len(), 1, "one superpacket came back as several");
        // Merged packets are given with the checksum begun: exactly what the kernel gave us.
        if pieces.len() > 1 {
            prop_assert_eq!(&frames[0][HEADROOM..], &superpacket.bytes()[..]);
        }
        prop_assert_eq!(resplit(&frames[0]), pieces);
    }

    #[test]
    fn whatever_happens_on_the_way_every_packet_is_valid_and_none_is_made_up(
        superpacket in superpacket(),
        harm in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8), 0..4),
    ) {
        let mut pieces = superpacket.split();
        for (place, kind) in harm {
            let at = place.index(pieces.len());
            match kind {
                0 => drop(pieces.remove(at)),
                1 => pieces.swap(at, 0),
                2 => pieces.insert(at, pieces[at].clone()),
                // Damaged before the tunnel: it must come out as damaged as it was.
                _ => *pieces[at].last_mut().unwrap() ^= 0xff,
            }
            if pieces.is_empty() {
                break;
            }
        }
        let out: Vec<_> = coalesced(&pieces).iter().flat_map(|frame| resplit(frame)).collect();
        prop_assert_eq!(out, pieces);
    }

    #[test]
    fn a_split_of_nonsense_is_an_error_and_never_a_panic(
        superpacket in superpacket(),
        fields in (any::<u8>(), any::<u16>(), any::<u16>(), any::<u16>(), any::<u16>()),
    ) {
        let mut bytes = superpacket.bytes();
        let (mut slots, mut lengths) = (vec![vec![0; 1420]; 64], vec![0; 64]);
        let (gso_type, hdr_len, gso_size, csum_start, csum_offset) = fields;
        let header = VirtioNetHdr { flags: 1, gso_type, hdr_len, gso_size, csum_start, csum_offset };
        let v6 = superpacket.v6;
        if let Ok(count) = gso_split(&mut bytes, header, &mut slots, &mut lengths, 0, v6) {
            prop_assert!(count <= 64);
        }
    }
}
