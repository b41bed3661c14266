//! The fast path where the kernel denies it something: every fallback carries, is chosen at run
//! time, and is seen in the status.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a test: what is missing shall fail it, and it lives by the clock"
)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::internet::Access;
use lab::laboratory::Family;
use lab::namespace::Namespace;
use lab::programs::{have, lab_can_run};
use lab::transfer::{self, Progress, Transfer};
use lab::{Isp, Lab};
use nix::poll::{PollFd, PollFlags, poll};
use pathweaved::carrier::udp::{BindTo, Inbox, Offload, UdpSocket};
use pathweaved::control;
use pathweaved::packet::batch::Row;
use pathweaved::packet::ecn::Ecn;

fn moved(lab: &Lab, megabytes: u64) {
    let transfer = Transfer {
        family: Family::V4,
        ..Transfer::of(megabytes)
    };
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap();
    println!("{:.1} Mbit/s", outcome.rate());
    assert!(outcome.intact && outcome.mptcp);
}

fn offload(lab: &Lab, site: usize) -> control::Offload {
    lab.sites[site].home.status().unwrap().peers[0].paths[0].offload
}

#[test]
fn one_packet_at_a_time_carries_too_and_the_status_says_so() {
    if !lab_can_run() {
        return;
    }
    for (at, slow) in [("", [false, false]), ("offload = false,", [true, true])] {
        let mut lab = Lab::two_sites(&[Isp::new(50, 10), Isp::new(50, 10)]).unwrap();
        lab.edit_fleet(|text| text.replace("{ name", &format!("{{ {at} name")))
            .unwrap();
        lab.start().unwrap();
        moved(&lab, 20);
        for (site, slow) in slow.into_iter().enumerate() {
            let used = offload(&lab, site);
            println!("{used:?}");
            assert_eq!((used.tun, used.receive), (!slow, !slow));
            assert_eq!(used.send_segments, if slow { 1 } else { 64 });
            assert!(used.socket_buffer >= 200_000, "{used:?}");
        }
    }
}

#[test]
fn only_one_end_without_offloads_understands_the_other() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(50, 10)]).unwrap();
    lab.edit_fleet(|text| text.replacen("{ name", "{ offload = false, name", 1))
        .unwrap();
    lab.start().unwrap();
    assert!(!offload(&lab, 0).tun && offload(&lab, 1).tun);
    moved(&lab, 20);
}

/// Two sockets on the loopback of a namespace, what the first sends, and what the second gets.
struct Loop {
    sockets: [UdpSocket; 2],
    to: SocketAddr,
}

impl Loop {
    fn new(namespace: &Namespace, from: Offload, to: Offload) -> Self {
        let open = |port: u16, allowed: Offload| {
            let bind = BindTo {
                interface: None,
                source: Ipv4Addr::LOCALHOST.into(),
                port,
            };
            namespace
                .enter(move || Ok(UdpSocket::open(&bind, allowed).unwrap()))
                .unwrap()
        };
        Self {
            sockets: [open(1001, from), open(1002, to)],
            to: (Ipv4Addr::LOCALHOST, 1002).into(),
        }
    }

    /// Sends datagrams of these lengths as one batch: how many arrive.
    fn carry(&self, lengths: &[usize]) -> usize {
        let mut row = Row::new(lengths.len(), lengths.iter().sum());
        for (at, length) in lengths.iter().enumerate() {
            row.spare()[..*length].fill(at as u8);
            row.commit(*length, Ecn::NotEct);
        }
        if let Err(error) = self.sockets[0].send(&row, self.to) {
            println!("{error}");
        }
        let (mut inbox, mut arrived) = (Inbox::default(), 0);
        while readable(&self.sockets[1]) {
            for message in inbox.receive(&self.sockets[1]).unwrap() {
                arrived += message.datagrams.len();
            }
        }
        arrived
    }
}

fn readable(socket: &UdpSocket) -> bool {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, 100u8).unwrap() > 0
}

#[test]
fn each_offload_of_a_socket_may_be_missing_alone() {
    if !lab_can_run() {
        return;
    }
    let namespace = Namespace::new().unwrap();
    let no_segments = Offload {
        segments: 1,
        ..Offload::FULL
    };
    let no_receive = Offload {
        receive: false,
        ..Offload::FULL
    };
    for from in [Offload::FULL, no_segments, Offload::NONE] {
        for to in [Offload::FULL, no_receive, Offload::NONE] {
            let carrier = Loop::new(&namespace, from, to);
            assert_eq!(carrier.carry(&[1000; 64]), 64, "{from:?} → {to:?}");
            assert_eq!(
                carrier.carry(&[1000, 1000, 10, 500]),
                4,
                "{from:?} → {to:?}"
            );
            assert_eq!(carrier.sockets[0].offload().segments, from.segments);
            assert_eq!(carrier.sockets[1].offload().receive, to.receive);
        }
    }
}

#[test]
fn small_socket_buffers_lose_packets_and_nothing_else() {
    if !lab_can_run() {
        return;
    }
    let small = Offload {
        buffer: 8192,
        ..Offload::FULL
    };
    let carrier = Loop::new(&Namespace::new().unwrap(), small, small);
    let used = carrier.sockets[1].offload();
    assert!(used.buffer < 100_000, "{used:?}");
    let arrived = carrier.carry(&[1000; 512]);
    println!("{arrived} of 512 arrived");
    assert!(arrived < 512, "the buffers are not small");
    assert_eq!(carrier.carry(&[1000]), 1, "the next one is unharmed");
}

#[test]
fn a_batch_that_the_kernel_refuses_goes_one_by_one() {
    if !lab_can_run() {
        return;
    }
    let namespace = Namespace::new().unwrap();
    let carrier = Loop::new(&namespace, Offload::FULL, Offload::FULL);
    assert_eq!(carrier.carry(&[100; 50]), 50);
    assert!(lab::sys::without_checksums(&carrier.sockets[0].as_fd()));
    assert_eq!(carrier.carry(&[100; 50]), 50);
    let used = carrier.sockets[0].offload();
    assert_eq!(used.segments, 1, "it is not tried again on this socket");
    assert_eq!(carrier.carry(&[100; 50]), 50);
    drop(carrier);
    // A segment above the MTU: EMSGSIZE for it alone.
    namespace.shell("ip link set lo mtu 1400");
    let carrier = Loop::new(&namespace, Offload::FULL, Offload::FULL);
    assert_eq!(carrier.carry(&[1452, 1452, 100]), 1, "the one that fits");
    assert_eq!(carrier.carry(&[1300; 40]), 40);
    assert_eq!(
        carrier.sockets[0].offload().segments,
        64,
        "others still go together"
    );
}

#[test]
fn marks_of_congestion_on_the_carrier_reach_the_sender_of_the_stream() {
    if !(lab_can_run() && have("nft", "nftables")) {
        return;
    }
    for family in [Family::V4, Family::V6] {
        let mut lab = Lab::new(2, &[Isp::new(50, 10)], family, "").unwrap();
        for site in &lab.sites {
            site.namespace()
                .set_sysctl("net/ipv4/tcp_ecn", "1")
                .unwrap();
        }
        lab.start().unwrap();
        let mark = if family == Family::V4 { "ip" } else { "ip6" };
        lab.sites[1].namespace().shell(&format!(
            "nft 'table inet router {{ chain c {{ type filter hook prerouting priority -300; \
             iifname isp1 udp dport 51820 {mark} ecn ect0 {mark} ecn set ce; }}; }}'"
        ));
        let transfer = Transfer {
            family,
            ..Transfer::of(5)
        };
        let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap();
        assert!(outcome.intact);
        let heard = counter(lab.sites[0].namespace(), "TCPDeliveredCE");
        println!("{family:?}: the sender heard of {heard} marked packets");
        assert!(heard > 0, "TCP was not told");
    }
}

/// One of the kernel's further TCP counters in a namespace.
fn counter(namespace: &Namespace, name: &str) -> u64 {
    column(&namespace.shell("cat /proc/net/netstat"), "TcpExt:", name)
}

/// A line of names, and below it a line of values.
fn column(text: &str, table: &str, name: &str) -> u64 {
    let lines: Vec<Vec<_>> = text
        .lines()
        .filter(|line| line.starts_with(table))
        .map(|line| line.split(' ').collect())
        .collect();
    let place = lines[0].iter().position(|word| *word == name).unwrap();
    lines[1][place].parse().unwrap()
}

/// Processor time of a process, in seconds.
fn processor_time(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 / 1e9
}

#[test]
fn what_takes_a_device_away_in_bulk_costs_no_processor_and_traffic_resumes() {
    if !(lab_can_run() && have("ip", "iproute2")) {
        return;
    }
    let harm = [
        ("ip link set pw-tainan-1 down", "ip link set pw-tainan-1 up"),
        (
            "ip link set pw-tainan-1 mtu 1300",
            "ip link set pw-tainan-1 mtu 1420",
        ),
        (
            "ip link set pw-tainan-1 mtu 9000",
            "ip link set pw-tainan-1 mtu 1420",
        ),
        (
            "ip link set isp1 down",
            "ip link set isp1 up; ip route add default dev isp1 metric 101",
        ),
        ("ip link del pw-tainan-1", "true"),
    ];
    let mut lab = Lab::two_sites(&[Isp::new(100, 10)]).unwrap();
    lab.start().unwrap();
    for (harm, mend) in harm {
        let (near, far) = (&lab.sites[0], &lab.sites[1]);
        let pid = near.daemon.as_ref().unwrap().pid();
        let namespace = near.namespace().clone();
        let harmed = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            namespace.shell(harm);
            std::thread::sleep(Duration::from_millis(500));
            let (start, before) = (Instant::now(), processor_time(pid));
            std::thread::sleep(Duration::from_secs(1));
            let busy = (processor_time(pid) - before) / start.elapsed().as_secs_f64();
            namespace.shell(mend);
            busy
        });
        let outcome = transfer::run(&Transfer::of(25), near, far, |_| {}).unwrap();
        let busy = harmed.join().unwrap();
        println!(
            "{harm}: {:.1} % of a processor, longest stall {:?}",
            busy * 100.0,
            outcome.longest_stall()
        );
        assert!(outcome.intact, "after {harm}");
        let stalled = outcome.longest_stall() > Duration::from_secs(1);
        assert!(!stalled || busy < 0.05, "{harm}: it spins");
        near.home.wait_until_all_up();
    }
}

/// Megabytes to move; `PATHWEAVE_BULK_MB=10000` is the long version.
fn bulk() -> u64 {
    let asked = std::env::var("PATHWEAVE_BULK_MB").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1000)
}

#[test]
fn a_long_transfer_over_bad_unequal_links_is_intact_to_the_last_checksum() {
    if !lab_can_run() {
        return;
    }
    let isps = [(500, 4), (300, 6), (150, 8)];
    let mut lab = Lab::two_sites(&isps.map(|(rate, delay)| Isp::new(rate, delay))).unwrap();
    for site in &lab.sites {
        // cubic takes each loss for congestion: it would test patience.
        let bbr = site
            .namespace()
            .set_sysctl("net/ipv4/tcp_congestion_control", "bbr");
        if let Err(error) = bbr {
            println!("no bbr on this machine ({error}): slower");
        }
    }
    lab.start().unwrap();
    let transfer = Transfer::of(bulk());
    // Once it has begun: a handshake that loses its last ACK *and* its first data is plain TCP.
    let worse = |_: &Progress| {
        lab.sites
            .iter()
            .flat_map(|site| &site.links)
            .for_each(spoil)
    };
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], worse).unwrap();
    let paths = &lab.sites[0].home.status().unwrap().peers[0].paths;
    let sent: Vec<_> = paths.iter().map(|path| path.tx_bytes / 1_000_000).collect();
    println!(
        "{} MB in {:?}, {:.0} Mbit/s, per path {sent:?} MB, longest stall {:?}",
        bulk(),
        outcome.duration,
        outcome.rate(),
        outcome.longest_stall()
    );
    assert!(outcome.intact && outcome.mptcp);
    for site in &lab.sites {
        for name in ["InCsumErrors", "InErrs"] {
            let bad = snmp(site.namespace(), name);
            assert_eq!(bad, 0, "{}: TCP counted {name}", site.name);
        }
        let dropped = site.home.status().unwrap().peers[0]
            .paths
            .iter()
            .map(|p| p.dropped.malformed)
            .sum::<u64>();
        assert_eq!(dropped, 0, "{}: malformed inner packets", site.name);
    }
}

/// Each packet passes two such lines: 0.5 % in all.
fn spoil(link: &Arc<Access>) {
    link.set(|line| (line.loss, line.duplicate, line.reorder) = (0.0025, 0.0025, 0.0025));
}

/// One of TCP's counters of /proc/net/snmp.
fn snmp(namespace: &Namespace, name: &str) -> u64 {
    column(&namespace.shell("cat /proc/net/snmp"), "Tcp:", name)
}
