//! What the kernel never hands over, and what it rarely does: no panic, and the next good packet
//! is unharmed.

use proptest::prelude::*;
use tun_rs::{VIRTIO_NET_HDR_GSO_UDP_L4, VirtioNetHdr};

use super::foreign::foreign;
use super::superpacket::{
    ACK, Buffers, MOST, PSH, Superpacket, split, split_as_it_says, with_flags,
};
use super::written::coalesce;

/// The lane drops a packet, counts it and goes on after an error without a number; one with a
/// number is the kernel's.
fn is_dropped(split: std::io::Result<Vec<Vec<u8>>>) -> bool {
    let error = split.expect_err("this cannot be split");
    error.raw_os_error().is_none() && error.kind() != std::io::ErrorKind::WouldBlock
}

/// A wrong header in front of a good packet.
fn is_refused(change: impl Fn(&mut VirtioNetHdr)) -> bool {
    [false, true].into_iter().all(|v6| {
        let whole = Superpacket::of(v6, 20_000, 1000);
        let (mut header, packet) = whole.make();
        change(&mut header);
        let mut buffers = Buffers::new(MOST, 1000);
        let dropped = is_dropped(split_as_it_says(header, &packet, &mut buffers));
        let (header, packet) = whole.make();
        let afterwards = split_as_it_says(header, &packet, &mut buffers).unwrap();
        dropped && afterwards == whole.pieces()
    })
}

#[test]
fn a_header_that_contradicts_itself_is_refused_and_the_next_packet_is_split() {
    assert!(is_refused(|header| header.gso_size = 0), "no size");
    assert!(
        is_refused(|header| header.gso_size = 2),
        "too many segments"
    );
    assert!(is_refused(|header| header.gso_size = 1200), "too long ones");
    assert!(is_refused(|header| header.hdr_len = header.csum_start - 1));
    assert!(is_refused(|header| header.hdr_len = header.csum_start + 19));
    assert!(
        is_refused(|header| header.hdr_len = 30_000),
        "longer than all"
    );
    assert!(is_refused(|header| header.csum_start = 19), "inside of IP");
    assert!(is_refused(|header| header.csum_start = u16::MAX));
    for offset in [0, 6, 15, 17, u16::MAX] {
        assert!(is_refused(|header| header.csum_offset = offset), "{offset}");
    }
    assert!(is_refused(|header| header.gso_type = 0));
    assert!(is_refused(|header| header.gso_type = 3), "UFO, long dead");
    assert!(is_refused(|header| header.gso_type = 0x7f));
    assert!(is_refused(
        |header| header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4
    ));
    assert!(
        is_refused(|header| header.gso_type ^= 5),
        "the other family"
    );
}

#[test]
fn as_many_segments_as_fit_are_split_and_one_more_is_too_many() {
    let fits = Superpacket::of(false, MOST * 100, 100);
    assert_eq!(fits.pieces().len(), MOST);
    let (header, packet) = Superpacket::of(false, MOST * 100 + 1, 100).make();
    assert!(is_dropped(split(header, &packet)));
}

#[test]
fn a_data_offset_that_is_too_short_or_beyond_the_packet_is_refused() {
    for (offset, body) in [(0, 1000), (4, 1000), (15, 1)] {
        let (header, mut packet) = Superpacket::of(false, body, 100).make();
        packet[32] = offset << 4;
        assert!(is_dropped(split(header, &packet)), "data offset {offset}");
    }
}

proptest! {
    #[test]
    fn no_header_and_no_packet_make_the_split_panic(
        (flags, hdr_len) in any::<(u8, u16)>(),
        gso_type in prop_oneof![any::<u8>(), prop::sample::select(vec![1, 4, 5])],
        (gso_size, csum_start, csum_offset) in any::<(u16, u16, u16)>(),
        near in any::<bool>(),
        packet in prop_oneof![
            foreign(),
            proptest::collection::vec(any::<u8>(), 0..100),
        ],
    ) {
        let header = VirtioNetHdr {
            flags,
            gso_type,
            hdr_len: if near { hdr_len % 100 } else { hdr_len },
            gso_size: if near { gso_size % 100 } else { gso_size },
            csum_start: if near { csum_start % 64 } else { csum_start },
            csum_offset: if near { 16 - 10 * (csum_offset % 2) } else { csum_offset },
        };
        let whole = Superpacket::of(false, 500, 100);
        let mut buffers = Buffers::new(MOST, 100);
        if let Ok(pieces) = split_as_it_says(header, &packet, &mut buffers) {
            prop_assert!(pieces.iter().all(|piece| piece.len() <= packet.len()));
            coalesce(&pieces);
        }
        let (header, packet) = whole.make();
        let afterwards = split_as_it_says(header, &packet, &mut buffers).unwrap();
        prop_assert_eq!(afterwards, whole.pieces());
    }

    #[test]
    fn what_the_kernel_says_of_the_headers_length_is_no_more_than_a_hint(
        whole in with_flags(vec![ACK, ACK | PSH]),
        hint in any::<u16>(),
    ) {
        let (mut header, packet) = whole.make();
        header.hdr_len = hint;
        prop_assert_eq!(split(header, &packet).unwrap(), whole.pieces());
    }
}
