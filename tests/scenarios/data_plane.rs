//! The data plane alone, for real: two lanes with their threads, TUNs and UDP sockets, two
//! namespaces and a veth between them. No supervisor, no configuration.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a test: what is missing shall fail it, and it lives by the clock"
)]

use std::hash::Hasher;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use lab::namespace::Namespace;
use lab::programs::{have, lab_can_run};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeValLike;
use pathweaved::carrier::udp::{BindTo, Offload, UdpSocket};
use pathweaved::names::{InterfaceName, PathId, PathNumber, PrivateKey, SiteId};
use pathweaved::noise::Identity;
use pathweaved::runtime::lane::{Lane, LinkSockets, Outbound};
use pathweaved::runtime::receiver::{Control, Inbound, Shared};
use pathweaved::runtime::wake::Stoppable;
use pathweaved::tun::Tun;
use pathweaved::tunnel::switchboard::{self, Seat, Switchboard};
use pathweaved::tunnel::{Parts, Tunnel};
use tokio::sync::mpsc;

const PORT: u16 = 51820;
const MTU: u16 = 1420;

/// One end: a namespace with a veth called `wan`, and one path with all its threads.
struct End {
    namespace: Namespace,
    lane: Arc<Lane>,
    shared: Arc<Shared>,
    control: mpsc::Receiver<Control>,
    _threads: Vec<Stoppable>,
}

fn shell(namespace: &Namespace, line: &str) {
    let mut command = namespace.command("sh").unwrap();
    let output = command.args(["-ec", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// Something whose process id names the namespace.
struct Anchor(Child);

impl Drop for Anchor {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Two namespaces with a wire between them: 192.0.2.1 and .2, 2001:db8::1 and ::2.
fn wired() -> [Namespace; 2] {
    let [a, b] = [Namespace::new().unwrap(), Namespace::new().unwrap()];
    let mut sleep = b.command("sleep").unwrap();
    let anchor = Anchor(sleep.arg("60").stdin(Stdio::null()).spawn().unwrap());
    let there = anchor.0.id();
    shell(
        &a,
        &format!("ip link add wan type veth peer name wan netns {there}"),
    );
    for (number, end) in (1..).zip([&a, &b]) {
        shell(
            end,
            &format!(
                "ip address add 192.0.2.{number}/24 dev wan
                 ip address add 2001:db8::{number}/64 dev wan nodad
                 ip link set wan up"
            ),
        );
    }
    [a, b]
}

fn outer(number: u8, v6: bool) -> SocketAddr {
    let address = if v6 {
        format!("[2001:db8::{number}]:{PORT}")
    } else {
        format!("192.0.2.{number}:{PORT}")
    };
    address.parse().unwrap()
}

fn end(namespace: &Namespace, number: u8, v6: bool) -> End {
    let peer = 3 - number;
    let key = |number| PrivateKey::from_bytes([number; 32]);
    let path = PathNumber::FIRST;
    let interface: InterfaceName = "pw-there-1".parse().unwrap();
    let tun = {
        let interface = interface.clone();
        let opened = namespace.enter(move || Ok(Tun::open(&interface, true)));
        opened.unwrap().unwrap()
    };
    shell(
        namespace,
        &format!(
            "echo 1 > /proc/sys/net/ipv6/conf/{interface}/addr_gen_mode
             ip link set {interface} mtu {MTU} up gso_max_segs 45
             ip address add 10.213.{number}.1/32 dev {interface}
             ip route add 10.213.{peer}.0/24 dev {interface} src 10.213.{number}.1
             ip address add fd50::{number}/128 dev {interface} nodad
             ip route add fd50::{peer} dev {interface} src fd50::{number}"
        ),
    );
    let identity = Identity::new(&key(number));
    let (sender, control) = mpsc::channel(16);
    let shared = Arc::new(Shared::new(identity, sender, Instant::now()));
    let allowed = [format!("10.213.{peer}.0/24"), format!("fd50::{peer}/128")];
    let parts = Parts {
        path: PathId {
            peer: SiteId::new(peer).unwrap(),
            number: path,
        },
        key: key(peer).public(),
        index: switchboard::index(0, path),
        mtu: MTU,
        allowed: allowed.map(|network| network.parse().unwrap()).into(),
        echo_to: Vec::new(),
        merges_marks: true,
    };
    let lane = Arc::new(Lane::new(Tunnel::new(&shared.identity, parts), tun));
    let seat = Seat {
        tunnel: lane.clone(),
        key: key(peer).public(),
        path,
        numbered: true,
        link: 0,
    };
    shared
        .lanes
        .store(Arc::new(Switchboard::new(vec![Some(seat)])));
    let socket = namespace.enter(move || {
        let to = BindTo {
            interface: Some("wan".parse().unwrap()),
            source: BindTo::any(v6),
            port: PORT,
        };
        Ok(UdpSocket::open(&to, Offload::FULL))
    });
    let socket = Arc::new(socket.unwrap().unwrap());
    let (v4, v6) = if v6 {
        (None, Some(socket.clone()))
    } else {
        (Some(socket.clone()), None)
    };
    lane.sockets.store(Arc::new(LinkSockets { v4, v6 }));
    let inbound = Inbound::new(shared.clone(), socket, 0);
    let threads = vec![
        Outbound::new(lane.clone()).start().unwrap(),
        inbound.start("wan").unwrap(),
    ];
    End {
        namespace: namespace.clone(),
        lane,
        shared,
        control,
        _threads: threads,
    }
}

/// Two ends; the first knows where the second is, not the other way round.
fn ends(v6: bool) -> [End; 2] {
    let [a, b] = wired();
    let [a, b] = [end(&a, 1, v6), end(&b, 2, v6)];
    a.lane.tunnel.set_remote(Some(outer(2, v6)));
    [a, b]
}

fn runnable() -> bool {
    lab_can_run() && have("ip", "iproute2")
}

/// What a transfer is to be like.
#[derive(Clone, Copy)]
struct Kind {
    v6: bool,
    bytes: usize,
    /// The sender's largest segment, if not the usual.
    segment: Option<u32>,
    /// Contents are checked, at the cost of processor time.
    checked: bool,
}

impl Kind {
    fn of(megabytes: usize) -> Self {
        Self {
            v6: false,
            bytes: megabytes * 1_000_000,
            segment: None,
            checked: true,
        }
    }
}

/// Sends bytes from one end to the other by one TCP connection. True if they arrived whole.
fn transfer(from: &End, to: &End, port: u16, kind: Kind) -> bool {
    let number = to.lane_number();
    let address: SocketAddr = if kind.v6 {
        format!("[fd50::{number}]:{port}").parse().unwrap()
    } else {
        format!("10.213.{number}.1:{port}").parse().unwrap()
    };
    let (ready, listening) = std::sync::mpsc::sync_channel(1);
    let receiver = to.namespace.run(move || {
        let listener = TcpListener::bind(address).unwrap();
        ready.send(()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        receive(stream, kind)
    });
    listening.recv().unwrap();
    let sender = from.namespace.run(move || send(address, kind));
    sender.join().unwrap().unwrap() == receiver.join().unwrap().unwrap()
}

fn send(to: SocketAddr, kind: Kind) -> (usize, u64) {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(10)).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    if let Some(segment) = kind.segment {
        setsockopt(&stream, sockopt::TcpMaxSeg, &segment).unwrap();
    }
    let mut hash = std::hash::DefaultHasher::new();
    let mut chunk = vec![0; 128 << 10];
    let mut sent = 0;
    while sent < kind.bytes {
        let length = chunk.len().min(kind.bytes - sent);
        if kind.checked {
            for (at, byte) in chunk.iter_mut().enumerate() {
                *byte = (((sent + at) * 0x9e37) >> 8) as u8;
            }
            hash.write(&chunk[..length]);
        }
        stream.write_all(&chunk[..length]).unwrap();
        sent += length;
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    (sent, hash.finish())
}

fn receive(mut stream: TcpStream, kind: Kind) -> (usize, u64) {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut hash = std::hash::DefaultHasher::new();
    let mut chunk = vec![0; 256 << 10];
    let mut received = 0;
    loop {
        let length = stream.read(&mut chunk).unwrap();
        if length == 0 {
            return (received, hash.finish());
        }
        received += length;
        if kind.checked {
            hash.write(&chunk[..length]);
        }
    }
}

impl End {
    /// This end's site number: the peer's other.
    fn lane_number(&self) -> u8 {
        3 - self.lane.tunnel.path().peer.value()
    }

    fn dropped(&self) -> [u64; 5] {
        let counters = &self.lane.tunnel.counters;
        [
            &counters.wrong_source,
            &counters.malformed,
            &counters.unauthentic,
            &counters.no_room,
            &self.shared.strangers,
        ]
        .map(|counter| counter.load(Relaxed))
    }
}

#[test]
fn tcp_crosses_both_ways_at_once_over_both_families_inside_and_outside() {
    if !runnable() {
        return;
    }
    for outer_v6 in [false, true] {
        let [a, b] = ends(outer_v6);
        for v6 in [false, true] {
            let kind = Kind { v6, ..Kind::of(40) };
            thread::scope(|scope| {
                let there = scope.spawn(|| transfer(&a, &b, 7000, kind));
                let back = scope.spawn(|| transfer(&b, &a, 7001, kind));
                assert!(there.join().unwrap(), "the way there, inner IPv6: {v6}");
                assert!(back.join().unwrap(), "the way back, inner IPv6: {v6}");
            });
        }
        for end in [&a, &b] {
            let [wrong_source, malformed, unauthentic, _, strangers] = end.dropped();
            assert_eq!(
                [wrong_source, malformed, unauthentic, strangers],
                [0; 4],
                "outer IPv6: {outer_v6}"
            );
        }
        assert_eq!(b.lane.tunnel.remote(), Some(outer(1, outer_v6)), "learnt");
    }
}

#[test]
fn tcp_crosses_when_the_kernel_gives_single_packets() {
    if !runnable() {
        return;
    }
    let [a, b] = ends(false);
    for end in [&a, &b] {
        shell(&end.namespace, "ip link set pw-there-1 gso_max_segs 1");
    }
    assert!(transfer(&a, &b, 7000, Kind::of(20)));
}

#[test]
fn a_superpacket_of_more_segments_than_fit_does_not_end_the_path() {
    if !runnable() {
        return;
    }
    let [a, b] = ends(false);
    // Somebody undid the limit, and the far end asks for tiny segments.
    shell(&a.namespace, "ip link set pw-there-1 gso_max_segs 65535");
    let tiny = Kind {
        segment: Some(200),
        ..Kind::of(2)
    };
    assert!(transfer(&a, &b, 7000, tiny), "tiny segments");
    assert!(transfer(&a, &b, 7001, Kind::of(10)), "afterwards");
}

#[test]
fn a_tun_that_was_down_carries_again_when_it_is_up() {
    if !runnable() {
        return;
    }
    let [a, b] = ends(false);
    assert!(transfer(&a, &b, 7000, Kind::of(1)));
    shell(&b.namespace, "ip link set pw-there-1 down");
    let mut out = [0; 256];
    let packet = b"E\0\0\x14\0\0\0\0\x40\xfe\0\0\x0a\xd5\x01\x01\x0a\xd5\x02\x01";
    let length = a.lane.tunnel.seal_control(packet, &mut out).unwrap();
    a.lane.send(&out[..length]);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(
        b.dropped()[3],
        1,
        "a packet for a TUN that is down is counted"
    );
    shell(
        &b.namespace,
        "ip link set pw-there-1 up
         ip route add 10.213.1.0/24 dev pw-there-1 src 10.213.2.1",
    );
    assert!(transfer(&a, &b, 7001, Kind::of(1)));
}

/// Three small packets into the tunnel.
fn speak(end: &End) {
    let said = end.namespace.enter(|| {
        let socket = std::net::UdpSocket::bind("10.213.1.1:0")?;
        for _ in 0..3 {
            socket.send_to(b"hello", "10.213.2.1:9")?;
        }
        Ok(())
    });
    said.unwrap();
    thread::sleep(Duration::from_millis(100));
}

#[test]
fn without_a_way_to_send_packets_are_counted_and_nothing_blocks() {
    if !runnable() {
        return;
    }
    let [a, b] = ends(false);
    a.lane.tunnel.set_remote(None);
    speak(&a);
    assert_eq!(a.dropped()[3], 3, "no endpoint");
    a.lane.tunnel.set_remote(Some(outer(2, false)));
    let sockets = a.lane.sockets.swap(Arc::default());
    speak(&a);
    assert_eq!(a.dropped()[3], 6, "no socket");
    a.lane.sockets.store(sockets);
    assert!(transfer(&a, &b, 7000, Kind::of(1)));
}

#[test]
fn random_and_truncated_datagrams_are_counted_and_answered_by_silence() {
    if !runnable() {
        return;
    }
    let [a, b] = ends(false);
    assert!(transfer(&a, &b, 7000, Kind::of(1)));
    let before = b.dropped();
    let wrong = a.namespace.enter(|| {
        let socket = std::net::UdpSocket::bind("192.0.2.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        for length in 0..400usize {
            let mut datagram: Vec<_> = (0..length).map(|at| (at * 31 + length) as u8).collect();
            if length >= 4 && length % 2 == 0 {
                datagram[..4].copy_from_slice(&[(length % 5) as u8, 0, 0, 0]);
            }
            socket.send_to(&datagram, "192.0.2.2:51820")?;
        }
        Ok(socket.recv(&mut [0; 100]).is_ok())
    });
    assert!(!wrong.unwrap(), "a stranger was answered");
    let counted: u64 = b.dropped().iter().sum::<u64>() - before.iter().sum::<u64>();
    assert_eq!(counted, 400, "{:?}", b.dropped());
    assert!(transfer(&a, &b, 7001, Kind::of(1)), "afterwards");
}

#[test]
fn a_flood_of_control_packets_is_bounded_and_counted() {
    if !runnable() {
        return;
    }
    let [a, mut b] = ends(false);
    assert!(transfer(&a, &b, 7000, Kind::of(1)));
    let packet = b"E\0\0\x14\0\0\0\0\x40\xfd\0\0\x0a\xd5\x01\x01\x0a\xd5\x02\x01";
    for _ in 0..100 {
        let mut out = [0; 256];
        let length = a.lane.tunnel.seal_control(packet, &mut out).unwrap();
        a.lane.send(&out[..length]);
    }
    thread::sleep(Duration::from_millis(200));
    let mut taken = 0;
    while b.control.try_recv().is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 16);
    assert_eq!(b.shared.lost_control.load(Relaxed), 84);
}

/// Not asserted: a figure to look at.
#[test]
fn one_stream_is_measured() {
    if !runnable() {
        return;
    }
    let [a, b] = ends(false);
    let kind = Kind {
        checked: false,
        ..Kind::of(2000)
    };
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        time as f64 / 1e6
    };
    let (start, before) = (Instant::now(), used());
    assert!(transfer(&a, &b, 7000, kind));
    let gigabytes = kind.bytes as f64 / 1e9;
    println!(
        "one stream: {:.2} Gbit/s, {:.2} CPU-s/GB, drops {:?} {:?}",
        gigabytes * 8.0 / start.elapsed().as_secs_f64(),
        (used() - before) / gigabytes,
        a.dropped(),
        b.dropped(),
    );
}
