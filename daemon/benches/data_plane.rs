//! The pure rooms of the data plane by the batch of one superpacket: 45 packets of 1420 bytes.

#![allow(clippy::unwrap_used, reason = "a bench: what is missing shall fail it")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pathweaved::names::{PathId, PathNumber, PrivateKey, SiteId};
use pathweaved::noise::Identity;
use pathweaved::packet::batch::{Plain, Row};
use pathweaved::packet::coalesce::Coalescer;
use pathweaved::packet::ecn::Ecn;
use pathweaved::packet::inner;
use pathweaved::tunnel::switchboard::{self, Seat, Switchboard};
use pathweaved::tunnel::{Datagram, Opened, Parts, Tunnel};
use tun_rs::{VirtioNetHdr, gso_split};

const MTU: u16 = 1420;
const COUNT: usize = 45;
const BODY: usize = 1368;
const TCP: usize = 20;

/// A superpacket of the kernel: IPv4, TCP with timestamps.
fn superpacket(port: u16) -> (VirtioNetHdr, Vec<u8>) {
    let mut tcp = port.to_be_bytes().to_vec();
    tcp.extend([
        0x1b, 0x58, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 1, 0, 0, 0, 0,
    ]);
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
    tcp.extend(vec![7; BODY * COUNT]);
    let ends = ["10.213.1.1", "10.213.2.1"].map(|end| end.parse().unwrap());
    let packet = inner::packet(ends[0], ends[1], 6, &tcp).unwrap();
    let header = VirtioNetHdr {
        flags: 1,
        gso_type: 1,
        hdr_len: 52,
        gso_size: u16::try_from(BODY).unwrap(),
        csum_start: u16::try_from(TCP).unwrap(),
        csum_offset: 16,
    };
    (header, packet)
}

fn segments(port: u16) -> Vec<Vec<u8>> {
    let (header, mut packet) = superpacket(port);
    let addresses = packet.get(12..20).unwrap().to_vec();
    let length = u32::try_from(packet.len() - TCP).unwrap();
    // The kernel begins the checksum with the pseudo-header.
    let begun = inner::sum(6 + length, &addresses).to_be_bytes();
    packet.get_mut(36..38).unwrap().copy_from_slice(&begun);
    let (mut slots, mut lengths) = (vec![vec![0; usize::from(MTU)]; COUNT], vec![0; COUNT]);
    gso_split(&mut packet, header, &mut slots, &mut lengths, 0, false).unwrap();
    slots
}

fn bytes() -> Throughput {
    Throughput::Bytes((COUNT * usize::from(MTU)) as u64)
}

fn split(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("split");
    group.throughput(bytes());
    let (header, packet) = superpacket(1);
    let (mut slots, mut lengths) = (vec![vec![0; usize::from(MTU)]; COUNT], vec![0; COUNT]);
    group.bench_function("one superpacket", |bencher| {
        bencher.iter_batched(
            || packet.clone(),
            |mut packet| gso_split(&mut packet, header, &mut slots, &mut lengths, 0, false),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn coalesce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coalesce");
    group.throughput(bytes());
    let one = segments(1);
    let flows: Vec<_> = (1..=4).map(segments).collect();
    let four: Vec<_> = (0..COUNT)
        .filter_map(|at| flows.get(at % 4)?.get(at / 4).cloned())
        .collect();
    let mut damaged = one.clone();
    for packet in &mut damaged {
        packet[100] ^= 0xff;
    }
    for (name, packets) in [
        ("one flow", one),
        ("four flows", four),
        ("nothing", damaged),
    ] {
        let mut coalescer = Coalescer::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for packet in &packets {
                    coalescer.push(packet, |frame| assert!(black_box(frame.packets) > 0));
                }
                coalescer.flush(|frame| assert!(black_box(frame.packets) > 0));
            });
        });
    }
    group.finish();
}

/// Two tunnels with a session.
fn established() -> [Tunnel; 2] {
    let keys = [1, 2].map(|byte| PrivateKey::from_bytes([byte; 32]));
    let [a, b] = [(0usize, 1usize), (1, 0)].map(|(ours, theirs)| {
        let peer = SiteId::new(u8::try_from(theirs + 1).unwrap()).unwrap();
        let number = PathNumber::FIRST;
        let parts = Parts {
            path: PathId { peer, number },
            key: keys[theirs].public(),
            index: switchboard::index(0, number),
            mtu: MTU,
            allowed: vec!["10.213.0.0/16".parse().unwrap()],
            echo_to: Vec::new(),
            merges_marks: true,
        };
        Tunnel::new(&Identity::new(&keys[ours]), parts)
    });
    let mut out = vec![0; 2000];
    let length = a.initiate(&mut out).unwrap();
    let response = reply(&b, &out[..length]);
    let keepalive = reply(&a, &response);
    b.opener().open(datagram(&keepalive), &mut out);
    [a, b]
}

fn datagram(bytes: &[u8]) -> Datagram<'_> {
    let source: SocketAddr = "192.0.2.1:51820".parse().unwrap();
    Datagram {
        bytes,
        source,
        mark: Ecn::NotEct,
    }
}

fn reply(tunnel: &Tunnel, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 2000];
    match tunnel.opener().open(datagram(bytes), &mut out) {
        Opened::Reply(reply) => reply.to_vec(),
        Opened::Packet(_) | Opened::Control(_) | Opened::Nothing => Vec::new(),
    }
}

fn plain() -> Plain {
    let mut plain = Plain::new(COUNT, usize::from(MTU));
    for packet in segments(1) {
        let (slots, lengths) = plain.spare();
        slots[0].copy_from_slice(&packet);
        lengths[0] = packet.len();
        plain.commit(1);
    }
    plain
}

fn seal_and_open(criterion: &mut Criterion) {
    let [a, b] = established();
    let (mut plain, mut sealed) = (plain(), Row::new(COUNT, COUNT * a.longest_datagram()));
    let mut group = criterion.benchmark_group("tunnel");
    group.throughput(bytes());
    group.bench_function("seal", |bencher| {
        bencher.iter(|| {
            sealed.clear();
            a.seal(&mut plain, &mut sealed);
        });
    });
    let mut opened = vec![0; 70_000];
    group.bench_function("open", |bencher| {
        bencher.iter_batched_ref(
            || {
                // Fresh counters: a replay would be refused.
                let mut row = Row::new(COUNT, COUNT * a.longest_datagram());
                a.seal(&mut plain, &mut row);
                row
            },
            |row| {
                let mut opener = b.opener();
                for bytes in row.packets() {
                    black_box(opener.open(datagram(bytes), &mut opened));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let key = PrivateKey::from_bytes([3; 32]).public();
    let seat = |slot: u16| {
        let path = PathNumber::new(u8::try_from(slot % 4 + 1).unwrap()).unwrap();
        let index = switchboard::index(slot, path);
        (
            index << 8,
            Some(Seat {
                tunnel: slot,
                key,
                path,
                numbered: true,
                link: 0,
            }),
        )
    };
    let (indices, seats): (Vec<_>, Vec<_>) = (0..400).map(seat).unzip();
    let board = Switchboard::new(seats);
    let mut group = criterion.benchmark_group("switchboard");
    group.throughput(Throughput::Elements(indices.len() as u64));
    group.bench_function("400 seats by receiver index", |bencher| {
        bencher.iter(|| {
            indices
                .iter()
                .filter(|index| board.by_receiver(**index).is_some())
                .count()
        });
    });
    group.finish();
}

/// The whole in half a minute.
fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000)
}

criterion_group! {
    name = benches;
    config = short();
    targets = split, coalesce, seal_and_open, look_up
}
criterion_main!(benches);
