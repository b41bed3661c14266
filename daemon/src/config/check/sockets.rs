//! A site's links must get a socket each. The kernel refuses a second one on the same port where
//! both could take a packet: their devices are one, or one has none, and so are their addresses
//! (`udp_lib_lport_inuse`, net/ipv4/udp.c).

use std::net::IpAddr;
use std::ops::Range;

use crate::config::checked::SiteKind;
use crate::config::problem::Problem;
use crate::config::section::At;

use super::link::Draft;
use super::site;

pub(super) fn check(site: &site::Draft<'_>, problems: &mut Vec<Problem>) {
    let clash = match site.kind {
        Some(SiteKind::Pathweave) => pathweave,
        Some(SiteKind::WireGuard) => wireguard,
        None => return,
    };
    let known = || site.links.iter().filter(|link| link.binding_known);
    for (at, second) in known().enumerate() {
        problems.extend(known().take(at).find_map(|first| clash(first, second)));
    }
}

/// Each link of a plain wg site is one of its wg interfaces.
fn wireguard(first: &Draft<'_>, second: &Draft<'_>) -> Option<Problem> {
    let (other, place) = same_interface(first, second)?;
    let what = format!("{} is this wg interface already", called(first));
    let remedy = "each link of a plain wg site is a wg interface of its own";
    Some(Problem::new(place, what, remedy).after(other))
}

fn pathweave(first: &Draft<'_>, second: &Draft<'_>) -> Option<Problem> {
    if let Some((address, other, place)) = same_source(first, second) {
        let what = format!("{} has the source {address} already", called(first));
        let remedy = "each link needs an address of its own: that of its ISP";
        return Some(Problem::new(place, what, remedy).after(other));
    }
    if !first.sources.is_empty() && !second.sources.is_empty() {
        return None;
    }
    if let Some((other, place)) = same_interface(first, second) {
        let what = format!("{} uses the same interface", called(first));
        let remedy = "two ISPs on one device need a `source` address each";
        return Some(Problem::new(place, what, remedy).after(other));
    }
    if first.interface.is_some() && second.interface.is_some() {
        return None;
    }
    let what = format!(
        "{} and this link would take each other's packets: one has a device and no address, the \
         other an address and no device",
        called(first)
    );
    let remedy = "give both an `interface`, or both a `source`";
    let other = first.place.clone();
    Some(Problem::new(second.place.clone(), what, remedy).beside(other, "the other link"))
}

fn same_interface(a: &Draft<'_>, b: &Draft<'_>) -> Option<(Range<usize>, Range<usize>)> {
    let ((first, at), (second, again)) = (a.interface.as_ref()?, b.interface.as_ref()?);
    (first == second).then(|| (at.clone(), again.clone()))
}

fn same_source(a: &Draft<'_>, b: &Draft<'_>) -> Option<(IpAddr, Range<usize>, Range<usize>)> {
    let same = |(address, place): &At<IpAddr>| {
        let (_, other) = a.sources.iter().find(|(other, _)| other == address)?;
        Some((*address, other.clone(), place.clone()))
    };
    b.sources.iter().find_map(same)
}

fn called(link: &Draft<'_>) -> String {
    match link.text {
        Some(name) => format!("link {}", name.escape_debug()),
        None => "another link".to_owned(),
    }
}
