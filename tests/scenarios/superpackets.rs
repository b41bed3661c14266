//! The kernel as a judge of our superpackets: what the coalescer makes is written to one TUN, the
//! kernel forwards it to another, and there it is read and split again. Nothing between the two
//! is ours.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing shall fail it"
)]

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;

use lab::namespace::Namespace;
use lab::programs::{have, lab_can_run};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pathweaved::names::InterfaceName;
use pathweaved::packet::batch::Plain;
use pathweaved::packet::coalesce::Coalescer;
use pathweaved::packet::inner;
use pathweaved::tun::{Tun, TunReader};

const MTU: u16 = 1420;
const SOURCES: [&str; 2] = ["10.213.1.1", "fd50:1::1"];
const TARGETS: [&str; 2] = ["10.213.2.1", "fd50:2::1"];

/// A router with two TUNs: what comes from the first for the targets goes out of the second.
struct Router {
    namespace: Namespace,
    first: Tun,
    second: Tun,
    reader: TunReader,
}

fn router() -> Option<Router> {
    if !lab_can_run() || !have("ip", "iproute2") {
        return None;
    }
    let namespace = Namespace::new().unwrap();
    let open = |name: &str| {
        let name: InterfaceName = name.parse().unwrap();
        let opened = namespace.enter(move || Ok(Tun::open(&name, true)));
        opened.unwrap().unwrap()
    };
    let (first, second) = (open("pw-first-1"), open("pw-second-1"));
    namespace.shell(&format!(
        "set -e
         for tun in pw-first-1 pw-second-1; do
             echo 1 > /proc/sys/net/ipv6/conf/$tun/addr_gen_mode
             ip link set $tun mtu {MTU} up gso_max_segs 45
         done
         echo 1 > /proc/sys/net/ipv4/ip_forward
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         ip route add 10.213.1.0/24 dev pw-first-1
         ip route add fd50:1::/64 dev pw-first-1
         ip route add 10.213.2.0/24 dev pw-second-1
         ip route add fd50:2::/64 dev pw-second-1"
    ));
    Some(Router {
        namespace,
        first,
        second,
        reader: TunReader::default(),
    })
}

impl Router {
    /// Coalesced, forwarded, split. Gives the counts of the writes and what came out.
    fn carry(&mut self, packets: &[Vec<u8>]) -> (Vec<usize>, Vec<Vec<u8>>) {
        let mut coalescer = Coalescer::default();
        let mut counts = Vec::new();
        let mut write = |frame: pathweaved::packet::coalesce::Frame<'_>| {
            counts.push(frame.packets);
            self.first.write(frame).unwrap();
        };
        for packet in packets {
            coalescer.push(packet, &mut write);
        }
        coalescer.flush(&mut write);
        (counts, self.read())
    }

    /// All TCP and UDP that comes out until nothing has come for a while. The kernel itself says a
    /// thing or two by ICMP.
    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut came = Vec::new();
        let mut plain = Plain::new(64, usize::from(MTU));
        loop {
            plain.clear();
            match self.reader.read(&self.second, &mut plain) {
                Ok(()) => {
                    let packets = plain.packets_mut();
                    let packets = packets.map(|(slot, length)| slot[..length].to_vec());
                    came.extend(packets.filter(|packet| is_payload(packet)));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let mut wait = [PollFd::new(self.second.as_fd(), PollFlags::POLLIN)];
                    if poll(&mut wait, PollTimeout::from(200u8)).unwrap() == 0 {
                        return came;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn is_payload(packet: &[u8]) -> bool {
    matches!(inner::payload(packet), Some((6 | 17, _)))
}

/// Timestamps and MPTCP's data sequence signal, as Linux lays them out.
fn options() -> Vec<u8> {
    let mut options = vec![1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4];
    options.extend([30, 26, 0x20, 0x0f]);
    options.extend(0..22);
    options.extend([1, 1]);
    options
}

/// Segments of one connection, `size` bytes each and a shorter last one, PSH on that.
fn segments(v6: bool, count: u16, size: u16, last: u16) -> Vec<Vec<u8>> {
    let flow = usize::from(v6);
    let (source, target): (IpAddr, IpAddr) = (
        SOURCES[flow].parse().unwrap(),
        TARGETS[flow].parse().unwrap(),
    );
    let segment = |number: u16| {
        let ended = number + 1 == count;
        let body = usize::from(if ended { last } else { size });
        let sequence = u32::from(number) * u32::from(size);
        let mut tcp = [1000u16, 7000].map(u16::to_be_bytes).concat();
        tcp.extend([sequence, 1].map(u32::to_be_bytes).concat());
        let flags = if ended { 0x18 } else { 0x10 };
        tcp.extend([15 << 4, flags, 1, 0, 0, 0, 0, 0]);
        tcp.extend(options());
        tcp.extend((0..body).map(|at| (at + usize::from(number) * 7).to_le_bytes()[0]));
        let mut packet = inner::packet(source, target, 6, &tcp).unwrap();
        if !v6 {
            packet[4..6].copy_from_slice(&number.to_be_bytes());
            packet[10..12].fill(0);
            let checksum = inner::checksum(0, &packet[..20]).to_be_bytes();
            packet[10..12].copy_from_slice(&checksum);
        }
        let transport = transport(&packet);
        let checksum = !l4_sum(&packet, 6);
        packet[transport + 16..transport + 18].copy_from_slice(&checksum.to_be_bytes());
        packet
    };
    (0..count).map(segment).collect()
}

fn transport(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 6 { 40 } else { 20 }
}

/// The sum of pseudo-header and segment: `0xffff` when the checksum in it is right.
fn l4_sum(packet: &[u8], protocol: u32) -> u16 {
    let at = transport(packet);
    let addresses = inner::sum(0, &packet[at - if at == 40 { 32 } else { 8 }..at]);
    let length = u32::try_from(packet.len() - at).unwrap();
    inner::sum(u32::from(addresses) + protocol + length, &packet[at..])
}

/// What a router may not change: identification and the whole TCP segment with its checksum.
fn lasting(packet: &[u8]) -> Vec<u8> {
    let at = transport(packet);
    let identification = if at == 20 { &packet[4..6] } else { &[] };
    [identification, &packet[at..]].concat()
}

fn same(came: &[Vec<u8>], sent: &[Vec<u8>]) -> bool {
    came.len() == sent.len() && came.iter().zip(sent).all(|(a, b)| lasting(a) == lasting(b))
}

#[test]
fn the_kernel_takes_our_superpackets_and_gives_back_every_byte() {
    let Some(mut router) = router() else { return };
    for v6 in [false, true] {
        for (count, size, last) in [
            (2, 100, 100),
            (45, 1320, 1320),
            (45, 1320, 1),
            (44, 1320, 700),
            (64, 500, 499),
            (20, 64, 63),
        ] {
            let sent = segments(v6, count, size, last);
            let (counts, came) = router.carry(&sent);
            let what = format!("{count} of {size}, the last {last}, IPv6: {v6}");
            assert_eq!(counts, [usize::from(count)], "{what}");
            assert!(same(&came, &sent), "{what}: {} came", came.len());
        }
    }
}

/// TCP itself never makes segments below 8 bytes into a superpacket.
#[test]
fn segments_of_few_bytes_are_not_lost() {
    let Some(mut router) = router() else { return };
    for v6 in [false, true] {
        for size in [1, 2, 7, 8, 9, 40] {
            let sent = segments(v6, 20, size, 1);
            let (counts, came) = router.carry(&sent);
            assert!(
                same(&came, &sent),
                "{size} bytes each, IPv6: {v6}: {counts:?}, {} came",
                came.len()
            );
        }
    }
}

/// `gso_max_segs` does not bind the kernel here: it does not count the segments of a superpacket
/// that came from a TUN.
#[test]
fn four_hundred_small_segments_in_a_row_are_not_lost() {
    let Some(mut router) = router() else { return };
    for v6 in [false, true] {
        let sent = segments(v6, 400, 100, 50);
        let (counts, came) = router.carry(&sent);
        assert!(
            same(&came, &sent),
            "IPv6: {v6}: {counts:?}, {} came",
            came.len()
        );
    }
}

/// Over IPv6 a UDP checksum of zero is sent as 0xffff (RFC 8200 section 8.1): zero says that there
/// is none, and the receiver drops it.
#[test]
fn a_udp_checksum_that_comes_to_zero_is_not_sent_as_none() {
    let Some(mut router) = router() else { return };
    router.namespace.shell(
        "ip address add fd50:1::1/128 dev pw-second-1 nodad
         ip address add 10.213.1.1/32 dev pw-second-1",
    );
    for (source, target) in SOURCES.into_iter().zip(TARGETS).rev() {
        let addresses = (source.parse().unwrap(), target.parse().unwrap());
        let mut udp = [5000u16, 9, 10, 0].map(u16::to_be_bytes).concat();
        udp.extend([0, 0]);
        let bare = inner::packet(addresses.0, addresses.1, 17, &udp).unwrap();
        let payload = (!l4_sum(&bare, 17)).to_be_bytes();
        let sent = router.namespace.enter(move || {
            let socket = UdpSocket::bind((addresses.0, 5000))?;
            socket.send_to(&payload, (addresses.1, 9))
        });
        assert_eq!(sent.unwrap(), 2);
        let came = router.read();
        let at = transport(&came[0]);
        assert_eq!(came[0][at + 6..at + 8], [0xff; 2], "to {target}");
    }
}
