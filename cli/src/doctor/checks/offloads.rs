//! Offloads that are not used, and what they would bring (measured: processor time per gigabyte).

use std::collections::BTreeMap;

use pathweaved::control::Offload;

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity};
use super::links::Troubled as _;

/// What the daemon asks for.
const BUFFER: usize = 4 << 20;

const SMALL: &str = "The socket buffers are small";

type Lacks = fn(Offload) -> bool;

const OFFLOADS: [(Lacks, &str, &str, &str); 4] = [
    (
        |offload| !offload.tun,
        "TUN segmentation offload is not used",
        "packets cross the tunnel's device one by one, which costs two to three times the \
         processor time",
        "Take `offload = false` off the links in the fleet file; else the kernel is too old.",
    ),
    (
        |offload| offload.send_segments == 1,
        "UDP segmentation offload is not used",
        "datagrams are sent one by one, which costs about twice the processor time",
        "Take `offload = false` off the links in the fleet file; else the device or its driver \
         refuses it: `ethtool -k DEVICE | grep udp-seg`.",
    ),
    (
        |offload| offload.send_segments > 0 && !offload.receive,
        "UDP receive offload is not used",
        "datagrams come in one by one, which costs about twice the processor time",
        "Take `offload = false` off the links in the fleet file; else the kernel is too old.",
    ),
    (
        |offload| (1..BUFFER).contains(&offload.socket_buffer),
        SMALL,
        "bursts may be lost, which costs up to half the rate of fast lines",
        "Let pathweaved have CAP_NET_ADMIN, or allow more:",
    ),
];

pub(crate) fn missing(facts: &Facts) -> Vec<Finding> {
    let mut lacking: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let up = facts.paths().filter(|(_, path)| path.trouble().is_none());
    for (peer, path) in up {
        let lacks = OFFLOADS.iter().enumerate();
        for (place, _) in lacks.filter(|(_, (lacks, ..))| lacks(path.offload)) {
            let paths = lacking.entry(place).or_default();
            paths.push(format!("{} to {}", path.path, peer.site));
        }
    }
    let found = lacking.into_iter().filter_map(|(place, paths)| {
        let (_, what, costs, remedy) = *OFFLOADS.get(place)?;
        let noun = if paths.len() == 1 { "path" } else { "paths" };
        let reason = format!("{what} on {noun} {}: {costs}.", listed(&paths));
        let found = Finding::new(Severity::Advice, "offloads", reason, remedy);
        Some(if what == SMALL {
            let sysctl = |way: &str| format!("net.core.{way}mem_max = {BUFFER}");
            found.line(sysctl("r")).line(sysctl("w"))
        } else {
            found
        })
    });
    found.collect()
}

/// Of hundreds of paths, some.
fn listed(paths: &[String]) -> String {
    match paths {
        [some @ .., last] if (1..4).contains(&some.len()) => {
            format!("{} and {last}", some.join(", "))
        }
        [one] => one.clone(),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
        [] => String::new(),
    }
}
