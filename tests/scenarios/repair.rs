//! Other software deletes what is ours, and adds what harms, in the middle of a transfer: it is put
//! right within a second, counted, and not fought over.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it, and time passes by itself"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab::laboratory::Site;
use lab::outage::{by_source, one_per_path, tenths};
use lab::programs::lab_can_run;
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};

/// 60 Mbit/s together.
fn isps() -> Vec<Isp> {
    vec![Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]
}

/// What somebody does, and as what it is counted.
const DEEDS: [(&str, &str); 9] = [
    ("ip rule del priority 5182", "rule"),
    ("ip route flush proto 183", "route"),
    ("ip route flush table 51803", "route"),
    ("ip addr del 10.213.1.3/32 dev lo", "address"),
    ("nft flush ruleset", "leak guard"),
    ("sysctl -qw net.mptcp.enabled=0", "sysctl"),
    ("sysctl -qw net.mptcp.path_manager=kernel", "sysctl"),
    ("ip mptcp limits set subflows 0", "MPTCP limits"),
    ("ip link del pw-tainan-2", "interface"),
];

fn repairs(site: &Site) -> BTreeMap<String, u64> {
    site.home.status().unwrap().site.repairs
}

/// All that ours is made of, without what changes by itself.
fn state(site: &Site) -> Vec<String> {
    let looks = [
        "ip rule",
        "ip route show table all proto 183",
        "ip -oneline addr show lo | sed 's/^[0-9]*//'",
        "nft list ruleset",
        "ip mptcp limits",
        "sysctl net.mptcp.enabled net.mptcp.path_manager",
    ];
    let text = looks.map(|line| site.home.namespace.shell(line)).concat();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// How long it takes until all is as it was.
fn time_to(site: &Site, before: &[String]) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        if state(site) == before {
            return Some(start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

#[test]
fn whatever_is_deleted_under_a_transfer_is_put_back_and_counted() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    here.home.wait_until_all_up();
    let before = state(here);
    let (mut deeds, mut next, mut last) = (DEEDS.iter(), 20, BTreeMap::new());
    let outcome = transfer::run(&Transfer::of(150), here, there, |progress| {
        if tenths(progress) >= next
            && let Some((deed, what)) = deeds.next()
        {
            let counted = repairs(here).get(*what).copied().unwrap_or(0);
            here.home.namespace.shell(deed);
            let time = time_to(here, &before);
            println!("{deed}: put right after {time:?}");
            let most = Duration::from_secs(2);
            assert!(
                time.is_some_and(|time| time < most),
                "{deed}: {:#?}",
                state(here)
            );
            let now = repairs(here);
            assert!(
                now.get(*what) > Some(&counted),
                "{deed} is not counted: {now:?}"
            );
            next = tenths(progress) + 12;
        }
        last = by_source(progress);
    })
    .unwrap();
    println!(
        "{:.1} Mbit/s, longest stall {:?}; subflows {last:?}; {:?}",
        outcome.rate(),
        outcome.longest_stall(),
        repairs(here)
    );
    assert!(outcome.intact, "the data came out different");
    assert_eq!(deeds.count(), 0, "the transfer ended before the deeds");
    assert_eq!(last, one_per_path(here), "subflows at the end");
    assert!(
        outcome.longest_stall() <= Duration::from_secs(2),
        "it stood still"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn who_deletes_the_same_again_and_again_is_named_and_not_fought() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let site = &lab.sites[0];
    site.home.wait_until_all_up();
    let (start, mut deleted) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(12) {
        let rules = site.home.namespace.shell("ip rule");
        if rules.contains("5182:") {
            site.home.namespace.shell("ip rule del priority 5182");
            deleted += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = site.home.status().unwrap();
    println!("deleted {deleted} times: {:?}", status.site.warnings);
    assert!((10..40).contains(&deleted), "{deleted} times");
    let named = |warning: &String| warning.contains("systemd-networkd");
    assert!(
        status.site.warnings.iter().any(named),
        "{:?}",
        status.site.warnings
    );
    let paths = &status.peers[0].paths;
    assert!(
        paths.iter().all(|path| path.reason.is_none()),
        "a path suffered"
    );
}
