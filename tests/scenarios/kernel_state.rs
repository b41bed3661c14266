//! Nothing of ours remains after a stop, after a crash and a clean-up, after a crash and another
//! start; what is not ours stays; nothing leaks meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing shall fail it"
)]

use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

use lab::laboratory::Family;
use lab::namespace::Namespace;
use lab::programs::{have, lab_can_run};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};

/// Everything that the daemon might touch, as the operator's own tools show it.
const LOOKS: [&str; 11] = [
    "ip -d link",
    "ip addr show lo",
    "ip rule",
    "ip -6 rule",
    "ip route show table all",
    "ip -6 route show table all",
    "ip mptcp endpoint",
    "ip mptcp limits",
    "nft list ruleset",
    "cat /proc/sys/net/mptcp/enabled /proc/sys/net/mptcp/blackhole_timeout \
     /proc/sys/net/mptcp/syn_retrans_before_tcp_fallback",
    "cat /proc/sys/net/ipv4/tcp_rmem /proc/sys/net/ipv4/tcp_wmem",
];

fn look(namespace: &Namespace) -> String {
    LOOKS
        .map(|line| format!("── {line}\n{}", namespace.shell(line)))
        .concat()
}

fn can_run() -> bool {
    lab_can_run() && have("nft", "nftables") && have("ip", "iproute2")
}

fn three() -> Vec<Isp> {
    vec![Isp::new(50, 10); 3]
}

/// Objects of other programs, close to ours.
const ALIENS: [&str; 7] = [
    "ip addr add 10.99.0.1/32 dev lo",
    "ip route add 10.98.0.0/16 dev isp1 proto static",
    "ip route add 10.97.0.0/16 dev isp2 proto 184 table 51802",
    "ip rule add from 10.99.0.1 lookup 100 priority 5181",
    "ip mptcp endpoint add 198.18.1.1 dev isp1 subflow",
    "nft add table inet somebody",
    "ip tuntap add pw-alien mode tun",
];

#[test]
fn stop_crash_and_cleanup_leave_the_machine_as_it_was() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    let namespace = lab.sites[0].namespace().clone();
    ALIENS.iter().for_each(|line| drop(namespace.shell(line)));
    let before = look(&namespace);
    lab.start().unwrap();
    let running = look(&namespace);
    assert_ne!(running, before);
    assert!(
        running.contains("pw-alien"),
        "another program's device is gone"
    );

    lab.sites[0].daemon.take().unwrap().stop().unwrap();
    similar_asserts(&look(&namespace), &before, "after a stop");

    let daemon = lab.sites[0].home.start().unwrap();
    lab.sites[0].home.wait_until_all_up();
    daemon.kill().unwrap();
    let output = lab.sites[0].home.run("--cleanup").unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    similar_asserts(&look(&namespace), &before, "after a crash and --cleanup");
    assert!(
        lab.sites[0].home.run("--cleanup").unwrap().status.success(),
        "a second --cleanup"
    );

    let daemon = lab.sites[0].home.start().unwrap();
    lab.sites[0].home.wait_until_all_up();
    daemon.kill().unwrap();
    let daemon = lab.sites[0].home.start().unwrap();
    lab.sites[0].home.wait_until_all_up();
    daemon.stop().unwrap();
    similar_asserts(
        &look(&namespace),
        &before,
        "after a crash, a start and a stop",
    );
}

fn similar_asserts(now: &str, before: &str, when: &str) {
    let missing: Vec<_> = before.lines().filter(|line| !now.contains(line)).collect();
    let left: Vec<_> = now.lines().filter(|line| !before.contains(line)).collect();
    assert!(
        now == before,
        "{when}: missing {missing:#?}, left behind {left:#?}"
    );
}

#[test]
fn what_somebody_deletes_is_put_back() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    lab.start().unwrap();
    let namespace = lab.sites[0].namespace();
    let state = |namespace: &Namespace| {
        let looks = [
            "ip rule",
            "ip route show table all",
            "ip addr show lo",
            "nft list ruleset",
        ];
        let text = looks.map(|line| namespace.shell(line)).concat();
        // What is put back stands behind the others of its kind.
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines.join("\n")
    };
    let before = state(namespace);
    for line in [
        "ip rule del priority 5182",
        "ip route flush proto 183",
        "ip route flush table 51802",
        "ip addr del 10.213.1.2/32 dev lo",
    ] {
        namespace.shell(line);
        std::thread::sleep(Duration::from_secs(1));
        similar_asserts(&state(namespace), &before, line);
    }
}

#[test]
fn no_overlay_packet_is_seen_by_an_isp_whatever_happens() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    // As NetworkManager makes them: endpoints on the ISP's address, announced and not.
    for (site, line) in [
        (0, "ip mptcp limits set subflows 8 add_addr_accepted 4"),
        (1, "ip mptcp limits set subflows 8 add_addr_accepted 4"),
        (0, "ip mptcp endpoint add 198.18.1.1 dev isp1 subflow"),
        (0, "ip mptcp endpoint add 198.18.2.1 subflow"),
        (1, "ip mptcp endpoint add 198.18.1.2 signal"),
    ] {
        lab.sites[site].namespace().shell(line);
    }
    lab.start().unwrap();
    for family in [Family::V4, Family::V6] {
        let transfer = Transfer {
            family,
            ..Transfer::of(20)
        };
        let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap();
        assert!(outcome.intact && outcome.mptcp);
        let established = outcome.subflows.iter().filter(|s| s.established).count();
        println!("{family:?} with alien endpoints: {established} subflows");
        assert_eq!(established, 3, "{:?}", outcome.subflows);
    }
    assert_eq!(
        lab.cleartext(),
        Vec::<String>::new(),
        "alien endpoints leaked"
    );

    let namespace = lab.sites[0].namespace().clone();
    let mut deleted = false;
    let outcome = transfer::run(
        &Transfer::of(60),
        &lab.sites[0],
        &lab.sites[1],
        |progress| {
            if progress.elapsed > Duration::from_secs(1) && !deleted {
                namespace.shell("ip link del pw-tainan-2");
                deleted = true;
            }
        },
    );
    assert!(outcome.unwrap().intact);
    assert_eq!(
        lab.cleartext(),
        Vec::<String>::new(),
        "a deleted tunnel device leaked"
    );
    lab.sites[0].home.wait_until_all_up();
    println!("the deleted device is back");

    lab.sites[0].daemon.take().unwrap().kill().unwrap();
    poke(&namespace, "10.213.2.1:9");
    namespace.shell("ip route flush proto 183; ip -6 route flush proto 183");
    poke(&namespace, "10.213.2.1:9");
    poke(&namespace, "[fd50:7761:7665:2::1]:9");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "kill -9 leaked");
}

/// Sends a datagram; that it may be refused is the point.
fn poke(namespace: &Namespace, to: &'static str) {
    let send = move || {
        let any = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let socket = UdpSocket::bind(any)?;
        println!("a datagram to {to}: {:?}", socket.send_to(b"secret", to));
        Ok(())
    };
    namespace.enter(send).unwrap();
}

#[test]
fn the_guard_stops_what_is_forwarded_out_and_what_comes_in_from_outside() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    lab.start().unwrap();
    let site = lab.sites[0].namespace().clone();
    // A host of the site's own network, that uses the site as its router.
    let lan = Namespace::new().unwrap();
    let mut holder = lan
        .command("sleep")
        .unwrap()
        .arg("60")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = holder.id();
    site.shell(&format!(
        "ip link add lan0 type veth peer name eth0 netns {pid}"
    ));
    site.shell("ip addr add 192.168.7.1/24 dev lan0; ip link set lan0 up");
    lan.shell("ip addr add 192.168.7.2/24 dev eth0; ip link set eth0 up");
    lan.shell("ip route add default via 192.168.7.1");
    site.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
    // The daemon is dead and the routes are gone: only the guard is left.
    lab.sites[0].daemon.take().unwrap().kill().unwrap();
    site.shell("ip route flush proto 183");
    poke(&lan, "10.213.2.1:9");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        lab.cleartext(),
        Vec::<String>::new(),
        "a forwarded packet leaked"
    );

    lab.route_overlay(lab.sites[0].address(Family::V4), 0, 0);
    lab.sites[1].daemon.take().unwrap().stop().unwrap();
    let outside = lab.sites[1].namespace().clone();
    let knock = |expected: bool| {
        let listen = || UdpSocket::bind("10.213.1.1:9999");
        let socket = site.enter(listen).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        poke(&outside, "10.213.1.1:9999");
        let came = socket.recv(&mut [0; 16]).is_ok();
        assert_eq!(came, expected, "a packet from an ISP to the overlay");
    };
    knock(false);
    // The test has teeth: without the guard both happen.
    site.shell("nft delete table inet pathweave");
    knock(true);
    let before = lab.cleartext().len();
    poke(&lan, "10.213.2.1:9");
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        lab.cleartext().len() > before,
        "nothing leaked without the guard either"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn an_idle_daemon_with_three_paths_stays_small() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    lab.start().unwrap();
    let pid = lab.sites[0].daemon.as_ref().unwrap().pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("idle with 1 peer and 3 paths: {kib} KiB resident");
    assert!(kib <= 25 << 10, "{kib} KiB");
}
