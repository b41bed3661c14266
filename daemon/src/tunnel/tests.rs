mod batches;
mod lies;

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::names::{PathNumber, PrivateKey, SiteId};
use crate::packet::{inner, probe};

const HERE: &str = "192.0.2.1:51820";

/// Two tunnels and nothing between them but the test.
fn pair() -> [Tunnel; 2] {
    pair_on(PathNumber::FIRST)
}

fn pair_on(number: PathNumber) -> [Tunnel; 2] {
    let keys = [
        PrivateKey::from_bytes([1; 32]),
        PrivateKey::from_bytes([2; 32]),
    ];
    [(0, 1), (1, 0)].map(|(ours, theirs)| {
        let parts = Parts {
            path: PathId {
                peer: SiteId::new(theirs + 1).unwrap(),
                number,
            },
            key: keys[usize::from(theirs)].public(),
            index: switchboard::index(0, number),
            mtu: 1420,
            allowed: vec![format!("10.213.{}.0/24", theirs + 1).parse().unwrap()],
            echo_to: Vec::new(),
            merges_marks: true,
        };
        Tunnel::new(&Identity::new(&keys[ours]), parts)
    })
}

fn here() -> SocketAddr {
    HERE.parse().unwrap()
}

fn from(bytes: &[u8], source: SocketAddr) -> Datagram<'_> {
    Datagram {
        bytes,
        source,
        mark: Ecn::NotEct,
    }
}

/// A batch of these packets.
fn plain(packets: &[&[u8]]) -> Plain {
    let mut plain = Plain::new(packets.len(), 1420);
    for packet in packets {
        let (slots, lengths) = plain.spare();
        slots[0][..packet.len()].copy_from_slice(packet);
        lengths[0] = packet.len();
        plain.commit(1);
    }
    plain
}

/// Opens a datagram, and gives back reply and packet.
fn open(tunnel: &Tunnel, datagram: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut out = vec![0; 70_000];
    match tunnel.opener().open(from(datagram, here()), &mut out) {
        Opened::Packet(packet) | Opened::Control(packet) => (None, Some(packet.to_vec())),
        Opened::Reply(reply) => (Some(reply.to_vec()), None),
        Opened::Nothing => (None, None),
    }
}

fn established() -> [Tunnel; 2] {
    let [a, b] = pair();
    shake_hands(&a, &b);
    [a, b]
}

fn initiation(from: &Tunnel) -> Vec<u8> {
    let mut out = vec![0; 200];
    let length = from.initiate(&mut out).unwrap();
    out.truncate(length);
    out
}

fn shake_hands(a: &Tunnel, b: &Tunnel) {
    let (response, _) = open(b, &initiation(a));
    let (keepalive, _) = open(a, &response.unwrap());
    open(b, &keepalive.unwrap());
}

fn send(from: &Tunnel, packet: &[u8]) -> Vec<u8> {
    let mut sealed = Row::new(4, 8000);
    from.seal(&mut plain(&[packet]), &mut sealed);
    sealed.run(0, 64, 65_000).unwrap().bytes.to_vec()
}

fn packet(source: &str, body: usize) -> Vec<u8> {
    let destination = "10.213.2.1".parse().unwrap();
    inner::packet(source.parse().unwrap(), destination, 17, &vec![7; body]).unwrap()
}

#[test]
fn packets_of_every_length_cross_and_come_out_as_they_went_in() {
    let [a, b] = established();
    for body in [0, 1, 15, 16, 17, 1399, 1400] {
        let packet = packet("10.213.1.1", body);
        let datagram = send(&a, &packet);
        assert!(datagram.len() <= a.longest_datagram(), "{body}");
        assert_eq!(open(&b, &datagram).1, Some(packet), "{body}");
    }
}

#[test]
fn a_packet_that_waited_for_the_handshake_is_not_lost() {
    let [a, b] = pair();
    let packet = packet("10.213.1.1", 100);
    let initiation = send(&a, &packet);
    let (response, _) = open(&b, &initiation);
    open(&a, &response.unwrap());
    let mut out = vec![0; 2000];
    let queued = a.opener().release(&mut out).unwrap().to_vec();
    assert_eq!(open(&b, &queued).1, Some(packet));
}

#[test]
fn a_source_that_is_not_the_peers_is_dropped_and_counted() {
    let [a, b] = established();
    assert_eq!(open(&b, &send(&a, &packet("192.0.2.77", 10))), (None, None));
    assert_eq!(b.counters.wrong_source.load(Relaxed), 1);
    assert_eq!(b.counters.rx_bytes.load(Relaxed), 0);
}

#[test]
fn a_replayed_or_damaged_datagram_is_dropped_and_counted() {
    let [a, b] = established();
    let datagram = send(&a, &packet("10.213.1.1", 10));
    assert!(open(&b, &datagram).1.is_some());
    assert_eq!(open(&b, &datagram), (None, None), "replayed");
    let mut damaged = send(&a, &packet("10.213.1.1", 10));
    damaged[30] ^= 1;
    assert_eq!(open(&b, &damaged), (None, None), "damaged");
    for length in 0..damaged.len() {
        assert_eq!(
            open(&b, &damaged[..length]),
            (None, None),
            "cut to {length}"
        );
    }
    assert!(b.counters.unauthentic.load(Relaxed) >= 2);
}

#[test]
fn the_daemons_own_packets_do_not_reach_the_tun_and_do_not_count_as_data() {
    let [a, b] = established();
    let (source, destination) = ("10.213.1.1".parse().unwrap(), "10.213.2.1".parse().unwrap());
    let own = inner::packet(source, destination, probe::PROTOCOL, &[0; 32]).unwrap();
    let mut out = vec![0; 2000];
    let length = a.seal_control(&own, &mut out).unwrap();
    let mut opened = vec![0; 70_000];
    let result = b.opener().open(from(&out[..length], here()), &mut opened);
    assert_eq!(result, Opened::Control(&own));
    assert_eq!(b.counters.rx_bytes.load(Relaxed), 0);
}

#[test]
fn without_a_session_control_is_not_queued() {
    let [a, _] = pair();
    assert_eq!(
        a.seal_control(&packet("10.213.1.1", 10), &mut vec![0; 2000]),
        None
    );
}

#[test]
fn an_initiation_never_moves_the_endpoint_but_authentic_data_does() {
    let [a, b] = established();
    let old: SocketAddr = "198.51.100.1:1".parse().unwrap();
    b.set_remote(Some(old));
    let mut out = vec![0; 200];
    let length = a.initiate(&mut out).unwrap();
    assert!(
        open(&b, &out[..length]).0.is_some(),
        "the initiation is answered"
    );
    assert_eq!(
        b.remote(),
        Some(old),
        "an old initiation may be replayed from anywhere"
    );
    open(&b, &send(&a, &packet("10.213.1.1", 10)));
    assert_eq!(b.remote(), Some(here()));
}

#[test]
fn an_initiation_that_was_caught_is_refused_the_second_time() {
    let [a, b] = pair();
    let mut out = vec![0; 200];
    let length = a.initiate(&mut out).unwrap();
    assert!(open(&b, &out[..length]).0.is_some());
    assert!(open(&b, &out[..length]).0.is_none());
}

#[test]
fn traffic_goes_both_ways_through_many_rekeys_and_what_is_under_way_is_not_lost() {
    let [a, b] = established();
    for round in 0..20 {
        let (there, back) = (packet("10.213.1.1", 100), packet("10.213.2.1", 200));
        let under_way = [send(&a, &there), send(&b, &back)];
        // A session's age is what its clock says, and that goes on with each tick only.
        assert_eq!([&a, &b].map(|end| end.tick(&mut [0; 200])), [None, None]);
        if round % 2 == 0 {
            shake_hands(&a, &b);
        } else {
            shake_hands(&b, &a);
        }
        assert_eq!(open(&b, &under_way[0]).1.as_ref(), Some(&there), "{round}");
        assert_eq!(open(&a, &under_way[1]).1.as_ref(), Some(&back), "{round}");
        assert_eq!(open(&b, &send(&a, &there)).1, Some(there), "{round}");
        assert_eq!(open(&a, &send(&b, &back)).1, Some(back), "{round}");
    }
    assert_eq!(a.counters.unauthentic.load(Relaxed), 0);
    assert_eq!(b.counters.unauthentic.load(Relaxed), 0);
}

#[test]
fn when_both_ends_initiate_at_once_traffic_goes_both_ways() {
    let [a, b] = pair();
    let (from_a, from_b) = (initiation(&a), initiation(&b));
    let (response_b, _) = open(&b, &from_a);
    let (response_a, _) = open(&a, &from_b);
    let (keepalive_a, _) = open(&a, &response_b.unwrap());
    let (keepalive_b, _) = open(&b, &response_a.unwrap());
    open(&b, &keepalive_a.unwrap());
    open(&a, &keepalive_b.unwrap());
    let (there, back) = (packet("10.213.1.1", 100), packet("10.213.2.1", 200));
    assert_eq!(open(&b, &send(&a, &there)).1, Some(there));
    assert_eq!(open(&a, &send(&b, &back)).1, Some(back));
}

#[test]
fn what_waits_at_the_responder_goes_out_with_the_first_data_and_not_to_an_initiations_source() {
    let [a, b] = pair();
    let waiting = packet("10.213.2.1", 100);
    // b wants to send, but its initiation is lost; then a initiates.
    send(&b, &waiting);
    let (response, _) = open(&b, &initiation(&a));
    let mut out = vec![0; 2000];
    assert_eq!(b.opener().release(&mut out), None, "nothing is proved yet");
    let (keepalive, _) = open(&a, &response.unwrap());
    open(&b, &keepalive.unwrap());
    let released = b.opener().release(&mut out).unwrap().to_vec();
    assert_eq!(open(&a, &released).1, Some(waiting));
    assert_eq!(b.opener().release(&mut out), None);
}

#[test]
fn what_waits_is_bounded_and_what_is_over_is_counted() {
    let [a, _] = pair();
    let mut sealed = Row::new(300, 450_000);
    let packet = packet("10.213.1.1", 10);
    a.seal(&mut plain(&[&packet[..]; 300]), &mut sealed);
    assert_eq!(sealed.len(), 1, "the initiation");
    assert_eq!(a.counters.no_room.load(Relaxed), 300 - 256);
}

#[test]
fn a_malformed_inner_packet_is_dropped_and_counted_as_such() {
    let [a, b] = established();
    let mut short = packet("10.213.1.1", 10);
    short[2] += 1;
    let mut options = packet("10.213.1.1", 10);
    options[0] = 0x44;
    let garbage: [&[u8]; 4] = [b"\0", b"no IP packet at all", &short, &options];
    for bytes in garbage {
        assert_eq!(open(&b, &send(&a, bytes)), (None, None));
    }
    assert_eq!(b.counters.malformed.load(Relaxed), 4);
    assert_eq!(b.counters.unauthentic.load(Relaxed), 0);
    assert_eq!(b.counters.rx_bytes.load(Relaxed), 0);
}

#[test]
fn an_initiation_caught_on_one_path_and_replayed_on_another_does_not_move_it() {
    let [a1, b1] = pair();
    let [a2, b2] = pair_on(PathNumber::new(2).unwrap());
    shake_hands(&a2, &b2);
    let there: SocketAddr = "198.51.100.1:1".parse().unwrap();
    b2.set_remote(Some(there));
    // The sender index is not authenticated: the thief may well write path 2 into it.
    let caught = initiation(&a1);
    drop(b1);
    let thief: SocketAddr = "203.0.113.66:6".parse().unwrap();
    let mut out = vec![0; 70_000];
    b2.opener().open(from(&caught, thief), &mut out);
    assert_eq!(b2.remote(), Some(there), "path 2 was led away");
    let packet = packet("10.213.2.1", 10);
    assert_eq!(
        open(&a2, &send(&b2, &packet)).1,
        Some(packet),
        "path 2 is deaf"
    );
}

#[test]
fn a_counter_at_the_end_of_its_range_is_refused() {
    let [a, b] = established();
    let mut datagram = send(&a, &packet("10.213.1.1", 10));
    datagram[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(open(&b, &datagram), (None, None));
    assert_eq!(b.counters.unauthentic.load(Relaxed), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn foreign_datagrams_get_silence(
        kind in 0u8..6,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        likely in prop::option::of(prop::sample::select(vec![148, 92, 64, 32, 33])),
    ) {
        if let Some(length) = likely {
            bytes.resize(length, 0);
        }
        if bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&u32::from(kind).to_le_bytes());
        }
        let [a, _] = pair();
        prop_assert_eq!(open(&a, &bytes), (None, None));
        prop_assert_eq!(a.counters.unauthentic.load(Relaxed), 1);
        prop_assert_eq!(a.counters.heard.load(Relaxed), 0);
        prop_assert_eq!(a.remote(), None);
    }

    #[test]
    fn any_inner_bytes_are_delivered_whole_or_counted(
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
        version in prop::sample::select(vec![0x45u8, 0x4f, 0x60, 0x00]),
    ) {
        let mut bytes = bytes;
        bytes[0] = version;
        let [a, b] = established();
        let (reply, packet) = open(&b, &send(&a, &bytes));
        prop_assert_eq!(reply, None);
        let counters = &b.counters;
        let dropped = counters.malformed.load(Relaxed) + counters.wrong_source.load(Relaxed);
        prop_assert_eq!(dropped + u64::from(packet.is_some()), 1);
    }

    #[test]
    fn any_order_loss_and_repetition_delivers_each_packet_at_most_once(
        order in proptest::collection::vec(0usize..50, 0..150),
    ) {
        let [a, b] = established();
        let sent: Vec<_> = (0..50).map(|n| send(&a, &packet("10.213.1.1", n))).collect();
        let mut delivered = vec![0; sent.len()];
        for n in order {
            if open(&b, &sent[n]).1 == Some(packet("10.213.1.1", n)) {
                delivered[n] += 1;
            }
        }
        prop_assert!(delivered.iter().all(|times| *times <= 1), "{:?}", delivered);
    }
}
