//! From one TUN to the other without a kernel: a superpacket is split, sealed, sent in runs as
//! segmentation offload has them, received as receive offload has them, opened and coalesced. On
//! the way strangers throw datagrams in.

use super::*;
use crate::packet::coalesce::{Coalescer, HEADROOM};

const MTU: usize = 1420;

/// TCP segments of one connection: 1420 bytes each, and a shorter one at the end.
fn segments(count: u32, last: usize) -> Vec<Vec<u8>> {
    let step = u32::try_from(MTU - 40).unwrap();
    let bodies = (0..count).map(|n| (n, if n + 1 == count { last } else { MTU - 40 }));
    bodies
        .map(|(n, body)| segment(n * step, &vec![u8::try_from(n).unwrap(); body]))
        .collect()
}

fn segment(sequence: u32, body: &[u8]) -> Vec<u8> {
    let [source, destination] = ["10.213.1.1", "10.213.2.1"];
    let mut tcp = [1000u16, 7000].map(u16::to_be_bytes).concat();
    tcp.extend([sequence, 1].map(u32::to_be_bytes).concat());
    tcp.extend([5 << 4, 0x10, 1, 0, 0, 0, 0, 0]);
    tcp.extend(body);
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    let mut packet = inner::packet(source, destination, 6, &tcp).unwrap();
    let pseudo = u32::from(inner::sum(0, &packet[12..20])) + 6;
    let length = u32::try_from(tcp.len()).unwrap();
    let checksum = inner::checksum(pseudo + length, &tcp).to_be_bytes();
    packet[36..38].copy_from_slice(&checksum);
    packet
}

/// Sealed, as runs: each is one send, and one message at the far end.
fn messages(from: &Tunnel, packets: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let mut sealed = Row::new(128, 128 * (MTU + 32));
    let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    from.seal(&mut plain(&packets), &mut sealed);
    let mut messages = Vec::new();
    let mut next = 0;
    while let Some(run) = sealed.run(next, 64, 65_400) {
        next += run.count;
        messages.push(run.bytes.chunks(run.size).map(<[u8]>::to_vec).collect());
    }
    messages
}

/// Opened with the lock held once, then coalesced: the packets of each write.
fn receive(tunnel: &Tunnel, datagrams: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<usize>) {
    let mut opened = Row::new(256, 8 * 65_535);
    let mut opener = tunnel.opener();
    for datagram in datagrams {
        if let Opened::Packet(packet) = opener.open(super::from(datagram, here()), opened.spare()) {
            let length = packet.len();
            opened.commit(length, Ecn::NotEct);
        }
    }
    drop(opener);
    let mut coalescer = Coalescer::default();
    let (mut frames, mut counts) = (Vec::new(), Vec::new());
    let mut write = |frame: crate::packet::coalesce::Frame<'_>| {
        frames.push(frame.bytes[HEADROOM..].to_vec());
        counts.push(frame.packets);
    };
    for packet in opened.packets() {
        coalescer.push(packet, &mut write);
    }
    coalescer.flush(&mut write);
    (frames, counts)
}

fn bodies(packets: &[Vec<u8>]) -> Vec<u8> {
    let bodies = packets.iter().map(|packet| &packet[40..]);
    bodies.collect::<Vec<_>>().concat()
}

#[test]
fn a_full_superpacket_is_one_message_and_one_write() {
    for last in [1, 700, MTU - 41, MTU - 40] {
        let [a, b] = established();
        let packets = segments(45, last);
        let messages = messages(&a, &packets);
        assert_eq!(messages.len(), 1, "one send, the last is {last} long");
        let (frames, counts) = receive(&b, &messages.concat());
        assert_eq!(counts, [45]);
        assert!(bodies(&frames) == bodies(&packets), "last {last}");
    }
}

#[test]
fn an_empty_datagram_is_refused_and_fetches_nothing_that_waits() {
    let [a, b] = pair();
    let waiting = packet("10.213.2.1", 100);
    send(&b, &waiting);
    let (response, _) = open(&b, &initiation(&a));
    let (keepalive, _) = open(&a, &response.unwrap());
    open(&b, &keepalive.unwrap());
    assert_eq!(open(&b, &[]), (None, None), "it goes to a stranger");
    assert_eq!(b.counters.unauthentic.load(Relaxed), 1);
    assert!(b.opener().release(&mut vec![0; 2000]).is_some());
}

#[test]
fn more_than_one_send_takes_is_two_messages_and_nothing_is_lost() {
    let [a, b] = established();
    let packets = segments(100, 10);
    let messages = messages(&a, &packets);
    let lengths: Vec<_> = messages.iter().map(Vec::len).collect();
    assert_eq!(lengths, [45, 45, 10]);
    let (frames, counts) = receive(&b, &messages.concat());
    assert_eq!(counts.iter().sum::<usize>(), 100);
    assert!(bodies(&frames) == bodies(&packets));
}

/// What a stranger may put between two datagrams of a batch.
#[derive(Clone, Debug)]
enum Foreign {
    Noise(Vec<u8>),
    /// One of ours once more.
    Replayed(usize),
    /// A part of one of ours.
    Cut(usize, usize),
    /// One of ours with a byte changed, of which the sender's counter is one.
    Changed(usize, usize, u8),
    /// One of ours with bytes behind it.
    Longer(usize, usize),
}

impl Foreign {
    fn make(&self, ours: &[Vec<u8>]) -> Vec<u8> {
        let one = |at: usize| ours[at % ours.len()].clone();
        match *self {
            Self::Noise(ref bytes) => bytes.clone(),
            Self::Replayed(at) => one(at),
            Self::Cut(at, length) => one(at)[..length % one(at).len()].to_vec(),
            Self::Changed(at, place, by) => {
                let mut datagram = one(at);
                let place = place % datagram.len();
                datagram[place] ^= by;
                datagram
            }
            Self::Longer(at, more) => [one(at), vec![0; more]].concat(),
        }
    }
}

fn foreign() -> impl Strategy<Value = Foreign> {
    let at = 0usize..45;
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..200).prop_map(Foreign::Noise),
        at.clone().prop_map(Foreign::Replayed),
        (at.clone(), 0usize..2000).prop_map(|(at, length)| Foreign::Cut(at, length)),
        (at.clone(), 0usize..2000, 1u8..)
            .prop_map(|(at, place, by)| Foreign::Changed(at, place, by)),
        (at.clone(), 0usize..16, 1u8..).prop_map(|(at, place, by)| Foreign::Changed(at, place, by)),
        (at, 1usize..100).prop_map(|(at, more)| Foreign::Longer(at, more)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_in_a_batch_harms_no_good_datagram(
        thrown in proptest::collection::vec((0usize..45, foreign()), 0..20),
        last in 1usize..1381,
    ) {
        let [a, b] = established();
        let packets = segments(45, last);
        let ours = messages(&a, &packets).concat();
        let mut arrived: Vec<_> = ours.clone();
        for (after, foreign) in &thrown {
            let datagram = foreign.make(&ours);
            // Behind the genuine one, so that a replayed one is not the first of its kind.
            let genuine = match *foreign {
                Foreign::Replayed(at) => at.max(*after),
                Foreign::Noise(_) | Foreign::Cut(..) | Foreign::Changed(..) | Foreign::Longer(..) => *after,
            };
            let behind = arrived.iter().position(|known| *known == ours[genuine]).unwrap();
            arrived.insert(behind + 1, datagram);
        }
        let (frames, counts) = receive(&b, &arrived);
        prop_assert_eq!(counts, [45], "one write all the same");
        prop_assert!(bodies(&frames) == bodies(&packets));
        let refused = b.counters.unauthentic.load(Relaxed);
        prop_assert_eq!(usize::try_from(refused).unwrap(), thrown.len());
        prop_assert_eq!(b.counters.malformed.load(Relaxed), 0);
    }

    #[test]
    fn lost_and_swapped_datagrams_leave_the_others_in_their_order(
        lost in proptest::collection::vec(0usize..45, 0..5),
        swapped in proptest::collection::vec((0usize..45, 0usize..45), 0..5),
    ) {
        let [a, b] = established();
        let packets = segments(45, 100);
        let mut order: Vec<_> = (0..45).filter(|at| !lost.contains(at)).collect();
        for (one, other) in swapped {
            let count = order.len();
            order.swap(one % count, other % count);
        }
        let ours = messages(&a, &packets).concat();
        let arrived: Vec<_> = order.iter().map(|at| ours[*at].clone()).collect();
        let (frames, counts) = receive(&b, &arrived);
        prop_assert_eq!(counts.iter().sum::<usize>(), order.len());
        let expected: Vec<_> = order.iter().map(|at| packets[*at].clone()).collect();
        prop_assert!(bodies(&frames) == bodies(&expected));
    }
}
