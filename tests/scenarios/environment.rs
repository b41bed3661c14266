//! A machine that lacks something: every refusal names the object and the remedy, has its exit
//! code, and changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing shall fail it"
)]

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::process::Output;
use std::time::Duration;

use lab::laboratory::outer;
use lab::namespace::Namespace;
use lab::programs::{have, lab_can_run};
use lab::{Isp, Lab};
use pathweaved::control::PathState;

fn two() -> Lab {
    Lab::two_sites(&[Isp::new(50, 10), Isp::new(50, 10)]).unwrap()
}

/// The daemon refuses to start: exit code and what the operator reads.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    println!("exit {:?}: {}", output.status.code(), said.trim());
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

fn untouched(namespace: &Namespace) {
    let seen = namespace.shell("ip rule; ip route show table all; ip addr show lo; ip link");
    assert!(
        !seen.contains("10.213") && !seen.contains("pw-tainan"),
        "something was left: {seen}"
    );
}

#[test]
fn a_second_daemon_says_so_and_exits() {
    if !lab_can_run() {
        return;
    }
    let mut lab = two();
    lab.start().unwrap();
    let home = &lab.sites[0].home;
    let second = home
        .namespace
        .command(lab::daemon::binary("pathweaved"))
        .unwrap();
    let mut second = second;
    let fleet = home.folder.with_file_name("fleet.toml");
    let at = |name: &str| home.folder.join(name);
    second
        .arg("--config")
        .arg(fleet)
        .arg("--key")
        .arg(at("private.key"));
    second.arg("--state-dir").arg(at("state"));
    let mut same = second;
    let output = same.arg("--runtime-dir").arg(at("run")).output().unwrap();
    refused(&output, 1, &["another pathweaved (pid", "--runtime-dir"]);
    let output = same
        .arg("--runtime-dir")
        .arg(at("elsewhere"))
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(0));
    home.wait_until_all_up();
}

#[test]
fn what_the_machine_lacks_is_named_with_its_remedy() {
    if !lab_can_run() {
        return;
    }
    let lab = two();
    let home = &lab.sites[0].home;
    let namespace = &home.namespace;
    let run = || home.run("--").unwrap();

    let address: IpAddr = outer(1, 1).0.into();
    let taken = namespace
        .enter(move || UdpSocket::bind((address, 51820)))
        .unwrap();
    refused(&run(), 1, &["UDP port 51820 is in use", "listen_port"]);
    drop(taken);

    namespace.shell("ip tuntap add pw-tainan-1 mode tun");
    refused(&run(), 1, &["pw-tainan-1 exists and is no TUN of ours"]);
    namespace.shell("ip link del pw-tainan-1");
    untouched(namespace);

    let key = home.folder.join("private.key");
    let mode = |bits| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(bits);
        fs::set_permissions(&key, permissions).unwrap();
    };
    mode(0o644);
    refused(&run(), 5, &["may be read by others", "chmod 600"]);
    mode(0o600);

    let fleet = home.folder.with_file_name("fleet.toml");
    let good = fs::read_to_string(&fleet).unwrap();
    fs::write(&fleet, good.replace("id = 2", "id = 1")).unwrap();
    refused(&run(), 5, &["fleet.toml:", "has the id 1 already", "help:"]);
    refused(&home.run("--check").unwrap(), 5, &["has the id 1 already"]);
    fs::write(&fleet, good.replace("public_key", "publik_key")).unwrap();
    refused(&run(), 5, &["did you mean `public_key`?"]);
    fs::write(&fleet, &good).unwrap();
    assert!(home.run("--check").unwrap().status.success());
    refused(&home.run("--nonsense").unwrap(), 2, &["--nonsense"]);
    untouched(namespace);
}

/// What is taken from the machine, and what the operator reads then.
const LACKS: [(&str, &[&str], i32, &[&str]); 5] = [
    (
        "mount -t tmpfs none /proc/sys/net",
        &[],
        1,
        &["has no MPTCP", "kernel of 5.16 or later"],
    ),
    (
        "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        &[],
        1,
        &["net.mptcp.enabled", "read-only", "on the host"],
    ),
    (
        "mount --bind /dev/null \"$(command -v nft || echo /usr/sbin/nft)\"",
        &[],
        1,
        &["needs `nft`", "package nftables", "leak_guard = false"],
    ),
    (
        "mount -t tmpfs none /dev/net",
        &[],
        1,
        &["/dev/net/tun does not exist", "modprobe tun"],
    ),
    (
        "true",
        &["setpriv", "--bounding-set=-net_admin"],
        4,
        &["run as root or with CAP_NET_ADMIN"],
    ),
];

#[test]
fn a_machine_without_mptcp_nft_tun_or_rights_is_left_as_it_was() {
    if !lab_can_run() {
        return;
    }
    let lab = two();
    let home = &lab.sites[0].home;
    home.namespace.set_sysctl("net/mptcp/enabled", "0").unwrap();
    for (poorer, wrapper, code, words) in LACKS {
        println!("{poorer} {}", wrapper.join(" "));
        refused(&home.run_without(poorer, wrapper).unwrap(), code, words);
        untouched(&home.namespace);
        let mptcp = home.namespace.sysctl("net/mptcp/enabled").unwrap();
        assert_eq!(mptcp, "0", "the sysctl was not put back");
    }
    let daemon = home.start().unwrap();
    home.wait_until("it runs", Duration::from_secs(10), |_| true);
    let mptcp = home.namespace.sysctl("net/mptcp/enabled").unwrap();
    assert_eq!(mptcp, "1", "switched on while the daemon runs");
    daemon.stop().unwrap();
    let mptcp = home.namespace.sysctl("net/mptcp/enabled").unwrap();
    assert_eq!(mptcp, "0", "put back after a stop");
}

#[test]
fn the_cli_says_when_no_daemon_answers() {
    if !lab_can_run() {
        return;
    }
    let lab = two();
    let output = lab.sites[0].home.cli(&["status"]).unwrap();
    refused(
        &output,
        3,
        &["no daemon answers", "systemctl status pathweaved"],
    );
}

#[test]
fn the_cli_names_the_peers_and_paths_that_there_are() {
    if !lab_can_run() {
        return;
    }
    let mut lab = two();
    lab.start().unwrap();
    let cli = |arguments: &[&str]| lab.sites[0].home.cli(arguments).unwrap();
    refused(
        &cli(&["path", "down", "osaka", "1"]),
        1,
        &["the peers are: tainan"],
    );
    refused(
        &cli(&["path", "down", "tainan", "7"]),
        1,
        &["its paths are: 1, 2"],
    );
    assert_eq!(cli(&["status"]).status.code(), Some(0));
    assert_eq!(cli(&["path", "down", "tainan", "2"]).status.code(), Some(0));
    for site in &lab.sites {
        site.home.wait_until(
            "path 2 is down at both ends",
            Duration::from_secs(3),
            |status| status.peers[0].paths[1].state != PathState::Up,
        );
    }
    assert_eq!(cli(&["path", "up", "tainan", "2"]).status.code(), Some(0));
    lab.sites[1].home.wait_until_all_up();
}

#[test]
fn a_device_that_does_not_exist_yet_is_awaited() {
    if !(lab_can_run() && have("ip", "iproute2")) {
        return;
    }
    let mut lab = two();
    lab.edit_fleet(|text| text.replacen("interface = \"isp2\"", "interface = \"late0\"", 1))
        .unwrap();
    for site in &mut lab.sites {
        site.daemon = Some(site.home.start().unwrap());
    }
    let home = &lab.sites[0].home;
    let status = home.wait_until("path 1 is up", Duration::from_secs(10), |status| {
        status.peers[0].paths[0].state == PathState::Up
    });
    let path = &status.peers[0].paths[1];
    println!("{:?}: {:?}", path.state, path.reason);
    assert_eq!(path.reason.as_deref(), Some("device late0 does not exist"));
    home.namespace
        .shell("ip link set isp2 down; ip link set isp2 name late0; ip link set late0 up");
    home.namespace
        .shell("ip route add default dev late0 metric 102");
    home.wait_until_all_up();
}

#[test]
fn random_and_truncated_datagrams_are_answered_by_silence() {
    if !lab_can_run() {
        return;
    }
    let mut lab = two();
    lab.start().unwrap();
    let (from, to): (IpAddr, IpAddr) = (outer(1, 2).0.into(), outer(1, 1).0.into());
    let far = lab.sites[1].namespace().clone();
    let socket = far.enter(move || UdpSocket::bind((from, 5555))).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut bytes: Vec<u8> = (0..1400u32).map(|n| (n * 7 + 3).to_le_bytes()[0]).collect();
    for length in [
        0, 1, 3, 4, 15, 16, 31, 32, 63, 64, 91, 92, 147, 148, 149, 1400,
    ] {
        for kind in 0..6u8 {
            if length >= 4 {
                bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
            }
            socket.send_to(&bytes[..length], (to, 51820)).unwrap();
        }
    }
    assert!(
        socket.recv(&mut [0; 2000]).is_err(),
        "a stranger was answered"
    );
    lab.sites[0].home.wait_until_all_up();
}
