//! Each finding from the facts that lead to it, and the whole text as a person reads it.

mod well;

use std::collections::BTreeMap;

use pathweaved::control::{
    Mended, Offload, PathDiagnosis, PathState, PeerStatus, SiteDiagnosis, Status, Trouble,
};

use super::facts::Unit;
use super::*;
use well::well;

fn status(facts: &mut Facts) -> &mut Status {
    match &mut facts.daemon {
        Daemon::Running(status) => status,
        Daemon::Absent { .. } | Daemon::Closed => panic!("the daemon runs in these tests"),
    }
}

fn site(facts: &mut Facts) -> &mut SiteDiagnosis {
    &mut status(facts).site.diagnosis
}

fn peer(facts: &mut Facts) -> &mut PeerStatus {
    &mut status(facts).peers[0]
}

fn trouble(facts: &mut Facts, number: usize, trouble: Trouble, reason: &str) {
    let path = &mut peer(facts).paths[number - 1];
    (path.state, path.reason) = (PathState::Down, Some(reason.to_owned()));
    path.diagnosis.trouble = Some(trouble);
    (path.rtt_ms, path.diagnosis.heard, path.diagnosis.handshakes) = (None, 0, 12);
}

fn shown(facts: &Facts, width: usize) -> String {
    text::text(
        &diagnose(facts),
        &text::summary(facts),
        width,
        Style::plain(),
    )
}

fn counted(counters: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let owned = |(name, count): &(&str, u64)| ((*name).to_owned(), *count);
    counters.iter().map(owned).collect()
}

/// What it is called, and what it does to the facts.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Facts));

/// The facts after each of several changes, one text after the other.
fn each(changes: &[Change<'_>]) -> String {
    let one = |(name, change): &Change<'_>| {
        let mut facts = well();
        change(&mut facts);
        format!("── {name}\n{}", shown(&facts, 90))
    };
    changes.iter().map(one).collect()
}

#[test]
fn when_all_is_well_it_says_so_and_what_it_looked_at() {
    assert_eq!(diagnose(&well()), []);
    insta::assert_snapshot!(shown(&well(), 80));
}

#[test]
fn the_worst_comes_first_and_the_text_fits_the_terminal() {
    let mut facts = well();
    facts.replaced = true;
    trouble(
        &mut facts,
        2,
        Trouble::NoAnswer,
        "no answer to our handshake yet",
    );
    site(&mut facts).leak_guard = Some(false);
    site(&mut facts).failures = vec![
        "the leak guard needs `nft`, which is not installed: install the package nftables, or set \
         `leak_guard = false` to run without it"
            .to_owned(),
    ];
    let findings = diagnose(&facts);
    let severities: Vec<_> = findings.iter().map(|finding| finding.severity).collect();
    assert!(severities.is_sorted());
    for width in [40, 80, 200] {
        let text = shown(&facts, width);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width.max(60)), "{widest:?}\n{text}");
    }
    insta::assert_snapshot!(format!("{}\n{}", shown(&facts, 80), shown(&facts, 200)));
}

#[test]
fn a_daemon_that_is_not_there_is_the_first_thing_to_be_told() {
    let absent = |facts: &mut Facts, unit: Option<[&str; 3]>| {
        let unit = unit.map(|[state, result, exit_code]| Unit {
            state: state.to_owned(),
            result: result.to_owned(),
            exit_code: exit_code.to_owned(),
        });
        let why = "no daemon answers".to_owned();
        facts.daemon = Daemon::Absent { why, unit };
    };
    insta::assert_snapshot!(each(&[
        ("no systemd", &|facts| absent(facts, None)),
        ("stopped", &|facts| absent(
            facts,
            Some(["inactive", "success", "0"])
        )),
        ("bad configuration", &|facts| absent(
            facts,
            Some(["failed", "exit-code", "5"])
        )),
        ("hangs", &|facts| absent(
            facts,
            Some(["active", "success", "0"])
        )),
        ("elsewhere", &|facts| facts.kernel.namespace = Some(8)),
        ("container", &|facts| facts.kernel.first_namespace = Some(1)),
        ("may not be asked", &|facts| facts.daemon = Daemon::Closed),
    ]));
}

#[test]
fn a_path_that_is_not_up_is_told_with_its_reason_and_a_remedy() {
    let kinds: [(Trouble, &str); 14] = [
        (Trouble::NoAnswer, "no answer to our handshake yet"),
        (
            Trouble::NotDialled,
            "waiting: wan2 has no endpoint and has to dial us",
        ),
        (
            Trouble::NothingInside,
            "session made, nothing heard inside it yet",
        ),
        (
            Trouble::PeerDoesNotHear,
            "the peer does not hear us: what we send on this path is lost",
        ),
        (Trouble::DeviceMissing, "device eth2 does not exist"),
        (Trouble::NoCarrier, "device eth2 has no carrier"),
        (Trouble::NoSocket, "UDP port 51820 is in use"),
        (Trouble::Unresolved, "tainan.example.net: no such name"),
        (
            Trouble::NoWay,
            "this machine had no way to send on it; it is tried again",
        ),
        (Trouble::Silence, "fell silent 7 s ago"),
        (
            Trouble::TooSmall,
            "packets of 1280 bytes do not come through",
        ),
        (
            Trouble::ComingUp,
            "it answers again; it is tried before it is used",
        ),
        (Trouble::AdminDown, "taken down by `pathweave path down`"),
        (Trouble::Other, "something that only a newer daemon knows"),
    ];
    let text: String = kinds
        .iter()
        .map(|(kind, reason)| {
            let mut facts = well();
            trouble(&mut facts, 2, *kind, reason);
            format!("── {kind:?}\n{}", shown(&facts, 90))
        })
        .collect();
    insta::assert_snapshot!(text);
}

#[test]
fn a_site_without_a_living_path_is_broken() {
    let mut facts = well();
    peer(&mut facts).reachable = false;
    for number in [1, 2] {
        trouble(
            &mut facts,
            number,
            Trouble::NoAnswer,
            "no answer to our handshake yet",
        );
    }
    facts.clock.future = Some(("/etc/pathweave/pathweave.toml".to_owned(), 1_800_100_000));
    insta::assert_snapshot!(shown(&facts, 80));
}

#[test]
fn links_that_cannot_send_or_drop_what_comes_in_or_are_one_are_named() {
    let strict = |facts: &mut Facts| {
        let name = "net.ipv4.conf.eth2.rp_filter".to_owned();
        facts.kernel.sysctls.insert(name, "1".to_owned());
    };
    insta::assert_snapshot!(each(&[
        ("strict filter, no harm yet", &strict),
        ("strict filter drops", &|facts| {
            strict(facts);
            facts.kernel.filtered = 41;
            trouble(
                facts,
                2,
                Trouble::NoAnswer,
                "no answer to our handshake yet",
            );
        }),
        ("no default route", &|facts| {
            facts.kernel.default_routes[0].remove("eth2");
            trouble(
                facts,
                2,
                Trouble::NoWay,
                "this machine had no way to send on it",
            );
        }),
        ("one line at the other site", &|facts| {
            peer(facts).paths[1].endpoint = Some("198.51.100.1:40112".to_owned());
        }),
        ("one device here", &|facts| {
            peer(facts).paths[1].diagnosis.device = Some("eth1".to_owned());
        }),
    ]));
}

#[test]
fn paths_that_are_up_but_not_good_are_told() {
    insta::assert_snapshot!(each(&[
        ("loss", &|facts| peer(facts).paths[1].loss_tx = Some(0.012)),
        ("much loss", &|facts| peer(facts).paths[1].loss_rx =
            Some(0.08)),
        ("unsteady", &|facts| {
            let path = &mut peer(facts).paths[1];
            (path.flaps, path.since_s) = (5, 40);
        }),
        ("reserve", &|facts| {
            let why = "in reserve: with it all paths together moved 20.1 Mbit/s, without it 57.9";
            peer(facts).paths[1].reserve = Some(why.to_owned());
        }),
        ("black hole", &|facts| peer(facts).paths[1].mtu = 1340),
    ]));
}

#[test]
fn what_others_undid_is_told_with_the_likely_culprit() {
    let kinds = [
        "rule",
        "route",
        "address",
        "leak guard",
        "interface",
        "MPTCP endpoint",
        "MPTCP limits",
        "sysctl",
    ];
    let text: String = kinds
        .iter()
        .map(|kind| {
            let mut facts = well();
            let mended = Mended {
                count: 3,
                last_s: 7,
                what: vec!["add what was gone".to_owned()],
                culprit: "somebody does it: tell him not to".to_owned(),
            };
            site(&mut facts).mended = [((*kind).to_owned(), mended)].into();
            shown(&facts, 90)
        })
        .collect();
    let off = each(&[
        ("MPTCP off, long ago", &|facts| {
            let mended = Mended {
                count: 1,
                last_s: 9000,
                what: vec!["set sysctl net.mptcp.enabled = 1".to_owned()],
                culprit: "something sets it back: look for it in /etc/sysctl.d".to_owned(),
            };
            site(facts).mended = [("sysctl".to_owned(), mended)].into();
        }),
        ("a warning", &|facts| {
            let warnings = [
                "our rule was undone 12 times in the last minute: somebody",
                "the kernel takes 8 endpoints, 2 are left out; use one address family",
            ];
            status(facts).site.warnings = warnings.map(str::to_owned).into();
        }),
        ("refused", &|facts| {
            let failure = "set sysctl net.mptcp.enabled = 1: Read-only file system; /proc/sys/net \
                           is read-only here: set it on the host, or make it writable";
            site(facts).failures = vec![failure.to_owned()];
        }),
        ("no guard wanted", &|facts| {
            site(facts).leak_guard = Some(false)
        }),
    ]);
    insta::assert_snapshot!(text + &off);
}

#[test]
fn plain_tcp_and_failing_joins_are_told_with_the_kernels_reason() {
    let plain = |facts: &mut Facts, counters: &[(&str, u64)]| {
        peer(facts).plain_tcp = 1;
        site(facts).mptcp_lately = counted(counters);
    };
    insta::assert_snapshot!(each(&[
        ("not asked for", &|facts| plain(facts, &[])),
        ("server", &|facts| plain(
            facts,
            &[("MPCapableFallbackSYNACK", 1)]
        )),
        ("outage", &|facts| plain(
            facts,
            &[("MPCapableSYNTXDrop", 2)]
        )),
        ("blackhole timer", &|facts| plain(
            facts,
            &[("MPCapableSYNTXDisabled", 1)]
        )),
        ("over already", &|facts| {
            site(facts).mptcp_lately = counted(&[("MPCapableFallbackACK", 1)]);
        }),
        ("joins refused", &|facts| {
            site(facts).mptcp_lately = counted(&[("MPJoinRejected", 4)]);
        }),
        ("joins unanswered", &|facts| {
            let counters = [("MPJoinSynTx", 9), ("MPJoinSynAckRx", 1)];
            site(facts).mptcp_lately = counted(&counters);
        }),
        ("the kernel's own vain ones", &|facts| {
            status(facts).site.path_manager = "kernel".to_owned();
            site(facts).mptcp_lately = counted(&[("MPJoinSynTxCreatSkErr", 4)]);
        }),
    ]));
}

#[test]
fn what_limits_the_rate_is_told_with_lines_to_write() {
    insta::assert_snapshot!(each(&[
        ("windows, stated rates", &|facts| {
            for path in &mut peer(facts).paths {
                path.diagnosis.stated = [Some(1_000_000_000), Some(100_000_000)];
                path.rtt_ms = Some(180.0);
            }
        }),
        ("windows, rates that were seen", &|facts| {
            for path in &mut peer(facts).paths {
                path.diagnosis.peak = [1_000_000, 400_000_000];
                path.rtt_ms = Some(300.0);
            }
        }),
        ("processors", &|facts| {
            (facts.machine.busy, facts.machine.busiest) = (0.97, 1.0);
            facts.machine.rate = [300_000_000, 1_000_000];
        }),
        ("disk", &|facts| {
            facts.machine.pressure = [("io".to_owned(), 43.2)].into();
            facts.machine.rate = [1_000_000, 300_000_000];
        }),
        ("processors, but nothing moves", &|facts| facts
            .machine
            .busy = 1.0),
        ("Debian 12, kernel's path manager", &|facts| {
            facts.kernel.release = "6.1.0-41-amd64".to_owned();
            facts.kernel.is_6_12 = false;
            status(facts).site.path_manager = "kernel".to_owned();
        }),
        ("Debian 12, userspace", &|facts| {
            facts.kernel.release = "6.1.0-41-amd64".to_owned();
            facts.kernel.is_6_12 = false;
        }),
        ("no offload", &|facts| {
            for path in &mut peer(facts).paths {
                path.offload = Offload {
                    tun: false,
                    send_segments: 1,
                    receive: false,
                    socket_buffer: 212_992,
                };
            }
        }),
    ]));
}

#[test]
fn clocks_and_versions_that_do_not_fit_are_told() {
    insta::assert_snapshot!(each(&[
        ("1970", &|facts| facts.clock.now = 86_400 * 3),
        ("back", &|facts| {
            let file = "/etc/pathweave/pathweave.toml".to_owned();
            facts.clock.future = Some((file, 1_800_100_000));
        }),
        ("other daemon", &|facts| facts.version = "9.9.9".to_owned()),
        ("replaced", &|facts| facts.replaced = true),
        ("other peer", &|facts| peer(facts).version =
            Some("0.0.7".to_owned())),
    ]));
}

#[test]
fn what_an_older_daemon_does_not_say_is_no_finding() {
    let mut facts = well();
    *site(&mut facts) = SiteDiagnosis::default();
    peer(&mut facts).version = None;
    for path in &mut peer(&mut facts).paths {
        path.diagnosis = PathDiagnosis::default();
    }
    assert_eq!(diagnose(&facts), []);
}
