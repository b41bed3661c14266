use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::inner;
use super::*;

/// A TCP segment, ready to be made.
#[derive(Clone, Debug)]
struct Recipe {
    v6: bool,
    port: u16,
    sequence: u32,
    ack: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    body: usize,
    tos: u8,
    damaged: bool,
}

impl Recipe {
    fn of(sequence: u32, body: usize) -> Self {
        Self {
            v6: false,
            port: 1000,
            sequence,
            ack: 1,
            flags: ACK,
            window: 500,
            options: Vec::new(),
            body,
            tos: 0,
            damaged: false,
        }
    }

    fn make(&self) -> Vec<u8> {
        let mut tcp = self.port.to_be_bytes().to_vec();
        tcp.extend(7000u16.to_be_bytes());
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let length = u8::try_from(20 + self.options.len()).unwrap();
        tcp.extend([length << 2, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        let first = self.sequence.to_le_bytes()[0];
        tcp.extend((0..self.body).map(|at| first.wrapping_add(at.to_le_bytes()[0])));
        let (source, destination) = if self.v6 {
            ("fd50::1", "fd50::2")
        } else {
            ("10.213.1.1", "10.213.2.1")
        };
        let addresses = (source.parse().unwrap(), destination.parse().unwrap());
        let mut packet = inner::packet(addresses.0, addresses.1, TCP, &tcp).unwrap();
        if self.v6 {
            packet[1] = self.tos;
        } else {
            packet[1] = self.tos;
            put(&mut packet, 10, 0);
            let checksum = inner::checksum(0, &packet[..20]);
            put(&mut packet, 10, checksum);
        }
        seal_tcp(&mut packet);
        if self.damaged {
            *packet.last_mut().unwrap() ^= 0x55;
        }
        packet
    }
}

fn tcp_at(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 {
        V4_HEADER
    } else {
        V6_HEADER
    }
}

/// Computes the TCP checksum.
fn seal_tcp(packet: &mut [u8]) {
    let tcp = tcp_at(packet);
    put(packet, tcp + CHECKSUM, 0);
    let checksum = !sum(pseudo_header(packet, tcp), &packet[tcp..]);
    put(packet, tcp + CHECKSUM, checksum);
}

/// What the kernel makes of a frame when it must send it on: the rules of segmentation.
fn split(frame: &[u8]) -> Vec<Vec<u8>> {
    let (header, packet) = frame.split_at(HEADROOM);
    let word = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    if header[1] == 0 {
        assert_eq!(
            header, [0; HEADROOM],
            "flags on a packet that nobody verified"
        );
        return vec![packet.to_vec()];
    }
    let (headers, size, tcp) = (word(2), word(4), word(6));
    assert_eq!((header[0], word(8), tcp), (1, CHECKSUM, tcp_at(packet)));
    // The kernel adds the segment's sum to what lies in the checksum field.
    let given = u16::from_be_bytes([packet[tcp + CHECKSUM], packet[tcp + CHECKSUM + 1]]);
    assert_eq!(
        given,
        sum(pseudo_header(packet, tcp), &[]),
        "partial checksum"
    );
    let bodies: Vec<_> = packet[headers..].chunks(size).collect();
    let last = bodies.len() - 1;
    let part = |(number, body): (usize, &&[u8])| {
        let mut part = [&packet[..headers], body].concat();
        let sequence = u32::from_be_bytes(*packet[tcp + 4..].first_chunk().unwrap());
        let sequence = sequence.wrapping_add(u32::try_from(number * size).unwrap());
        part[tcp + 4..tcp + 8].copy_from_slice(&sequence.to_be_bytes());
        if number < last {
            part[tcp + FLAGS] &= !PSH;
        }
        let length = u16::try_from(part.len()).unwrap();
        if tcp == V4_HEADER {
            put(&mut part, 2, length);
            put(&mut part, 10, 0);
            let checksum = inner::checksum(0, &part[..V4_HEADER]);
            put(&mut part, 10, checksum);
        } else {
            put(&mut part, 4, length - 40);
        }
        seal_tcp(&mut part);
        part
    };
    bodies.iter().enumerate().map(part).collect()
}

/// Frames as they are written.
fn frames(packets: &[Vec<u8>]) -> Vec<(Vec<u8>, usize)> {
    let mut coalescer = Coalescer::default();
    let mut written = Vec::new();
    let mut write = |frame: Frame<'_>| written.push((frame.bytes.to_vec(), frame.packets));
    for packet in packets {
        coalescer.push(packet, &mut write);
    }
    coalescer.flush(&mut write);
    written
}

fn counts(recipes: &[Recipe]) -> Vec<usize> {
    let packets: Vec<_> = recipes.iter().map(Recipe::make).collect();
    let written = frames(&packets);
    let mut back: Vec<_> = written.iter().flat_map(|(bytes, _)| split(bytes)).collect();
    let mut sent = packets;
    back.sort();
    sent.sort();
    assert_eq!(back, sent, "what went in did not come out");
    written.iter().map(|(_, packets)| *packets).collect()
}

fn row(count: u32, body: usize) -> Vec<Recipe> {
    let step = u32::try_from(body).unwrap();
    (0..count).map(|n| Recipe::of(n * step, body)).collect()
}

#[test]
fn a_row_of_segments_is_one_write_in_both_families() {
    for v6 in [false, true] {
        let mut row = row(40, 1380);
        row.iter_mut().for_each(|recipe| recipe.v6 = v6);
        assert_eq!(counts(&row), [40]);
    }
}

#[test]
fn no_write_is_longer_than_an_ip_packet() {
    assert_eq!(counts(&row(100, 1380)), [47, 47, 6]);
}

#[test]
fn a_shorter_segment_and_a_push_end_a_superpacket() {
    let mut short = row(4, 100);
    short[1].body = 99;
    short[2].sequence = 199;
    short[3].sequence = 299;
    assert_eq!(counts(&short), [2, 2]);
    let mut push = row(4, 100);
    push[1].flags |= PSH;
    assert_eq!(counts(&push), [2, 2]);
}

#[test]
fn a_difference_in_any_field_parts_two_segments() {
    let differences: [fn(&mut Recipe); 9] = [
        |r| r.ack += 1,
        |r| r.window += 1,
        |r| r.tos = 4,
        |r| r.options = vec![1; 4],
        |r| r.sequence += 1,
        |r| r.sequence = r.sequence.wrapping_sub(200),
        |r| r.body += 1,
        |r| r.damaged = true,
        |r| r.port += 1,
    ];
    for (number, change) in differences.iter().enumerate() {
        for v6 in [false, true] {
            let mut two = row(2, 100);
            two.iter_mut().for_each(|recipe| recipe.v6 = v6);
            change(&mut two[1]);
            assert_eq!(counts(&two), [1, 1], "difference {number}, IPv6: {v6}");
        }
    }
}

#[test]
fn a_v6_flow_label_parts_two_segments_and_so_does_an_option() {
    let mut two = row(2, 100);
    two.iter_mut().for_each(|recipe| recipe.v6 = true);
    let mut packets: Vec<_> = two.iter().map(Recipe::make).collect();
    packets[1][3] = 9;
    assert_eq!(frames(&packets).len(), 2);
    let mut two = row(2, 100);
    two[0].options = vec![1, 1, 1, 1];
    two[1].options = vec![1, 1, 1, 0];
    assert_eq!(counts(&two), [1, 1]);
    two[1].options = vec![1, 1, 1, 1];
    assert_eq!(counts(&two), [2]);
}

#[test]
fn nothing_overtakes_an_ack_or_a_fin_of_its_flow() {
    for flags in [
        ACK,
        ACK | 1,
        ACK | 2,
        ACK | 4,
        ACK | 0x20,
        ACK | 0x40,
        ACK | 0x80,
    ] {
        let mut three = row(3, 100);
        three[1] = Recipe {
            flags,
            ..Recipe::of(100, usize::from(flags != ACK) * 100)
        };
        three[2].sequence = 100;
        let packets: Vec<_> = three.iter().map(Recipe::make).collect();
        let written: Vec<_> = frames(&packets)
            .iter()
            .flat_map(|(bytes, _)| split(bytes))
            .collect();
        assert_eq!(written, packets, "flags {flags:#x}");
        assert_eq!(counts(&three), [1, 1, 1], "flags {flags:#x}");
    }
}

#[test]
fn a_damaged_packet_is_never_laundered() {
    let mut four = row(4, 100);
    four[0].damaged = true;
    assert_eq!(counts(&four), [1, 3], "the head");
    let mut four = row(4, 100);
    four[2].damaged = true;
    assert_eq!(counts(&four), [2, 1, 1], "in the middle");
}

#[test]
fn fragments_options_and_other_protocols_pass_as_they_are() {
    let mut fragment = Recipe::of(100, 100).make();
    fragment[6] = 0x20;
    let mut options = Recipe::of(100, 100).make();
    options[0] = 0x46;
    let udp = inner::packet(
        "10.213.1.1".parse().unwrap(),
        "10.213.2.1".parse().unwrap(),
        UDP,
        &[0; 30],
    );
    for strange in [fragment, options, udp.unwrap()] {
        let packets = [Recipe::of(0, 100).make(), strange.clone()];
        let written = frames(&packets);
        assert_eq!(written.len(), 2);
        assert!(
            written
                .iter()
                .any(|(bytes, _)| bytes[HEADROOM..] == strange)
        );
    }
}

#[test]
fn more_flows_than_places_are_all_served() {
    let of_port = |port| move |recipe: Recipe| Recipe { port, ..recipe };
    let many: Vec<_> = (0..20)
        .flat_map(|port| row(3, 100).into_iter().map(of_port(port)))
        .collect();
    assert_eq!(counts(&many), [3; 20]);
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let rare = |all: Vec<u8>| prop::sample::select(all);
    (
        any::<bool>(),
        1000u16..1003,
        0u32..6,
        rare(vec![ACK, ACK, ACK, ACK, ACK | PSH, ACK | 1, 2]),
        rare(vec![0, 0, 0, 0, 1]),
        rare(vec![0, 0, 0, 0, 0, 0, 0, 1]),
        prop::sample::select(vec![100usize, 100, 100, 100, 60, 0]),
    )
        .prop_map(|(v6, port, place, flags, window, damaged, body)| Recipe {
            v6,
            port,
            flags,
            window: 500 + u16::from(window),
            damaged: damaged == 1 && body > 0,
            ..Recipe::of((u32::MAX - 250).wrapping_add(place * 100), body)
        })
}

/// Flow → its packets in order.
fn by_flow(packets: impl IntoIterator<Item = Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for packet in packets {
        let flow = flow_of(&packet, tcp_at(&packet)).to_vec();
        flows.entry(flow).or_default().push(packet);
    }
    flows
}

proptest! {
    #[test]
    fn what_is_written_is_what_came_flow_by_flow_in_order(
        recipes in proptest::collection::vec(recipe(), 0..60),
    ) {
        // Neighbours are what coalescing lives of: put them in a row now and then.
        let mut recipes = recipes;
        for at in 1..recipes.len() {
            if at % 3 != 0 {
                let before = recipes[at - 1].clone();
                let next = before.sequence.wrapping_add(u32::try_from(before.body).unwrap());
                recipes[at] = Recipe {
                    v6: before.v6,
                    port: before.port,
                    sequence: next,
                    ..recipes[at].clone()
                };
            }
        }
        let packets: Vec<_> = recipes.iter().map(Recipe::make).collect();
        let written = frames(&packets);
        prop_assert_eq!(written.iter().map(|(_, count)| count).sum::<usize>(), packets.len());
        let back = written.iter().flat_map(|(bytes, _)| split(bytes));
        prop_assert_eq!(by_flow(back), by_flow(packets));
    }

    #[test]
    fn foreign_bytes_pass_unchanged(
        mut bytes in proptest::collection::vec(any::<u8>(), 1..120),
        first in prop::sample::select(vec![0x45u8, 0x46, 0x60, 0]),
        protocol in prop::sample::select(vec![TCP, UDP, 0]),
    ) {
        bytes[0] = first;
        for at in [6, 9] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = protocol;
            }
        }
        let written = frames(&[bytes.clone(), bytes.clone()]);
        prop_assert_eq!(written.len(), 2);
        prop_assert!(written.iter().all(|(frame, _)| frame[HEADROOM..] == bytes));
    }
}
