//! What a daemon holds of the machine, to see that nothing is left behind.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::laboratory::Site;

/// What a daemon holds of the machine: lines of kernel state, and descriptors and threads if it is
/// the site's own.
pub fn held(site: &Site) -> BTreeMap<&'static str, usize> {
    let pid = site.daemon.as_ref().map_or(0, Daemon::pid);
    let entries =
        |folder: &str| fs::read_dir(format!("/proc/{pid}/{folder}")).map_or(0, Iterator::count);
    let lines = |command: &str| site.home.namespace.shell(command).lines().count();
    [
        ("descriptors", entries("fd")),
        ("threads", entries("task")),
        ("addresses", lines("ip -oneline addr")),
        ("rules", lines("ip rule; ip -6 rule")),
        (
            "routes",
            lines("ip route show table all; ip -6 route show table all"),
        ),
        ("endpoints", lines("ip mptcp endpoint")),
        ("devices", lines("ip -oneline link")),
    ]
    .into()
}

/// What both ends of a lab hold.
pub type Both = [BTreeMap<&'static str, usize>; 2];

/// What is held beyond `before`. Some things take a moment to go: a connection that the CLI had.
pub fn left_behind(sites: &[Site], before: &Both) -> Option<Both> {
    let give_up = Instant::now() + Duration::from_secs(5);
    loop {
        let now = both(sites);
        let more = |(now, before): (&BTreeMap<_, usize>, &BTreeMap<_, usize>)| {
            now.iter()
                .any(|(what, count)| before.get(what) < Some(count))
        };
        if !now.iter().zip(before).any(more) {
            return None;
        }
        if Instant::now() > give_up {
            return Some(now);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub fn both(sites: &[Site]) -> Both {
    [held(&sites[0]), held(&sites[1])]
}

/// The daemon's resident memory in KiB.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
