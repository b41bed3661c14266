//! Real programs: rsync and iperf3 under mptcpize, and plain WireGuard at the far end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing shall fail it"
)]

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use lab::enter;
use lab::laboratory::{Family, outer};
use lab::namespace::Namespace;
use lab::programs::{have, lab_can_run, skipped};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use pathweaved::control::Status;

/// A program that runs until it is dropped.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(namespace: &Namespace, program: &str, arguments: &[&str]) -> Background {
    let mut command = namespace.command(program).unwrap();
    let command = command.args(arguments).env("WG_PROCESS_FOREGROUND", "1");
    Background(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

fn subflows(status: &Status) -> Vec<u32> {
    status.peers[0]
        .paths
        .iter()
        .map(|path| path.subflows)
        .collect()
}

/// Bytes that each path has sent, as the operator sees them.
fn sent(status: &Status) -> Vec<u64> {
    status.peers[0]
        .paths
        .iter()
        .map(|path| path.tx_bytes)
        .collect()
}

#[test]
fn rsync_moves_a_directory_over_all_paths() {
    if !(lab_can_run() && have("rsync", "rsync") && have("mptcpize", "mptcpize")) {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(50, 10), Isp::new(30, 20), Isp::new(20, 40)]).unwrap();
    lab.start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir_all(&from).unwrap();
    fs::create_dir_all(&to).unwrap();
    for file in 0..200u32 {
        let content: Vec<u8> = (0..200_000u32)
            .map(|byte| (byte * 31 + file).to_le_bytes()[0])
            .collect();
        fs::write(from.join(format!("file-{file}")), content).unwrap();
    }
    let config = folder.path().join("rsyncd.conf");
    // Root may choose its server's user; in a user namespace there is nobody to become, and the
    // server must not even take itself for root.
    let (unshare, user): (&[&str], _) = if enter::inside() {
        (&["unshare", "--user"], "")
    } else {
        (&["env"], "uid = 0\ngid = 0\n")
    };
    let module = format!(
        "use chroot = no\n{user}[to]\npath = {}\nread only = no\n",
        to.display()
    );
    fs::write(&config, module).unwrap();
    let config = format!("--config={}", config.display());
    let server = [
        "mptcpize",
        "run",
        "rsync",
        "--daemon",
        "--no-detach",
        "--port=8730",
        &config,
    ];
    let arguments = [&unshare[1..], &server].concat();
    let _server = start(lab.sites[1].namespace(), unshare[0], &arguments);
    std::thread::sleep(Duration::from_millis(500));
    let source = format!("{}/", from.display());
    let target = "rsync://10.213.2.1:8730/to/";
    let client = start(
        lab.sites[0].namespace(),
        "mptcpize",
        &["run", "rsync", "--archive", "--whole-file", &source, target],
    );
    let seen = lab.sites[0].home.wait_until(
        "rsync has a subflow on every path",
        Duration::from_secs(10),
        |status| subflows(status).iter().all(|count| *count >= 1),
    );
    println!("rsync: subflows {:?}", subflows(&seen));
    let mut client = client;
    assert!(client.0.wait().unwrap().success(), "rsync failed");
    std::mem::forget(client);
    let same = lab.sites[0].namespace().shell(&format!(
        "diff -r {} {} && ls {} | wc -l",
        from.display(),
        to.display(),
        to.display()
    ));
    assert_eq!(same.trim(), "200");
    let bytes = sent(&lab.sites[0].home.status().unwrap());
    println!("rsync: 200 files, 40 MB; sent per path {bytes:?}");
    assert!(
        bytes.iter().all(|bytes| *bytes > 1_000_000),
        "a path was not used: {bytes:?}"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn iperf3_under_mptcpize_uses_all_paths_with_one_stream() {
    if !(lab_can_run() && have("iperf3", "iperf3") && have("mptcpize", "mptcpize")) {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(30, 10); 3]).unwrap();
    lab.start().unwrap();
    let _server = start(
        lab.sites[1].namespace(),
        "mptcpize",
        &["run", "iperf3", "-s", "-1"],
    );
    std::thread::sleep(Duration::from_millis(500));
    let line = "mptcpize run iperf3 -c 10.213.2.1 -t 5 -f m | grep receiver";
    println!("iperf3: {}", lab.sites[0].namespace().shell(line).trim());
    let bytes = sent(&lab.sites[0].home.status().unwrap());
    println!("iperf3: sent per path {bytes:?}");
    assert!(
        bytes.iter().all(|bytes| *bytes > 5_000_000),
        "a path was not used: {bytes:?}"
    );
}

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
    /// Public keys: the shared one, the third interface's own.
    keys: [String; 2],
    running: Vec<Background>,
}

impl Foreign {
    fn new(namespace: &Namespace, role: Role) -> Self {
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
                format!("endpoint {}:51820 persistent-keepalive 1", outer(k, 1).0)
            }
        };
        let (port, key) = (51820 + u16::from(k), key.display());
        let wg = format!(
            "wg set {device} listen-port {port} private-key {key} peer {ours} allowed-ips \
             10.213.1.0/24 {dial}"
        );
        self.namespace.shell(&wg);
        let ip = format!(
            "ip addr add 10.213.2.{k}/32 dev {device}; ip link set {device} mtu 1420 up; ip \
             route add 10.213.1.{k}/32 dev {device}"
        );
        self.namespace.shell(&ip);
    }

    /// The site as it stands in the fleet file.
    fn describe(&self) -> String {
        let link = |k: u8| {
            let port = 51820 + u16::from(k);
            let endpoint = match self.role {
                Role::WeInitiate => format!(", endpoint = \"{}:{port}\"", outer(k, 2).0),
                Role::TheyInitiate => String::new(),
            };
            let own = if k == 3 {
                format!(", public_key = \"{}\"", self.keys[1])
            } else {
                String::new()
            };
            format!("  {{ name = \"wg{k}\"{endpoint}{own} }},\n")
        };
        let links: String = (1..=3).map(link).collect();
        let key = &self.keys[0];
        format!(
            "[site.tainan]\nid = 2\nkind = \"wireguard\"\npublic_key = \"{key}\"\nlinks = \
             [\n{links}]\n"
        )
    }
}

fn foreign_wireguard(role: Role, prefix: &str) {
    if !(lab_can_run() && have("wireguard-go", "wireguard-go") && have("wg", "wireguard-tools")) {
        return;
    }
    if let Err(error) = fs::create_dir_all("/run/wireguard") {
        skipped(&format!(
            "wireguard-go has no /run/wireguard ({error}): run as root"
        ));
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(4, 20); 3]).unwrap();
    let mut far = Foreign::new(lab.sites[1].namespace(), role);
    lab.edit_fleet(|text| {
        let ours = text.split("[site.tainan]").next().unwrap();
        let key = ours
            .split("public_key = \"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        (1..=3).for_each(|k| far.start(prefix, k, key));
        format!("{ours}{}", far.describe())
    })
    .unwrap();
    lab.sites[1]
        .namespace()
        .shell("ip mptcp limits set subflows 8");
    lab.sites[0].daemon = Some(lab.sites[0].home.start().unwrap());
    lab.sites[0].home.wait_until_all_up();
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
