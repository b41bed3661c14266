use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::*;
use crate::host::tests::Space;

const OPENER: &str = "10.213.1.1:0";
const ACCEPTOR: &str = "10.213.2.1:7000";

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).unwrap()
}

/// One connection with both ends in the caller's network namespace, used both ways; and its
/// listener, without which the kernel refuses joins.
fn connection() -> [Socket; 3] {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap().into();
    let listener = socket();
    listener.bind(&address(ACCEPTOR)).unwrap();
    listener.listen(1).unwrap();
    let mut opener = socket();
    opener.bind(&address(OPENER)).unwrap();
    opener.connect(&address(ACCEPTOR)).unwrap();
    let (mut acceptor, _) = listener.accept().unwrap();
    exchange(&mut opener, &mut acceptor);
    [opener, acceptor, listener]
}

fn exchange(one: &mut Socket, other: &mut Socket) {
    say(one, other);
    say(other, one);
}

fn say(from: &mut Socket, to: &mut Socket) {
    from.write_all(b"ping").unwrap();
    to.read_exact(&mut [0; 4]).unwrap();
}

/// Waits until the established subflows are as `expected`: source and who opened.
#[expect(
    clippy::disallowed_methods,
    reason = "a test against the real kernel waits for it"
)]
fn wait_for(host: &Host, expected: &[(&str, bool)]) {
    let end = Instant::now() + Duration::from_secs(3);
    let seen = || {
        let subflows = host
            .subflows()
            .unwrap()
            .into_iter()
            .filter(|s| s.established);
        let mut seen: Vec<_> = subflows
            .map(|s| (s.source.to_string(), s.opened_here))
            .collect();
        seen.sort();
        seen
    };
    let expected: Vec<_> = expected
        .iter()
        .map(|(s, here)| ((*s).to_owned(), *here))
        .collect();
    while seen() != expected && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(seen(), expected);
}

#[test]
fn a_subflow_can_be_destroyed_and_comes_back_with_its_endpoint_while_the_connection_lives() {
    let Some(space) = Space::new() else { return };
    space.sh("for a in 1.1 1.2 2.1; do ip addr add 10.213.$a/32 dev lo; done");
    space.sh("ip mptcp limits set subflows 8; ip mptcp endpoint add 10.213.1.2 subflow");
    let state = tempfile::tempdir().unwrap();
    space.run(|| {
        let mut host = Host::open(state.path()).unwrap();
        let [mut opener, mut acceptor, _listener] = connection();
        let both = [
            ("10.213.1.1", true),
            ("10.213.1.2", true),
            ("10.213.2.1", false),
            ("10.213.2.1", false),
        ];
        wait_for(&host, &both);
        let join: IpAddr = "10.213.1.2".parse().unwrap();
        assert_eq!(
            host.destroy_subflows(|subflow| subflow.source == join)
                .unwrap(),
            1
        );
        wait_for(&host, &[("10.213.1.1", true), ("10.213.2.1", false)]);
        exchange(&mut opener, &mut acceptor);
        host.renew_endpoint(join).unwrap();
        wait_for(&host, &both);
        exchange(&mut opener, &mut acceptor);
        let tokens: std::collections::BTreeSet<_> = host
            .subflows()
            .unwrap()
            .iter()
            .map(|subflow| subflow.token)
            .collect();
        assert_eq!(
            tokens.len(),
            2,
            "one connection has one token at each of its ends"
        );
        let acked = |s: &Subflow| if s.opened_here { s.bytes_acked } else { 0 };
        let bytes: u64 = host.subflows().unwrap().iter().map(acked).sum();
        assert!(bytes > 0, "no bytes were counted");
    });
}
