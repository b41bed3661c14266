//! Pieces that come late, twice, damaged, marked, or not at all.

use proptest::prelude::*;

use super::reading::read;
use super::superpacket::{ACK, PSH, Superpacket, mend_v4, with_flags};
use super::written::{coalesce, counts};

/// What may happen to a row of pieces; a place beyond its end is taken from the start again.
#[derive(Clone, Debug)]
enum Mishap {
    Swapped(usize, usize),
    Repeated(usize),
    Lost(usize),
    /// A byte of the TCP segment is changed.
    Damaged(usize, usize, u8),
    /// A router on the way met congestion.
    Marked(usize),
    /// The connection acknowledges without data.
    Acknowledged(usize),
}

impl Mishap {
    fn happen(&self, pieces: &mut Vec<Vec<u8>>) {
        let count = pieces.len();
        if count == 0 {
            return;
        }
        match *self {
            Self::Swapped(one, other) => pieces.swap(one % count, other % count),
            Self::Repeated(at) => pieces.insert(at % count, pieces[at % count].clone()),
            Self::Lost(at) => drop(pieces.remove(at % count)),
            Self::Damaged(at, place, by) => damage(&mut pieces[at % count], place, by),
            Self::Marked(at) => mark(&mut pieces[at % count]),
            Self::Acknowledged(at) => {
                let empty = emptied(&pieces[at % count]);
                pieces.insert(at % count, empty);
            }
        }
    }
}

fn tcp_at(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 6 { 40 } else { 20 }
}

/// Beyond the ports, so that it is still of its flow.
fn damage(packet: &mut [u8], place: usize, by: u8) {
    let first = tcp_at(packet) + 4;
    let at = first + place % (packet.len() - first);
    packet[at] ^= by;
}

/// Congestion Experienced (RFC 3168 section 5): both bits.
fn mark(packet: &mut [u8]) {
    if packet[0] >> 4 == 6 {
        packet[1] |= 0x30;
    } else {
        let sound = read(packet).is_ok();
        packet[1] |= 3;
        if sound {
            mend_v4(packet);
        }
    }
}

/// The same packet without payload.
fn emptied(packet: &[u8]) -> Vec<u8> {
    let v6 = packet[0] >> 4 == 6;
    let mut bare = Superpacket::of(v6, 1, 1);
    bare.port = u16::from_be_bytes([packet[tcp_at(packet)], packet[tcp_at(packet) + 1]]);
    bare.sequence = read(packet).map_or(0, |read| read.sequence);
    let mut packet = bare.pieces().remove(0);
    packet.pop();
    mend_length(&mut packet);
    packet
}

/// Lengths and checksums of a packet that was cut.
fn mend_length(packet: &mut [u8]) {
    use super::super::inner::{checksum, sum};
    let (tcp, total) = (tcp_at(packet), u16::try_from(packet.len()).unwrap());
    let addresses = if tcp == 20 {
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        mend_v4(packet);
        12..20
    } else {
        packet[4..6].copy_from_slice(&(total - 40).to_be_bytes());
        8..40
    };
    let length = u32::from(total) - u32::try_from(tcp).unwrap();
    let pseudo = u32::from(sum(0, &packet[addresses])) + 6 + length;
    packet[tcp + 16..tcp + 18].fill(0);
    let checksum = checksum(pseudo, &packet[tcp..]).to_be_bytes();
    packet[tcp + 16..tcp + 18].copy_from_slice(&checksum);
}

/// Which packets each write is made of: one flow keeps its order, so they are neighbours. What
/// comes out is what came, and no damaged packet is in company.
fn check(arrived: &[Vec<u8>]) -> Vec<usize> {
    let written = coalesce(arrived);
    let mut rest = arrived;
    for frame in &written {
        let (these, others) = rest.split_at(frame.packets);
        assert!(frame.split() == these, "what went in did not come out");
        let sound = these.iter().all(|packet| read(packet).is_ok());
        assert!(sound || these.len() == 1, "a damaged packet was laundered");
        rest = others;
    }
    assert!(rest.is_empty(), "{} packets are lost", rest.len());
    counts(&written)
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let at = 0usize..200;
    prop_oneof![
        (at.clone(), at.clone()).prop_map(|(one, other)| Mishap::Swapped(one, other)),
        at.clone().prop_map(|at| Mishap::Swapped(at, at + 1)),
        at.clone().prop_map(Mishap::Repeated),
        at.clone().prop_map(Mishap::Lost),
        (at.clone(), 0usize..2000, 1u8..)
            .prop_map(|(at, place, by)| Mishap::Damaged(at, place, by)),
        // The header, where most is at stake.
        (at.clone(), 0usize..40, 1u8..).prop_map(|(at, place, by)| Mishap::Damaged(at, place, by)),
        at.clone().prop_map(Mishap::Marked),
        at.prop_map(Mishap::Acknowledged),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_to_them_packets_come_out_as_they_came(
        whole in with_flags(vec![ACK, ACK | PSH]),
        mishaps in proptest::collection::vec(mishap(), 0..8),
    ) {
        let mut pieces = whole.pieces();
        mishaps.iter().for_each(|mishap| mishap.happen(&mut pieces));
        check(&pieces);
    }
}

/// Ten pieces, and what happened to them: packets in each write.
fn after(mishap: &Mishap) -> [Vec<usize>; 2] {
    [false, true].map(|v6| {
        let mut pieces = Superpacket::of(v6, 9990, 1000).pieces();
        mishap.happen(&mut pieces);
        check(&pieces)
    })
}

fn twice(counts: &[usize]) -> [Vec<usize>; 2] {
    [counts.to_vec(), counts.to_vec()]
}

#[test]
fn a_piece_damaged_anywhere_costs_itself_only() {
    for place in 0..200 {
        let after = after(&Mishap::Damaged(4, place, 0x20));
        assert_eq!(after, twice(&[4, 1, 5]), "byte {place}");
    }
}

#[test]
fn pieces_that_changed_places_stay_changed() {
    assert_eq!(after(&Mishap::Swapped(4, 5)), twice(&[4, 1, 1, 4]));
}

#[test]
fn a_piece_that_comes_twice_is_passed_on_twice() {
    assert_eq!(after(&Mishap::Repeated(4)), twice(&[5, 6]));
}

#[test]
fn a_gap_is_not_closed() {
    assert_eq!(after(&Mishap::Lost(4)), twice(&[4, 5]));
}

#[test]
fn a_congestion_mark_keeps_to_its_piece() {
    assert_eq!(after(&Mishap::Marked(4)), twice(&[4, 1, 5]));
    assert_eq!(after(&Mishap::Marked(0)), twice(&[1, 9]));
    assert_eq!(after(&Mishap::Marked(9)), twice(&[9, 1]));
}

#[test]
fn an_acknowledgement_without_data_keeps_its_place() {
    assert_eq!(after(&Mishap::Acknowledged(4)), twice(&[4, 1, 6]));
}
