//! `pathweave doctor` told the truth: each fault is made for real, and the sentence is read from
//! the real command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it, and time passes by itself"
)]

#[path = "doctor/sentences.rs"]
mod sentences;
#[path = "doctor/sockets.rs"]
mod sockets;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use lab::laboratory::Family;
use lab::programs::{have, lab_can_run};
use lab::router::Router;
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab, Site};
use sentences::{ask, read, told, well};
use socket2::Socket;
use sockets::{connect, listen, next_to};

/// Whether the connection is still there, and goes to a peer, is not always known.
const EITHER: &str = "degraded or advice";

fn three() -> Vec<Isp> {
    vec![Isp::new(50, 10), Isp::new(50, 20), Isp::new(50, 40)]
}

fn can_run() -> bool {
    lab_can_run() && have("ip", "iproute2") && have("nft", "nftables")
}

#[test]
fn links_that_filter_or_lead_nowhere_and_whatever_others_undid_are_told() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    // To a device like Ethernet nothing is sent without a route; to a point-to-point one it is.
    let _router = Router::put_before(&lab.sites[0], 3).unwrap();
    let nobody = ask(&lab.sites[0]);
    assert_eq!(nobody.code, 1);
    nobody.has(
        "broken",
        &["pathweaved does not run", "systemctl start pathweaved"],
    );

    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    well(here);
    let there_runs = here.home.status().unwrap().peers[0].version.clone();
    assert_eq!(
        there_runs.as_deref(),
        Some(env!("CARGO_PKG_VERSION")),
        "the peer tells its version"
    );
    let stranger = there
        .home
        .namespace
        .command(lab::daemon::binary("pathweave"));
    let socket = here.home.folder.join("run/pathweave.sock");
    let mut stranger = stranger.unwrap();
    let stranger = stranger
        .arg("--socket")
        .arg(&socket)
        .args(["doctor", "--json"]);
    let elsewhere = read(&stranger.output().unwrap());
    elsewhere.has(
        "degraded",
        &[
            "another network namespace than pathweaved",
            "--network host",
        ],
    );

    let namespace = here.namespace();
    let deeds = [
        "ip rule del priority 5182",
        "ip route flush table 51803",
        "nft flush ruleset",
        "sysctl -qw net.mptcp.enabled=0",
        "ip mptcp limits set subflows 0",
        "ip mptcp endpoint add 10.213.1.2 dev lo subflow",
        "sysctl -qw net.ipv4.conf.all.rp_filter=0",
        "sysctl -qw net.ipv4.conf.isp2.rp_filter=1",
        "ip route del default dev isp3",
    ];
    deeds.iter().for_each(|deed| drop(namespace.shell(deed)));
    let expected: [&[&str]; 7] = [
        &["deleted rules of ours", "systemd-networkd removes"],
        &["routes of ours", "ManageForeignRoutes"],
        &["removed the leak guard", "nft flush ruleset"],
        &["switched MPTCP off", "/etc/sysctl.d"],
        &["MPTCP's limits", "NetworkManager", "mptcpd"],
        &["MPTCP's endpoints", "NetworkManager", "mptcpd"],
        &[
            "isp3 has no default route",
            "path 3 to tainan",
            "ip route add default via",
        ],
    ];
    for words in expected {
        told(here, "degraded", words);
    }
    let filter = &[
        "reverse path filtering on isp2 drops",
        "net.ipv4.conf.isp2.rp_filter = 2",
    ];
    let seen = told(here, "degraded", filter);
    assert_eq!(seen.code, 1);
}

/// Path 1 is fat, far, and swallows large packets; firewalls stand at path 2 in tainan, and at path
/// 3, which tainan must dial, in nara. Nara's daemon is started from the file that is given back.
fn hindered() -> (Lab, String) {
    let mut lab = Lab::new(2, &three(), Family::V4, "leak_guard = false").unwrap();
    let fat = "offload = false, up = \"10 Gbit/s\", down = \"10 Gbit/s\"";
    lab.edit_fleet(|text| {
        text.replace(
            "endpoint = \"198.18.1.1\"",
            &format!("endpoint = \"198.18.1.1\", {fat}"),
        )
        .replace(", endpoint = \"198.18.3.2\"", "")
    })
    .unwrap();
    let closed = |site: usize, device: &str, state: &str| {
        lab.sites[site].namespace().shell(&format!(
            "nft 'table inet closed {{ chain in {{ type filter hook input priority 0; \
             iifname {device} udp dport 51820 {state} drop; }}; }}'"
        ))
    };
    closed(1, "isp2", "");
    closed(0, "isp3", "ct state new");
    for site in &lab.sites {
        site.links[0].set(|settings| {
            settings.largest = 1400;
            settings.delay = Duration::from_millis(50);
        });
    }
    let copy = lab.sites[0]
        .home
        .folder
        .join("pathweaved")
        .display()
        .to_string();
    let elsewhere = format!("cp \"$1\" {copy}; shift; set -- {copy} \"$@\"");
    lab.sites[0].daemon = Some(lab.sites[0].home.start_on(&elsewhere).unwrap());
    lab.sites[1].daemon = Some(lab.sites[1].home.start().unwrap());
    (lab, copy)
}

#[test]
fn ports_that_are_closed_black_holes_windows_and_what_the_fleet_file_gives_away_are_told() {
    if !can_run() {
        return;
    }
    let (lab, copy) = hindered();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);

    told(
        there,
        "degraded",
        &[
            "Nothing ever came back",
            "to 198.18.2.1:51820",
            "UDP port 51820",
        ],
    );
    told(
        here,
        "degraded",
        &[
            "path 3",
            "has no endpoint and must dial us",
            "though the other",
        ],
    );
    told(here, "degraded", &["path 2 to tainan"]);
    told(
        here,
        "advice",
        &[
            "swallows packets of more than 13",
            "1420 should pass",
            "`mtu = 14",
        ],
    );
    told(
        here,
        "degraded",
        &[
            "windows of TCP are too small",
            "Mbit/s",
            "worst case",
            "tcp_rmem =",
        ],
    );
    told(
        here,
        "advice",
        &["leak guard is switched off", "Take the line out"],
    );
    told(
        here,
        "advice",
        &["TUN segmentation offload is not used", "processor time"],
    );
    told(here, "advice", &["UDP segmentation offload is not used"]);
    told(here, "advice", &["UDP receive offload is not used"]);

    std::fs::remove_file(&copy).unwrap();
    told(
        here,
        "advice",
        &["its program was replaced", "systemctl restart pathweaved"],
    );
    let socket = there.home.folder.join("run/pathweave.sock");
    let later = format!("touch -d '2 days' {}", socket.display());
    there.namespace().shell(&later);
    told(
        there,
        "broken",
        &["clock went back", "timedatectl set-ntp true"],
    );
}

#[test]
fn connections_that_became_plain_tcp_and_joins_that_fail_are_told_with_the_reason() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&three()).unwrap();
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let (near, far) = (here.namespace(), there.namespace());
    let at = |port: u16| (there.address(Family::V4), port).into();

    // A server that closes its listening socket.
    let listener = listen(far, at(7001), true);
    let opened = connect(near, at(7001), true).unwrap();
    let accepted = listener.accept().unwrap().0;
    drop(listener);
    next_to(&opened, &accepted);
    told(
        here,
        "degraded",
        &[
            "subflows that were asked for",
            "closed its listening socket",
        ],
    );
    drop((opened, accepted));

    // A program that does not ask for it.
    let _plain = listen(far, at(7002), false);
    let asked = connect(near, at(7002), false).unwrap();
    told(
        here,
        "degraded",
        &[
            "to tainan is plain TCP now",
            "did not ask for MPTCP",
            "mptcpize",
        ],
    );
    drop(asked);
    // A server that does not listen with it.
    let _refused = connect(near, at(7002), true).unwrap();
    told(
        here,
        EITHER,
        &["does not listen with MPTCP", "mptcpize enable"],
    );

    let _opened = through_a_box_that_drops_what_opens_mptcp(here, there);
    told(
        here,
        EITHER,
        &[
            "opened during an outage",
            "up only without it",
            "TCP option 30",
        ],
    );
    told(
        here,
        EITHER,
        &["blackhole timer", "net.mptcp.blackhole_timeout=0"],
    );
    told(here, "degraded", &["changed sysctls that MPTCP needs"]);
}

/// Opens connections to tainan, of which the first becomes plain TCP, and the next one because of
/// it: somebody sets the sysctls back.
fn through_a_box_that_drops_what_opens_mptcp(here: &Site, there: &Site) -> Vec<Socket> {
    let (near, far) = (here.namespace(), there.namespace());
    let to = (there.address(Family::V4), 7003).into();
    far.shell(
        "nft 'table inet box { chain in { type filter hook input priority 0; \
         tcp dport 7003 tcp option mptcp exists tcp flags syn drop; }; }'",
    );
    let meddling = Arc::new(AtomicBool::new(true));
    let (goes_on, site) = (meddling.clone(), near.clone());
    let meddler = thread::spawn(move || {
        while goes_on.load(Relaxed) {
            for (name, value) in [
                ("net/mptcp/syn_retrans_before_tcp_fallback", "1"),
                ("net/mptcp/blackhole_timeout", "3600"),
            ] {
                // To write the timer is to forget the black hole.
                if site.sysctl(name).unwrap() != value {
                    site.set_sysctl(name, value).unwrap();
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let listener = listen(far, to, true);
    let mut opened = vec![listener];
    for _ in 0..4 {
        // The daemon sets it back between the two now and then.
        opened.extend([(); 2].map(|()| connect(near, to, true).unwrap()));
        if ask(here).says("blackhole timer") {
            break;
        }
    }
    meddling.store(false, Relaxed);
    meddler.join().unwrap();
    opened
}

#[test]
fn two_links_on_one_line_and_processors_that_limit_the_rate_are_told() {
    if !can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(50, 10), Isp::new(50, 10)]).unwrap();
    let router = Router::put_before(&lab.sites[0], 1).unwrap();
    one_line(&lab, &router);
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    told(
        there,
        "degraded",
        &["links isp1 and isp2 comes from one address", "198.18.1.1"],
    );

    let moving = AtomicBool::new(true);
    thread::scope(|scope| {
        let burns = || {
            while moving.load(Relaxed) {
                std::hint::black_box((0..10_000u64).sum::<u64>());
            }
        };
        scope.spawn(|| {
            let outcome = transfer::run(&Transfer::of(60), here, there, |_| {});
            assert!(outcome.unwrap().intact, "the data came out different");
        });
        let cores = thread::available_parallelism().map_or(2, usize::from);
        (0..2 * cores).for_each(|_| drop(scope.spawn(burns)));
        told(
            here,
            "advice",
            &["processors are busy to", "not the network"],
        );
        moving.store(false, Relaxed);
    });
}

/// The site's second device leads to the router of the first one.
fn one_line(lab: &Lab, router: &Router) {
    use std::os::fd::AsRawFd;
    let site = lab.sites[0].namespace();
    let into = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        site.file().as_raw_fd()
    );
    site.shell("ip link set isp2 down; ip link set isp2 name unused2");
    router.shell(&format!(
        "ip link add lan2 type veth peer name isp2 netns {into}
         ip addr add 192.168.2.1/24 dev lan2; ip link set lan2 up"
    ));
    site.shell(
        "ip addr add 192.168.2.2/24 dev isp2; ip link set isp2 up
         ip route add default via 192.168.2.1 dev isp2 metric 102",
    );
}
