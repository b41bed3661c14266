//! Which connections are told, and what is said of them.

use std::net::SocketAddr;

use super::*;
use crate::control::{Connection, Kind};
use crate::plan::{Listener, MptcpSocket, PathAddresses, Sockets, Subflow, TcpSocket};

fn socket(from: &str, to: &str, token: u32) -> TcpSocket {
    let [from, to]: [SocketAddr; 2] = [from, to].map(|text| text.parse().unwrap());
    TcpSocket {
        flow: Subflow {
            token,
            source: from.ip(),
            source_port: from.port(),
            destination: to.ip(),
            destination_port: to.port(),
            opened_here: token != 0,
            established: true,
            takes_joins: true,
            backup: false,
            bytes_acked: 100,
            bytes_received: 7,
        },
        multipath: token != 0,
        inode: 4711,
        uid: 0,
        round_trip: Duration::from_micros(10_260),
        delivery_rate: 1_000_000,
        bytes_retransmitted: 0,
    }
}

fn whole(token: u32, fell_back: bool) -> MptcpSocket {
    MptcpSocket {
        token,
        local: "10.213.1.1:40000".parse().unwrap(),
        remote: "10.213.2.1:873".parse().unwrap(),
        inode: 4711,
        uid: 33,
        fell_back,
        bytes_acked: 90,
        bytes_received: 7,
    }
}

/// Of a site whose only path is up, or not.
fn told(sockets: &Sockets, up: bool) -> Vec<Connection> {
    let (mut site, now) = start();
    if up {
        site.handle_traffic(one_path(), with_session(1), now);
        hear(&mut site, ProbeState::Init, now);
    }
    let addresses = PathAddresses::of(site.view());
    let ages = BTreeMap::from([(7, Duration::from_secs(61))]);
    site.flows(sockets, &addresses, &ages).connections
}

#[test]
fn a_connection_is_told_with_its_flows_and_strangers_are_not() {
    let sockets = Sockets {
        tcp: vec![
            socket("10.213.1.1:40000", "10.213.2.1:873", 7),
            socket("192.0.2.1:40000", "192.0.2.2:443", 0),
            socket("10.213.1.1:40001", "10.213.3.1:873", 8),
        ],
        mptcp: vec![whole(7, false)],
        listeners: Vec::new(),
    };
    let told = told(&sockets, true);
    let [one] = told.as_slice() else {
        panic!("{told:#?}")
    };
    assert_eq!((one.peer.as_str(), one.kind), ("tainan", Kind::Multipath));
    assert_eq!((one.uid, one.inode, one.age_s), (33, 4711, Some(61)));
    assert_eq!(
        (one.sent, one.received),
        (90, 7),
        "the connection's own count"
    );
    assert_eq!((one.flows[0].path, one.flows[0].sent), (Some(1), 100));
    assert_eq!((&one.reason, one.lacks.len()), (&None, 0));
}

#[test]
fn a_path_that_is_lacking_is_told_with_the_reason() {
    let mut under_way = socket("10.213.1.1:40000", "10.213.2.1:873", 7);
    under_way.flow.established = false;
    let sockets = Sockets {
        tcp: vec![under_way],
        ..Sockets::default()
    };
    let up = told(&sockets, true);
    assert_eq!(up[0].lacks[0].why, "its subflow is under way");
    assert_eq!(up[0].local.to_string(), "10.213.1.1:40000");
    let down = told(&sockets, false);
    assert_ne!(down[0].lacks[0].why, "its subflow is under way");
}

#[test]
fn plain_tcp_is_told_with_what_made_it_so() {
    let listener = |multipath| Listener {
        address: "0.0.0.0".parse().unwrap(),
        port: 873,
        multipath,
    };
    let accepted = socket("10.213.1.1:873", "10.213.2.1:40000", 0);
    let opened = socket("10.213.1.1:40000", "10.213.2.1:873", 0);
    let no_program = socket("10.213.1.1:874", "10.213.2.1:40000", 0);
    let table = [
        (accepted, vec![listener(true)], Some(false), "the far end's"),
        (
            accepted,
            vec![listener(false)],
            Some(false),
            "the program here listens",
        ),
        (opened, vec![listener(true)], Some(true), "one of the two"),
        (no_program, vec![listener(true)], None, "one of the two"),
    ];
    for (socket, listeners, opened_here, reason) in table {
        let sockets = Sockets {
            tcp: vec![socket],
            mptcp: Vec::new(),
            listeners,
        };
        let told = told(&sockets, true);
        assert_eq!(
            (told[0].kind, told[0].opened_here),
            (Kind::Plain, opened_here)
        );
        let why = told[0].reason.as_ref().unwrap();
        assert!(why.starts_with(reason), "{why}");
    }
    let fell_back = Sockets {
        tcp: vec![socket("10.213.1.1:40000", "10.213.2.1:873", 7)],
        mptcp: vec![whole(7, true)],
        listeners: Vec::new(),
    };
    let told = told(&fell_back, true);
    assert_eq!(told[0].kind, Kind::Plain);
    assert!(told[0].reason.as_ref().unwrap().contains("fell back"));
}
