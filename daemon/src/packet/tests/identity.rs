//! Nothing happens on the way: what is split and put together again is the same.

use proptest::prelude::*;

use super::reading::read;
use super::superpacket::{ACK, CWR, ECE, FIN, PSH, Superpacket, with_flags};
use super::written::{Written, coalesce, counts, split_all};

fn data() -> impl Strategy<Value = Superpacket> {
    with_flags(vec![ACK, ACK | PSH])
}

/// Each piece is what rule by rule it should be, read by somebody else.
fn check_pieces(whole: &Superpacket, pieces: &[Vec<u8>]) {
    let size = usize::from(whole.gso_size);
    let payload = whole.payload();
    let bodies: Vec<_> = payload.chunks(size).collect();
    assert_eq!(pieces.len(), bodies.len());
    for (number, (piece, body)) in pieces.iter().zip(&bodies).enumerate() {
        let read = read(piece).unwrap_or_else(|wrong| panic!("piece {number}: {wrong}"));
        let (first, last) = (number == 0, number == bodies.len() - 1);
        let before = u32::try_from(number * size).unwrap();
        assert_eq!(read.sequence, whole.sequence.wrapping_add(before));
        if !whole.v6 {
            let number = u16::try_from(number).unwrap();
            let identification = whole.identification.wrapping_add(number);
            assert_eq!(read.identification, identification);
        }
        assert_eq!(read.payload, *body, "payload of piece {number}");
        assert_eq!(read.options, whole.options, "options byte for byte");
        assert_eq!((read.tos, read.hop_limit), (whole.tos, whole.hop_limit));
        assert_eq!(
            (read.source_port, read.window),
            (whole.port, whole.window),
            "piece {number}"
        );
        assert_eq!(read.fin, last && whole.flags & FIN != 0, "FIN on the last");
        assert_eq!(read.psh, last && whole.flags & PSH != 0, "PSH on the last");
        assert_eq!(
            read.cwr,
            first && whole.flags & CWR != 0,
            "CWR on the first"
        );
    }
}

fn of_flow(written: &[Written], port: u16) -> Vec<Written> {
    let is_of = |frame: &&Written| {
        let tcp = if frame.packet()[0] >> 4 == 6 { 40 } else { 20 };
        frame.packet()[tcp..tcp + 2] == port.to_be_bytes()
    };
    written.iter().filter(is_of).cloned().collect()
}

proptest! {
    #[test]
    fn every_piece_is_what_the_rules_of_splitting_say(
        whole in with_flags(vec![ACK, ACK | PSH, ACK | FIN, ACK | PSH | FIN | CWR]),
    ) {
        check_pieces(&whole, &whole.pieces());
    }

    #[test]
    fn the_kernel_gets_back_the_very_superpacket_that_it_gave(whole in data()) {
        let (header, packet) = whole.make();
        let pieces = whole.pieces();
        let written = coalesce(&pieces);
        prop_assert_eq!(counts(&written), [pieces.len()]);
        prop_assert_eq!(split_all(&written), pieces);
        if written[0].packets > 1 {
            let mut expected = vec![0; 10];
            header.encode(&mut expected).unwrap();
            expected.extend(packet);
            prop_assert!(written[0].bytes == expected, "{:?}", written[0].header());
        }
    }

    #[test]
    fn a_fin_and_a_congestion_mark_stand_alone_and_nothing_overtakes_them(
        whole in with_flags(vec![ACK | FIN, ACK | CWR, ACK | PSH | FIN | CWR, ACK | ECE]),
    ) {
        let pieces = whole.pieces();
        let written = coalesce(&pieces);
        prop_assert_eq!(split_all(&written), pieces);
        let has = |flags: u8| whole.flags & flags != 0;
        prop_assert!(!has(FIN) || written.last().unwrap().packets == 1);
        prop_assert!(!has(CWR) || written[0].packets == 1);
        prop_assert!(!has(ECE) || written.iter().all(|frame| frame.packets == 1));
    }

    #[test]
    fn two_flows_interleaved_are_put_together_each_for_itself(
        (one, mut other) in (data(), data()),
        turns in proptest::collection::vec(any::<bool>(), 256),
    ) {
        other.port = one.port ^ 1;
        let flows = [one.pieces(), other.pieces()];
        let mut waiting = flows.clone().map(Vec::into_iter);
        let mut arrived = Vec::new();
        for turn in turns {
            arrived.extend(waiting[usize::from(turn)].next());
        }
        arrived.extend(waiting.into_iter().flatten());
        let written = coalesce(&arrived);
        for (pieces, port) in flows.iter().zip([one.port, other.port]) {
            let frames = of_flow(&written, port);
            prop_assert_eq!(counts(&frames), [pieces.len()]);
            prop_assert_eq!(&split_all(&frames), pieces);
        }
    }

    #[test]
    fn a_field_that_changes_parts_two_superpackets_of_one_connection(
        whole in with_flags(vec![ACK]),
        changed in 0..4,
        by in 1u8..,
    ) {
        let mut next = whole.next();
        match (changed, next.options.last_mut()) {
            (0, _) => next.tos ^= by,
            (1, _) => next.hop_limit ^= by,
            // Timestamps tick, and data is mapped anew.
            (2, Some(last)) => *last ^= by,
            _ => next.window ^= u16::from(by),
        }
        let pieces = [whole.pieces(), next.pieces()];
        let written = coalesce(&pieces.concat());
        prop_assert_eq!(counts(&written), pieces.each_ref().map(Vec::len));
        prop_assert_eq!(split_all(&written), pieces.concat());
    }

    #[test]
    fn superpackets_of_one_connection_in_a_row_come_out_in_that_order(whole in data()) {
        let (next, after) = (whole.next(), whole.next().next());
        let pieces = [&whole, &next, &after].map(Superpacket::pieces).concat();
        let written = coalesce(&pieces);
        prop_assert_eq!(split_all(&written), pieces);
        // The last piece is shorter than another, or says PSH.
        let size = usize::from(whole.gso_size);
        let short = whole.body > size && whole.body % size != 0;
        let ended = short || whole.flags & PSH != 0;
        prop_assert!(!ended || written.len() == 3, "{:?}", counts(&written));
    }
}

#[test]
fn more_segments_than_a_reader_has_room_for_become_several_superpackets() {
    let mut whole = Superpacket::of(false, 0, 100);
    whole.body = 100 * 120;
    let written = coalesce(&whole.pieces());
    assert_eq!(counts(&written), [64, 56]);
    assert_eq!(split_all(&written), whole.pieces());
}

#[test]
fn the_largest_packet_of_either_family_is_split_and_put_together() {
    for v6 in [false, true] {
        let mut whole = Superpacket::of(v6, 0, 1380);
        whole.body = 65_535 - whole.headers();
        let pieces = whole.pieces();
        check_pieces(&whole, &pieces);
        let written = coalesce(&pieces);
        assert_eq!(counts(&written), [pieces.len()]);
        assert_eq!(written[0].packet(), whole.make().1);
    }
}
