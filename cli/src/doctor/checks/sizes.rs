//! Links that carry smaller packets than they should, and do not say so.

use super::super::facts::{Facts, name};
use super::super::finding::{Finding, Severity};
use super::links::Troubled as _;

/// What WireGuard adds over IPv6, of which the daemon keeps room for either family.
const OVERHEAD: u16 = 80;

pub(crate) fn swallowed(facts: &Facts) -> Vec<Finding> {
    let up = facts.paths().filter(|(_, path)| path.trouble().is_none());
    let smaller = up.filter(|(_, path)| path.mtu < path.diagnosis.mtu_hoped);
    smaller
        .map(|(peer, path)| {
            let hoped = path.diagnosis.mtu_hoped;
            let outer = path.mtu + OVERHEAD;
            let reason = format!(
                "It swallows packets of more than {} bytes without a word, where {hoped} should \
                 pass; pathweaved has found it out and sends no larger ones.",
                path.mtu
            );
            let remedy = format!(
                "Nothing need be done; `mtu = {outer}` at the link {} or {} spares the search, and \
                 a device on the way that drops ICMP should be told not to.",
                path.link, path.remote_link
            );
            Finding::new(Severity::Advice, name(peer, path), reason, remedy)
                .because("mtu", path.mtu)
                .because("hoped", hoped)
        })
        .collect()
}
