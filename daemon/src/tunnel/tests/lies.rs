//! What somebody on the way makes of a peer's probes.

use super::*;
use crate::packet::probe::{Probe, ProbeState};

fn probe_of(tunnel: &Tunnel) -> Vec<u8> {
    let probe = Probe {
        state: ProbeState::AdminDown,
        path: 1,
        hurry: false,
        held: false,
        sequence: 1,
        interval_us: 400_000,
        hold_us: 0,
        stamp_us: 1,
        echo_us: 0,
        loss: None,
        word: None,
    };
    let [source, destination] = ["10.213.1.1", "10.213.2.1"].map(|text| text.parse().unwrap());
    let mut out = vec![0; 2000];
    let packet = probe.to_packet(source, destination).unwrap();
    let length = tunnel.seal_control(&packet, &mut out).unwrap();
    out.truncate(length);
    out
}

/// Opens it, from somewhere else than the far end; whether it was a control packet.
fn is_control(tunnel: &Tunnel, datagram: &[u8]) -> bool {
    let elsewhere = "203.0.113.66:6666".parse().unwrap();
    let mut out = vec![0; 70_000];
    let opened = tunnel.opener().open(from(datagram, elsewhere), &mut out);
    matches!(opened, Opened::Control(_))
}

#[test]
fn a_probe_that_is_replayed_or_forged_is_not_heard_and_moves_nothing() {
    let [a, b] = established();
    let genuine = probe_of(&a);
    assert!(matches!(open(&b, &genuine), (None, Some(_))));
    let heard = b.counters.heard.load(Relaxed);
    for _ in 0..3 {
        assert!(!is_control(&b, &genuine), "replayed");
    }
    let another = probe_of(&a);
    for place in 0..another.len() {
        let mut forged = another.clone();
        forged[place] ^= 0x10;
        assert!(!is_control(&b, &forged), "byte {place} changed");
    }
    assert!(!is_control(&a, &another), "sent back to its sender");
    assert_eq!(b.counters.heard.load(Relaxed), heard);
    assert_eq!(b.remote(), Some(here()), "the far end is where it was");
    assert!(
        is_control(&b, &another),
        "the genuine one is not spoilt by them"
    );
}

#[test]
fn a_probe_of_another_session_with_the_same_keys_is_not_heard() {
    let [a, b] = established();
    let old = probe_of(&a);
    let [_, fresh] = established();
    assert!(!is_control(&fresh, &old));
    assert!(is_control(&b, &old));
}
