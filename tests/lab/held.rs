//! What a daemon holds of the machine, to see that nothing is left behind.

use std::collections::BTreeMap;
use std::fs;

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

/// The daemon's resident memory in KiB.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
