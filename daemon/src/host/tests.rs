//! Against the real kernel, in network namespaces that vanish with their test.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use tempfile::TempDir;

use super::*;
use crate::config::{self, View};
use crate::names::PathId;
use crate::plan::{KernelState, PathUse};

const KEYS: [&str; 2] = [
    "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
    "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
];

/// Sites `a` (seen from here) and `b`, three links each, with a network behind both.
pub(super) fn view(top: &str) -> View {
    let mut text = format!("{top}\n");
    for (id, (name, key)) in (1..).zip(["a", "b"].into_iter().zip(KEYS)) {
        let link = |k| format!("{{ name = \"l{k}\", interface = \"isp{k}\" }}, ");
        let links: String = (1..=3).map(link).collect();
        let subnets = format!("[\"192.168.{}.0/24\", \"fd07:{id}::/64\"]", 6 + id);
        text += &format!(
            "[site.{name}]\nid = {id}\npublic_key = \"{key}\"\nlinks = [ {links} ]\n\
             subnets = {subnets}\n"
        );
    }
    let fleet = config::parse("test", &text).unwrap_or_else(|errors| panic!("{errors}"));
    fleet.view(&KEYS[0].parse().unwrap()).unwrap()
}

/// All paths live, but for those told otherwise by their number.
fn desired(view: &View, paths: &BTreeMap<PathId, PathUse>) -> KernelState {
    crate::plan::desired(view, paths, &BTreeMap::new())
}

fn uses(view: &View, others: &[(u8, PathUse)]) -> BTreeMap<PathId, PathUse> {
    let usage = |id: PathId| {
        let other = others
            .iter()
            .find(|(number, _)| *number == id.number.value());
        other.map_or(PathUse::Live, |(_, usage)| *usage)
    };
    view.paths()
        .map(|(_, path)| (path.id, usage(path.id)))
        .collect()
}

/// A network namespace, held by a descriptor.
pub(super) struct Space(File);

impl Space {
    /// `None`, and a word about it, where the machine does not allow it.
    pub(super) fn new() -> Option<Self> {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok::<_, std::io::Error>(File::open("/proc/thread-self/ns/net"))
        });
        match made.join().unwrap() {
            Ok(file) => {
                let space = Self(file.unwrap());
                space.sh("ip link set lo up");
                Some(space)
            }
            Err(error) => {
                println!("skipped: a network namespace cannot be made ({error}); run as root");
                None
            }
        }
    }

    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    #[expect(clippy::disallowed_methods, reason = "a test may start programs")]
    pub(super) fn sh(&self, line: &str) -> String {
        let output = self.run(|| Command::new("sh").args(["-ec", line]).output().unwrap());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As `ip link … netns` takes it.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// A namespace in which the site's tunnels exist, and a host for it.
struct Machine {
    space: Space,
    state: TempDir,
}

impl Machine {
    fn new() -> Option<Self> {
        let space = Space::new()?;
        let state = tempfile::tempdir().unwrap();
        Some(Self { space, state })
    }

    fn with_tunnels(self, view: &View) -> Self {
        for (_, path) in view.paths() {
            self.space
                .sh(&format!("ip tuntap add {} mode tun", path.interface));
        }
        let host = self.host();
        self.space.run(|| {
            for (_, path) in view.paths() {
                host.prepare_tun(&path.interface, path.mtu, "path of a test")
                    .unwrap();
            }
        });
        self
    }

    fn host(&self) -> Host {
        self.space.run(|| Host::open(self.state.path()).unwrap())
    }

    /// The changes, told; fails when one fails.
    fn reconcile(&self, host: &mut Host, state: &KernelState) -> Vec<String> {
        let report = self.space.run(|| host.reconcile(state).unwrap());
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        told(&report)
    }

    fn clear(&self, host: &mut Host) {
        let report = self.space.run(|| host.clear().unwrap());
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
    }

    /// All that might be touched, as the operator's tools show it.
    fn look(&self) -> String {
        let lines = [
            "ip -d link | grep -v 'link/none'",
            "ip addr show lo",
            "ip rule; ip -6 rule",
            "ip route show table all; ip -6 route show table all",
            "ip mptcp endpoint; ip mptcp limits",
            "nft list ruleset",
            "cd /proc/sys/net; grep -r . mptcp ipv4/tcp_rmem ipv4/tcp_wmem",
        ];
        lines
            .map(|line| format!("── {line}\n{}", self.space.sh(line)))
            .concat()
    }
}

fn told(report: &Report) -> Vec<String> {
    report.changes.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_same(now: &str, before: &str, when: &str) {
    let missing: Vec<_> = before.lines().filter(|line| !now.contains(line)).collect();
    let left: Vec<_> = now.lines().filter(|line| !before.contains(line)).collect();
    assert!(
        now == before,
        "{when}: missing {missing:#?}, left behind {left:#?}"
    );
}

/// Objects of other programs, as like to ours as can be.
const ALIENS: [&str; 10] = [
    "ip link add other0 type veth peer name other1; ip link set other0 up",
    "ip addr add 198.18.1.1/24 dev other0",
    "ip addr add 10.213.1.77/32 dev lo",
    "ip addr add 10.99.0.1/32 dev lo",
    "ip route add 10.98.0.0/16 dev other0 proto static",
    "ip route add 10.97.0.0/16 dev other0 proto 184 table 51802",
    "ip route add 10.96.0.0/16 dev other0 proto 183 table 100",
    "ip rule add from 10.99.0.1 lookup 100 priority 5182 protocol 183",
    "ip mptcp endpoint add 198.18.1.1 dev other0 subflow; ip mptcp limits set subflows 3",
    "nft add table inet somebody; ip tuntap add pw-alien mode tun",
];

#[test]
fn a_second_reconciliation_changes_nothing_and_a_stop_leaves_the_machine_as_it_was() {
    let view = view("");
    let Some(machine) = Machine::new() else {
        return;
    };
    ALIENS.iter().for_each(|line| drop(machine.space.sh(line)));
    let before = machine.look();
    let machine = machine.with_tunnels(&view);
    let mut host = machine.host();
    let state = desired(&view, &uses(&view, &[]));
    let first = machine.reconcile(&mut host, &state);
    assert!(first.len() > 40, "{first:#?}");
    assert_eq!(machine.reconcile(&mut host, &state), Vec::<String>::new());
    machine.clear(&mut host);
    assert_same(&machine.look(), &before, "after a stop");
    assert_eq!(
        machine.state.path().read_dir().unwrap().count(),
        0,
        "the journal stays"
    );
}

#[test]
fn after_a_crash_another_process_takes_over_or_cleans_up() {
    let view = view("");
    let Some(machine) = Machine::new() else {
        return;
    };
    let before = machine.look();
    let machine = machine.with_tunnels(&view);
    let state = desired(&view, &uses(&view, &[]));
    machine.reconcile(&mut machine.host(), &state);
    let again = machine.reconcile(&mut machine.host(), &state);
    assert_eq!(
        again,
        ["load leak guard"],
        "a new process loads its own guard"
    );
    machine.clear(&mut machine.host());
    assert_same(&machine.look(), &before, "after a crash and a clean-up");
    machine.clear(&mut machine.host());
    assert_same(&machine.look(), &before, "after a second clean-up");
}

#[test]
fn a_clean_up_without_its_journal_still_removes_every_object() {
    let view = view("");
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let sysctls = "cd /proc/sys/net; grep -r . mptcp ipv4/tcp_rmem ipv4/tcp_wmem";
    machine.space.sh("ip mptcp limits set subflows 8");
    let before = machine.look();
    let were = machine.space.sh(sysctls);
    machine = machine.with_tunnels(&view);
    machine.reconcile(&mut machine.host(), &desired(&view, &uses(&view, &[])));
    machine.state = tempfile::tempdir().unwrap();
    machine.clear(&mut machine.host());
    let are = machine.space.sh(sysctls);
    let now = machine.look();
    let objects = |look: &str, sysctls: &str| look.replace(sysctls, "");
    assert_same(
        &objects(&now, &are),
        &objects(&before, &were),
        "without a journal",
    );
}

/// What somebody does, and what is done about it.
const REPAIRS: [(&str, &[&str]); 11] = [
    ("ip rule del priority 5182", &["add rule from 10.213.1.2"]),
    (
        "ip -6 rule del priority 5183",
        &["add rule from fd50:7761:7665:1::3"],
    ),
    (
        "ip addr del 10.213.1.3/32 dev lo",
        &["add address 10.213.1.3"],
    ),
    ("ip route del 10.213.2.1", &["add route 10.213.2.1/32"]),
    (
        "ip route del 10.213.2.1 table 51802",
        &["add route 10.213.2.1/32 table 51802"],
    ),
    (
        "ip route del unreachable default table 51803",
        &["add unreachable route 0.0.0.0/0 table 51803"],
    ),
    (
        "ip -6 route del fd50:7761:7665:2::2",
        &["add route fd50:7761:7665:2::2/128"],
    ),
    (
        "ip mptcp endpoint flush",
        &[
            "add MPTCP endpoint 10.213.1.2",
            "add MPTCP endpoint 10.213.1.3",
            "add MPTCP endpoint fd50:7761:7665:1::2",
            "add MPTCP endpoint fd50:7761:7665:1::3",
        ],
    ),
    (
        "ip mptcp limits set subflows 1",
        &["raise MPTCP subflows to 8"],
    ),
    ("nft flush ruleset", &["load leak guard"]),
    (
        "sysctl -qw net.ipv4.conf.pw-b-2.rp_filter=1",
        &["set sysctl net.ipv4.conf.pw-b-2.rp_filter = 2"],
    ),
];

/// The look without the devices' carrier, which comes and goes, and without endpoints' numbers.
fn objects(look: &str) -> String {
    let devices = look.find("── ip addr").unwrap_or(0);
    let lines = look.get(devices..).unwrap_or_default().lines();
    let lines = lines.map(|line| line.replace(" linkdown", ""));
    lines
        .filter(|line| !line.contains(" id "))
        .map(|line| line + "\n")
        .collect()
}

#[test]
fn what_somebody_deletes_is_put_back_and_nothing_else_is_touched() {
    let view = view("");
    let Some(machine) = Machine::new().map(|machine| machine.with_tunnels(&view)) else {
        return;
    };
    let mut host = machine.host();
    let state = desired(&view, &uses(&view, &[]));
    machine.reconcile(&mut host, &state);
    let whole = objects(&machine.look());
    for (damage, repair) in REPAIRS {
        machine.space.sh(damage);
        assert_eq!(
            machine.reconcile(&mut host, &state),
            repair,
            "after {damage}"
        );
        assert_same(&objects(&machine.look()), &whole, damage);
    }
}

#[test]
fn a_dead_path_1_moves_the_site_address_in_one_step() {
    let view = view("");
    let Some(machine) = Machine::new().map(|machine| machine.with_tunnels(&view)) else {
        return;
    };
    let mut host = machine.host();
    machine.reconcile(&mut host, &desired(&view, &uses(&view, &[])));
    let moved = [
        "replace route 10.213.2.1/32",
        "replace route 192.168.8.0/24",
        "replace route fd07:2::/64",
        "replace route fd50:7761:7665:2::1/128",
    ];
    let down = desired(&view, &uses(&view, &[(1, PathUse::Idle)]));
    assert_eq!(machine.reconcile(&mut host, &down), moved);
    assert!(
        machine
            .space
            .sh("ip route get 10.213.2.1")
            .contains("dev pw-b-2")
    );
    assert!(
        machine
            .space
            .sh("ip route get fd50:7761:7665:2::1")
            .contains("dev pw-b-2")
    );
    let up = desired(&view, &uses(&view, &[]));
    assert_eq!(machine.reconcile(&mut host, &up), moved);
    let none = [
        (1, PathUse::Absent),
        (2, PathUse::Absent),
        (3, PathUse::Idle),
    ];
    machine.reconcile(&mut host, &desired(&view, &uses(&view, &none)));
    let refused = machine.space.sh("ip route get 10.213.2.1 2>&1 || true");
    assert!(refused.contains("No route to host"), "{refused}");
}

#[test]
fn another_programs_route_is_not_overwritten_and_the_rest_goes_on() {
    let view = view("overlay = [\"10.213.0.0/16\"]");
    let Some(machine) = Machine::new().map(|machine| machine.with_tunnels(&view)) else {
        return;
    };
    machine
        .space
        .sh("ip link add other0 type veth peer name other1; ip link set other0 up");
    machine
        .space
        .sh("ip route add 192.168.8.0/24 dev other0 proto static");
    let alien = machine.space.sh("ip route show proto static");
    let mut host = machine.host();
    let state = desired(&view, &uses(&view, &[]));
    let report = machine.space.run(|| host.reconcile(&state).unwrap());
    let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(failures.join("\n"), @"route 192.168.8.0/24: File exists (os error 17); another program has its own in that place: remove it there");
    assert_eq!(machine.space.sh("ip route show proto static"), alien);
    assert!(told(&report).contains(&"add MPTCP endpoint 10.213.1.3".to_owned()));
    machine.space.sh("ip route del 192.168.8.0/24 dev other0");
    assert_eq!(
        machine.reconcile(&mut host, &state),
        ["add route 192.168.8.0/24"]
    );
}

#[test]
fn an_endpoint_of_another_kind_on_our_address_is_made_right() {
    let view = view("overlay = [\"10.213.0.0/16\"]");
    let Some(machine) = Machine::new().map(|machine| machine.with_tunnels(&view)) else {
        return;
    };
    let mut host = machine.host();
    let state = desired(&view, &uses(&view, &[]));
    machine.reconcile(&mut host, &state);
    machine
        .space
        .sh("ip mptcp endpoint flush; ip mptcp endpoint add 10.213.1.2 dev lo signal");
    let changes = machine.reconcile(&mut host, &state);
    assert_eq!(
        changes,
        [
            "remove MPTCP endpoint 10.213.1.2",
            "add MPTCP endpoint 10.213.1.2",
            "add MPTCP endpoint 10.213.1.3",
        ]
    );
    let endpoints = machine.space.sh("ip mptcp endpoint");
    assert_eq!(endpoints.matches("subflow").count(), 2, "{endpoints}");
    assert!(!endpoints.contains("signal"), "{endpoints}");
}

#[test]
fn without_ipv6_all_of_ipv4_works_and_the_operator_is_told() {
    let view = view("");
    let Some(machine) = Machine::new() else {
        return;
    };
    machine
        .space
        .sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    let machine = machine.with_tunnels(&view);
    let mut host = machine.host();
    let state = desired(&view, &uses(&view, &[]));
    let report = machine.space.run(|| host.reconcile(&state).unwrap());
    assert!(!report.failures.is_empty());
    for failure in report.failures.iter().map(ToString::to_string) {
        let of_six =
            failure.contains("fd50:") || failure.contains("fd07:") || failure.contains("::/0");
        assert!(of_six, "{failure}");
        assert!(failure.contains("IPv6 may be switched off"), "{failure}");
    }
    let route = machine.space.sh("ip route get 10.213.2.1 from 10.213.1.2");
    assert!(route.contains("pw-b-2"), "{route}");
    machine.clear(&mut host);
}

#[test]
fn a_sysctl_that_somebody_changed_since_is_left_to_him() {
    let view = view("");
    let Some(machine) = Machine::new() else {
        return;
    };
    let mut host = machine.host();
    machine.reconcile(&mut host, &desired(&view, &BTreeMap::new()));
    machine
        .space
        .sh("sysctl -qw net.mptcp.blackhole_timeout=77");
    machine.clear(&mut host);
    let now = machine
        .space
        .sh("sysctl -n net.mptcp.blackhole_timeout net.mptcp.syn_retrans_before_tcp_fallback");
    assert_eq!(now, "77\n2\n");
}

#[test]
fn the_watch_tells_of_devices_rules_device_settings_and_the_firewall() {
    let Some(space) = Space::new() else { return };
    space.sh("nft add table inet somebody");
    for event in [
        "ip tuntap add pw-b-1 mode tun",
        "ip rule add from 10.213.1.2 lookup 51802",
        "ip -6 route add unreachable fd50::/16",
        "sysctl -qw net.ipv4.conf.pw-b-1.rp_filter=1",
        "nft flush ruleset",
    ] {
        let heard = space.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let mut watch = watch::Watch::open().unwrap();
                space.sh(event);
                tokio::time::timeout(Duration::from_secs(2), watch.changed()).await
            })
        });
        assert!(heard.is_ok(), "nobody was told of `{event}`");
    }
}
