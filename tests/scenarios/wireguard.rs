//! Plain WireGuard at the far end, in both roles: two of its interfaces share one key.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it"
)]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use lab::laboratory::{Family, outer};
use lab::namespace::Namespace;
use lab::programs::{Background, have, lab_can_run, skipped, start};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};

/// Who dials.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    WeInitiate,
    TheyInitiate,
}

/// Plain WireGuard at tainan: two interfaces share one key, the third has its own.
struct Foreign {
    namespace: Namespace,
    folder: tempfile::TempDir,
    role: Role,
    outside: Family,
    mtu: u16,
    /// Public keys: the shared one, the third interface's own.
    keys: [String; 2],
    running: Vec<Background>,
}

impl Foreign {
    fn new(namespace: &Namespace, role: Role, outside: Family, mtu: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let path = folder.path().join(name).display().to_string();
            let line = format!("umask 077; wg genkey > {path}; wg pubkey < {path}");
            namespace.shell(&line).trim().to_owned()
        };
        let keys = ["shared", "own"].map(key);
        Self {
            namespace: namespace.clone(),
            folder,
            role,
            outside,
            mtu,
            keys,
            running: Vec::new(),
        }
    }

    /// Interface k, with `ours` as its only peer.
    fn start(&mut self, prefix: &str, k: u8, ours: &str) {
        // wireguard-go's control sockets share one folder, whatever the network namespace.
        let device = format!("{prefix}{}x{k}", std::process::id());
        self.running
            .push(start(&self.namespace, "wireguard-go", &["-f", &device]));
        std::thread::sleep(Duration::from_millis(300));
        let key = self
            .folder
            .path()
            .join(if k == 3 { "own" } else { "shared" });
        let dial = match self.role {
            Role::WeInitiate => String::new(),
            Role::TheyInitiate => {
                let endpoint = self.endpoint(k, 1, 51820);
                format!("endpoint {endpoint} persistent-keepalive 1")
            }
        };
        let (port, key) = (51820 + u16::from(k), key.display());
        let wg = format!(
            "wg set {device} listen-port {port} private-key {key} peer {ours} allowed-ips \
             10.213.1.0/24 {dial}"
        );
        self.namespace.shell(&wg);
        let mtu = self.mtu;
        let ip = format!(
            "ip addr add 10.213.2.{k}/32 dev {device}; ip link set {device} mtu {mtu} up; ip \
             route add 10.213.1.{k}/32 dev {device}"
        );
        self.namespace.shell(&ip);
    }

    /// Starts as many interfaces as the lab has ISPs, takes tainan's place in the fleet file, and
    /// starts nara.
    fn join(&mut self, lab: &mut Lab, prefix: &str) {
        let links = u8::try_from(lab.isps.len()).unwrap();
        let described = |text: String| {
            let nara = text.split("[site.tainan]").next().unwrap();
            let key = nara.split("public_key = \"").nth(1).unwrap();
            let key = key.split('"').next().unwrap();
            (1..=links).for_each(|k| self.start(prefix, k, key));
            format!("{nara}{}", self.describe(links))
        };
        lab.edit_fleet(described).unwrap();
        self.namespace.shell("ip mptcp limits set subflows 8");
        lab.sites[0].daemon = Some(lab.sites[0].home.start().unwrap());
        lab.sites[0].home.wait_until_all_up();
    }

    fn endpoint(&self, link: u8, site: u8, port: u16) -> SocketAddr {
        let (v4, v6) = outer(link, site);
        match self.outside {
            Family::V4 => (v4, port).into(),
            Family::V6 => (v6, port).into(),
        }
    }

    /// The site as it stands in the fleet file, with `links` of its interfaces.
    fn describe(&self, links: u8) -> String {
        let link = |k: u8| {
            let port = 51820 + u16::from(k);
            let endpoint = match self.role {
                Role::WeInitiate => {
                    format!(", endpoint = \"{}\"", self.endpoint(k, 2, port))
                }
                Role::TheyInitiate => String::new(),
            };
            let own = if k == 3 {
                format!(", public_key = \"{}\"", self.keys[1])
            } else {
                String::new()
            };
            format!("  {{ name = \"wg{k}\"{endpoint}{own} }},\n")
        };
        let links: String = (1..=links).map(link).collect();
        let key = &self.keys[0];
        format!(
            "[site.tainan]\nid = 2\nkind = \"wireguard\"\npublic_key = \"{key}\"\nlinks = \
             [\n{links}]\n"
        )
    }
}

fn can_run() -> bool {
    if !(lab_can_run() && have("wireguard-go", "wireguard-go") && have("wg", "wireguard-tools")) {
        return false;
    }
    let sockets = fs::create_dir_all("/run/wireguard");
    if let Err(error) = &sockets {
        skipped(&format!(
            "wireguard-go has no /run/wireguard ({error}): run as root"
        ));
    }
    sockets.is_ok()
}

fn foreign_wireguard(role: Role, prefix: &str) {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(4, 20); 3]).unwrap();
    let mut far = Foreign::new(lab.sites[1].namespace(), role, Family::V4, 1420);
    far.join(&mut lab, prefix);
    // Longer than WireGuard's 120 s: every tunnel renews its keys in the middle.
    let transfer = Transfer {
        family: Family::V4,
        ..Transfer::of(190)
    };
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap();
    let paths = outcome
        .subflows
        .iter()
        .filter(|subflow| subflow.established)
        .count();
    let status = lab.sites[0].home.status().unwrap();
    let ages: Vec<_> = status.peers[0]
        .paths
        .iter()
        .map(|path| path.last_handshake_s)
        .collect();
    println!(
        "plain WireGuard: {paths} subflows, {:.1} Mbit/s for {:?}, longest stall {:?}, last \
         handshakes {ages:?} s ago",
        outcome.rate(),
        outcome.duration,
        outcome.longest_stall()
    );
    assert!(outcome.intact && outcome.mptcp);
    assert_eq!(paths, 3);
    assert!(
        outcome.duration > Duration::from_secs(125),
        "too short for a rekey"
    );
    assert!(
        ages.iter().all(|age| age.is_some_and(|age| age < 110)),
        "no rekey: {ages:?}"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn plain_wireguard_answers_us_and_both_renew_their_keys() {
    foreign_wireguard(Role::WeInitiate, "pwta");
}

#[test]
fn plain_wireguard_dials_us_and_both_renew_their_keys() {
    foreign_wireguard(Role::TheyInitiate, "pwtb");
}

/// The program that stands for WireGuard there, with its version.
fn version() -> String {
    let output = std::process::Command::new("wireguard-go")
        .arg("--version")
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or("?")
        .to_owned()
}

#[test]
fn plain_wireguard_with_its_offloads_carries_bulk_at_both_mtus_over_both_families() {
    if !can_run() {
        return;
    }
    for (outside, mtu) in [
        (Family::V4, 1420),
        (Family::V4, 1280),
        (Family::V6, 1420),
        (Family::V6, 1280),
    ] {
        let mut lab = Lab::new(2, &[Isp::new(200, 4)], outside, "").unwrap();
        let link = format!("mtu = {}, endpoint", mtu + 80);
        lab.edit_fleet(|text| text.replacen("endpoint", &link, 1))
            .unwrap();
        let near = lab.sites[1].namespace().clone();
        let mut far = Foreign::new(&near, Role::WeInitiate, outside, mtu);
        far.join(&mut lab, "pwtc");
        for opener_sends in [true, false] {
            let transfer = Transfer {
                opener_sends,
                ..Transfer::of(60)
            };
            let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap();
            let path = &lab.sites[0].home.status().unwrap().peers[0].paths[0];
            println!(
                "{} {outside:?} outside, MTU {}, {}: {:.0} Mbit/s",
                version(),
                path.mtu,
                if opener_sends { "we send" } else { "they send" },
                outcome.rate()
            );
            assert!(outcome.intact && outcome.mptcp);
            assert_eq!(path.mtu, mtu);
            assert!(
                path.offload.tun && path.offload.send_segments > 1,
                "{:?}",
                path.offload
            );
        }
    }
}
