use std::net::SocketAddr;

use super::*;
use crate::names::{PathNumber, PrivateKey, SiteId};
use crate::packet::{inner, probe};

const HERE: &str = "192.0.2.1:51820";

/// Two tunnels and nothing between them but the test.
fn pair() -> [Tunnel; 2] {
    let keys = [
        PrivateKey::from_bytes([1; 32]),
        PrivateKey::from_bytes([2; 32]),
    ];
    [(0, 1), (1, 0)].map(|(ours, theirs)| {
        let number = PathNumber::FIRST;
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
        };
        Tunnel::new(&Identity::new(&keys[ours]), parts)
    })
}

fn here() -> SocketAddr {
    HERE.parse().unwrap()
}

/// Opens a datagram, and gives back reply and packet.
fn open(tunnel: &Tunnel, datagram: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut out = vec![0; 70_000];
    match tunnel.opener().open(datagram, here(), &mut out) {
        Opened::Packet(packet) | Opened::Control(packet) => (None, Some(packet.to_vec())),
        Opened::Reply(reply) => (Some(reply.to_vec()), None),
        Opened::Nothing => (None, None),
    }
}

fn established() -> [Tunnel; 2] {
    let [a, b] = pair();
    let mut out = vec![0; 200];
    let length = a.initiate(&mut out).unwrap();
    let (response, _) = open(&b, &out[..length]);
    let (keepalive, _) = open(&a, &response.unwrap());
    open(&b, &keepalive.unwrap());
    [a, b]
}

fn send(from: &Tunnel, packet: &[u8]) -> Vec<u8> {
    let (mut plain, mut sealed) = (Plain::new(4, 2000), Sealed::new(4, 2000));
    assert!(plain.push(packet));
    from.seal(&mut plain, &mut sealed);
    sealed.runs(64, 65_000).next().unwrap().bytes.to_vec()
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
    let queued = a.opener().flush_queued(&mut out).unwrap().to_vec();
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
    let result = b.opener().open(&out[..length], here(), &mut opened);
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
