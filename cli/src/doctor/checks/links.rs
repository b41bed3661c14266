//! Our links: their routes, filters that drop what comes in, and lines that are one and the same.

use std::collections::BTreeMap;

use pathweaved::control::{PathStatus, PeerStatus, Trouble};

use super::super::facts::{Facts, name};
use super::super::finding::{Finding, Severity};

const STRICT: &str = "1";

/// Reverse path filtering of one device: the larger of two values holds (ip-sysctl.rst).
fn filter(facts: &Facts, device: &str) -> Option<String> {
    let value = |of: &str| {
        let name = format!("net.ipv4.conf.{of}.rp_filter");
        facts.kernel.sysctls.get(&name).cloned()
    };
    value(device).max(value("all"))
}

pub(crate) fn is_filtered(facts: &Facts, path: &PathStatus) -> bool {
    let devices = path.diagnosis.device.iter().chain([&path.interface]);
    let strict = |device: &String| filter(facts, device).as_deref() == Some(STRICT);
    facts.same_namespace() && is_silent(path) && devices.into_iter().any(strict)
}

pub(crate) fn is_routeless(facts: &Facts, path: &PathStatus) -> bool {
    let v6 = path
        .endpoint
        .as_deref()
        .is_some_and(|to| to.starts_with('['));
    let routes = &facts.kernel.default_routes[usize::from(v6)];
    let device = path.diagnosis.device.as_ref();
    let no_route = device.is_some_and(|device| !routes.contains(device));
    // A socket that is bound to a device sends without a route, too: to nobody (route.c).
    let is_idle = is_silent(path) || path.diagnosis.trouble == Some(Trouble::NoWay);
    facts.same_namespace() && is_idle && no_route
}

/// Nothing comes in, or nothing any more.
fn is_silent(path: &PathStatus) -> bool {
    match path.diagnosis.trouble {
        Some(
            Trouble::NoAnswer
            | Trouble::NothingInside
            | Trouble::Silence
            | Trouble::NotDialled
            | Trouble::PeerSaysDown,
        ) => true,
        Some(_) | None => false,
    }
}

pub(crate) fn filtered(facts: &Facts) -> Vec<Finding> {
    if !facts.same_namespace() {
        return Vec::new();
    }
    let tunnels = facts.paths().map(|(_, path)| path.interface.as_str());
    let devices: Vec<_> = facts.link_devices().into_iter().chain(tunnels).collect();
    let strict = devices
        .into_iter()
        .filter(|device| filter(facts, device).as_deref() == Some(STRICT));
    strict
        .filter_map(|device| {
            let mut paths = facts.paths().map(|(_, path)| path);
            let is_on = |path: &PathStatus| {
                path.diagnosis.device.as_deref() == Some(device) || path.interface == device
            };
            let hurts = paths.any(|path| is_on(path) && is_silent(path));
            // A single link's device is where its answers leave by: strict is right.
            (hurts || facts.link_devices().len() > 1).then(|| of_filter(facts, device, hurts))
        })
        .collect()
}

fn of_filter(facts: &Facts, device: &str, hurts: bool) -> Finding {
    let (severity, what) = if hurts {
        (Severity::Degraded, "drops")
    } else {
        (Severity::Advice, "may drop")
    };
    let reason = format!(
        "Strict reverse path filtering on {device} {what} packets whose answer would leave by \
         another device, as it does where several links have default routes."
    );
    let sysctl = format!("net.ipv4.conf.{device}.rp_filter = 2");
    Finding::new(
        severity,
        format!("rp_filter of {device}"),
        reason,
        "Make it loose, now with `sysctl -w`, and for good in /etc/sysctl.d:",
    )
    .line(&sysctl)
    .because(format!("net.ipv4.conf.{device}.rp_filter, or all"), STRICT)
    .because(
        "packets dropped by it (IPReversePathFilter)",
        facts.kernel.filtered,
    )
}

pub(crate) fn routeless(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (peer, path) in facts.paths() {
        if let Some(device) = path.diagnosis.device.as_deref()
            && is_routeless(facts, path)
        {
            found.entry(device).or_default().push(name(peer, path));
        }
    }
    found
        .into_iter()
        .map(|(device, paths)| {
            let reason = format!(
                "{device} has no default route in the main table, so nothing gets through on {}.",
                paths.join(" and ")
            );
            let remedy = "Give it one with a metric of its own, behind those of the other links:";
            let line = format!("ip route add default via GATEWAY dev {device} metric 200");
            Finding::new(
                Severity::Degraded,
                format!("route of {device}"),
                reason,
                remedy,
            )
            .line(line)
        })
        .collect()
}

/// Links that should be independent and are not.
pub(crate) fn shared(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<_> = facts.peers().flat_map(seen_as_one).collect();
    findings.extend(one_device(facts));
    findings
}

/// The peer's links leave by one line: they are seen under one address. Of plain WireGuard, each
/// of whose interfaces is a link, that is to be expected.
fn seen_as_one(peer: &PeerStatus) -> Vec<Finding> {
    let mut lines: BTreeMap<&str, Vec<&PathStatus>> = BTreeMap::new();
    for path in peer.paths.iter().filter(|path| path.trouble().is_none()) {
        let endpoint = path.endpoint.as_deref();
        if let Some((address, _)) = endpoint.and_then(|endpoint| endpoint.rsplit_once(':')) {
            lines.entry(address).or_default().push(path);
        }
    }
    let shared = lines.into_iter().filter_map(|(address, paths)| {
        let mut links: Vec<_> = paths.iter().map(|path| path.remote_link.as_str()).collect();
        links.sort_unstable();
        links.dedup();
        (links.len() > 1 && peer.version.is_some()).then(|| {
            let (site, links) = (&peer.site, links.join(" and "));
            Finding::new(
                Severity::Degraded,
                format!("{site}'s links {links}"),
                format!(
                    "What {site} sends by its links {links} comes from one address, {address}: \
                     they share one line, and compete instead of adding up."
                ),
                format!(
                    "Look at the routes and the cables there: each link's device should lead to \
                     an ISP of its own (at {site}: `ip route show default`)."
                ),
            )
            .because("address", address)
        })
    });
    shared.collect()
}

fn one_device(facts: &Facts) -> Option<Finding> {
    let mut devices: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, path) in facts.paths() {
        if let Some(device) = &path.diagnosis.device {
            let links = devices.entry(device).or_default();
            if !links.contains(&path.link.as_str()) {
                links.push(&path.link);
            }
        }
    }
    let (device, links) = devices.into_iter().find(|(_, links)| links.len() > 1)?;
    let links = links.join(" and ");
    Some(Finding::new(
        Severity::Advice,
        format!("links {links}"),
        format!(
            "The links {links} leave by one device, {device}: together they carry no more than it \
             does, and fail with it."
        ),
        "If they are meant to be independent, give each a device of its own; else nothing need be \
         done.",
    ))
}

/// What the paths' checks share.
pub(super) trait Troubled {
    fn trouble(&self) -> Option<Trouble>;
}

impl Troubled for PathStatus {
    /// Also of a daemon that has no word for it.
    fn trouble(&self) -> Option<Trouble> {
        let told = self.diagnosis.trouble;
        told.or_else(|| self.reason.as_ref().map(|_| Trouble::Other))
    }
}
