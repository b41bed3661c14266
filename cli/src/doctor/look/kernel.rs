//! The kernel's settings, counters and routes of this network namespace, by their files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pathweaved::host::LINUX_6_12;

use super::super::facts::Kernel;

const SYSCTLS: [&str; 3] = [
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.conf.all.rp_filter",
];
/// RTF_UP and not RTF_REJECT (linux/route.h).
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

pub(super) fn look(devices: &[String], unseen: &mut Vec<String>) -> Kernel {
    let filters = devices
        .iter()
        .map(|device| format!("net.ipv4.conf.{device}.rp_filter"));
    let names = SYSCTLS.into_iter().map(str::to_owned).chain(filters);
    let inode = |process: &str| {
        let file = fs::metadata(format!("/proc/{process}/ns/net"));
        file.map(|file| file.ino())
    };
    let first = inode("1");
    if first.is_err() {
        unseen.push(
            "whether the daemon is in a container was not looked at: try again with sudo"
                .to_owned(),
        );
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Kernel {
        release: release.trim().to_owned(),
        is_6_12: Path::new("/proc/sys").join(LINUX_6_12).exists(),
        sysctls: names
            .filter_map(|name| Some((sysctl(&name)?, name)))
            .map(|(v, n)| (n, v))
            .collect(),
        filtered: counter("TcpExt", "IPReversePathFilter"),
        default_routes: default_routes(),
        namespace: inode("self").ok(),
        first_namespace: first.ok(),
    }
}

/// A device's name may have dots in it.
fn sysctl(name: &str) -> Option<String> {
    let path = match name.strip_prefix("net.ipv4.conf.") {
        Some(rest) => {
            let (device, last) = rest.rsplit_once('.')?;
            format!("net/ipv4/conf/{device}/{last}")
        }
        None => name.replace('.', "/"),
    };
    let text = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Two lines begin with a group's name: the names, and the numbers.
fn counter(group: &str, name: &str) -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut of_group = lines.by_ref().filter(|(found, _)| *found == group);
    let names = of_group
        .next()
        .map_or("", |(_, names)| names)
        .split_whitespace();
    let numbers = of_group
        .next()
        .map_or("", |(_, numbers)| numbers)
        .split_whitespace();
    let counters: BTreeMap<_, _> = names.zip(numbers).collect();
    counters
        .get(name)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Of the main table; a link whose default route stands in another one can send all the same,
/// which the daemon knows.
fn default_routes() -> [BTreeSet<String>; 2] {
    let read = |file: &str| fs::read_to_string(format!("/proc/thread-self/net/{file}"));
    let v4 = read("route").unwrap_or_default();
    let v6 = read("ipv6_route").unwrap_or_default();
    let v4 = v4.lines().skip(1).filter_map(default_v4);
    let v6 = v6.lines().filter_map(default_v6);
    [
        v4.map(str::to_owned).collect(),
        v6.map(str::to_owned).collect(),
    ]
}

/// Iface Destination Gateway Flags RefCnt Use Metric Mask …
fn default_v4(line: &str) -> Option<&str> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [device, "00000000", _, flags, _, _, _, "00000000", ..] = words[..] else {
        return None;
    };
    is_usable(flags).then_some(device)
}

/// Destination, its length, source, its length, next hop, metric, two counts, flags, device.
fn default_v6(line: &str) -> Option<&str> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [_, "00", _, _, _, _, _, _, flags, device] = words[..] else {
        return None;
    };
    (is_usable(flags) && device != "lo").then_some(device)
}

fn is_usable(flags: &str) -> bool {
    let flags = u32::from_str_radix(flags, 16).unwrap_or(0);
    flags & UP != 0 && flags & REJECT == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_is_told_from_others_in_both_families() {
        let v4 = "isp1\t00000000\t00000000\t0001\t0\t0\t101\t00000000\t0\t0\t0";
        assert_eq!(default_v4(v4), Some("isp1"));
        let host = "isp1\t020112C6\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0";
        assert_eq!(default_v4(host), None);
        let refusing = "*\t00000000\t00000000\t0200\t0\t0\t9\t00000000\t0\t0\t0";
        assert_eq!(default_v4(refusing), None);
        let zero = "0".repeat(32);
        let v6 = format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001 isp1");
        assert_eq!(default_v6(&v6), Some("isp1"));
        let none = format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo");
        assert_eq!(default_v6(&none), None);
    }
}
