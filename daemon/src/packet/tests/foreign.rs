//! What is no plain TCP passes as it is, and harms nobody: options, extension headers, fragments,
//! UDP, garbage.

use proptest::prelude::*;
use tun_rs::{VIRTIO_NET_HDR_GSO_UDP_L4, VirtioNetHdr};

use super::super::inner;
use super::super::ip::Header;
use super::reading::read;
use super::superpacket::{
    ACK, Buffers, MOST, PSH, Superpacket, mend_v4, split, split_as_it_says, with_flags,
};
use super::written::{coalesce, counts, split_all};

/// An IPv4 superpacket with a router alert (RFC 2113), or an IPv6 one with padding as destination
/// options (RFC 8200 section 4.6).
fn with_more_header(v6: bool) -> (VirtioNetHdr, Vec<u8>) {
    let (mut header, mut packet) = Superpacket::of(v6, 5000, 1000).make();
    if v6 {
        let payload = u16::try_from(packet.len() - 40 + 8).unwrap();
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
        packet[6] = 60;
        packet.splice(40..40, [6, 0, 1, 4, 0, 0, 0, 0]);
        header.csum_start += 8;
    } else {
        packet[0] = 0x46;
        packet.splice(20..20, [0x94, 4, 0, 0]);
        let total = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        mend_v4(&mut packet);
        header.csum_start += 4;
    }
    (header, packet)
}

#[test]
fn options_and_extension_headers_are_split_soundly_and_never_merged() {
    for v6 in [false, true] {
        let (header, packet) = with_more_header(v6);
        let pieces = split(header, &packet).unwrap();
        let payload: Vec<_> = pieces
            .iter()
            .flat_map(|piece| read(piece).unwrap().payload)
            .collect();
        assert_eq!(payload, Superpacket::of(v6, 5000, 1000).payload());
        let written = coalesce(&pieces);
        assert_eq!(counts(&written), [1; 5]);
        assert_eq!(split_all(&written), pieces, "IPv6: {v6}");
    }
}

/// Every piece is made a fragment, though none of them was.
#[test]
fn fragments_pass_in_order_and_are_never_merged() {
    for field in [[0x20, 0], [0x20, 100], [0, 100], [0x40, 1], [0x80, 0]] {
        let mut pieces = Superpacket::of(false, 5000, 1000).pieces();
        for piece in &mut pieces {
            piece[6..8].copy_from_slice(&field);
            mend_v4(piece);
        }
        let written = coalesce(&pieces);
        assert_eq!(counts(&written), [1; 5], "{field:x?}");
        assert_eq!(split_all(&written), pieces);
    }
}

#[test]
fn a_fragment_does_not_overtake_the_data_before_it() {
    let mut pieces = Superpacket::of(false, 5000, 1000).pieces();
    pieces[3][6] = 0x20;
    mend_v4(&mut pieces[3]);
    let written = coalesce(&pieces);
    assert_eq!(counts(&written), [3, 1, 1]);
    assert_eq!(split_all(&written), pieces);
}

#[test]
fn udp_segments_are_split_soundly_and_pass_one_by_one() {
    for v6 in [false, true] {
        let (mut header, tcp) = Superpacket::of(v6, 1, 1).make();
        let start = usize::from(header.csum_start);
        let mut body = [1000u16, 7000, 5008, 0].map(u16::to_be_bytes).concat();
        body.extend(Superpacket::of(v6, 5000, 1000).payload());
        let addresses = Header::of(&tcp).unwrap();
        let packet = inner::packet(addresses.source, addresses.destination, 17, &body).unwrap();
        header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
        (header.gso_size, header.csum_offset) = (999, 6);
        header.hdr_len = header.csum_start + 8;
        let mut buffers = Buffers::new(MOST, 1000);
        let pieces = split_as_it_says(header, &packet, &mut buffers).unwrap();
        for piece in &pieces {
            let pseudo =
                addresses_sum(piece, start) + 17 + u32::try_from(piece.len() - start).unwrap();
            assert_eq!(inner::sum(pseudo, &piece[start..]), u16::MAX, "checksum");
            assert_eq!(
                usize::from(u16::from_be_bytes([piece[start + 4], piece[start + 5]])),
                piece.len() - start
            );
        }
        let payload: Vec<_> = pieces
            .iter()
            .flat_map(|piece| &piece[start + 8..])
            .copied()
            .collect();
        assert_eq!(payload, body[8..]);
        let written = coalesce(&pieces);
        assert_eq!(
            (counts(&written), split_all(&written)),
            (vec![1; 6], pieces)
        );
    }
}

fn addresses_sum(packet: &[u8], start: usize) -> u32 {
    let addresses = if start == 20 { 12..20 } else { 8..40 };
    u32::from(inner::sum(0, &packet[addresses]))
}

/// Foreign bytes that pass for a whole IP packet: only such reach the coalescer.
pub fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(any::<u8>(), 40..120);
    let kind = prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60, 0x6f]);
    let protocol = prop::sample::select(vec![6u8, 17, 1, 58, 44, 0, 253]);
    (bytes, kind, protocol).prop_map(|(mut bytes, kind, protocol)| {
        bytes.resize(bytes.len().max(60), 0);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[0] = kind;
        if kind >> 4 == 6 {
            bytes[4..6].copy_from_slice(&(length - 40).to_be_bytes());
            bytes[6] = protocol;
        } else {
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[9] = protocol;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn garbage_between_good_packets_passes_and_harms_none_of_them(
        whole in with_flags(vec![ACK, ACK | PSH]),
        garbage in proptest::collection::vec((0usize..MOST, foreign()), 1..20),
    ) {
        let good = whole.pieces();
        let mut arrived: Vec<_> = good.iter().cloned().map(|piece| (true, piece)).collect();
        for (at, bytes) in &garbage {
            prop_assert!(Header::of(bytes).is_some());
            arrived.insert(at % arrived.len(), (false, bytes.clone()));
        }
        let packets: Vec<_> = arrived.into_iter().map(|(_, packet)| packet).collect();
        let written = coalesce(&packets);
        let back = split_all(&written);
        prop_assert_eq!(back.len(), packets.len());
        let (ours, theirs): (Vec<_>, Vec<_>) = back.into_iter().partition(|packet| good.contains(packet));
        prop_assert_eq!(ours, good);
        let mut sent: Vec<_> = garbage.into_iter().map(|(_, bytes)| bytes).collect();
        let mut came = theirs;
        sent.sort();
        came.sort();
        prop_assert_eq!(came, sent, "garbage is passed on as it is");
    }
}
