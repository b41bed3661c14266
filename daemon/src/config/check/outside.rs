//! Nothing of the outer world may lie inside the overlay or behind a tunnel, or packets would
//! turn in circles.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::config::checked::{Host, OverlayPrefixes};
use crate::config::problem::Problem;
use crate::config::section::At;

use super::address::overlap;
use super::{link, site};

pub(super) fn check(
    sites: &[site::Draft<'_>],
    overlay: Option<OverlayPrefixes>,
    problems: &mut Vec<Problem>,
) {
    for site in sites {
        if let Some(overlay) = overlay {
            of_the_overlay(site, overlay, problems);
        }
        for subnet in &site.subnets {
            problems.extend(holds_an_endpoint(subnet, sites));
        }
    }
}

fn of_the_overlay(site: &site::Draft<'_>, overlay: OverlayPrefixes, problems: &mut Vec<Problem>) {
    let remedy = "use an address outside the overlay, or another `overlay`";
    let inside = |net: IpNetwork| overlay.networks().find(|prefix| overlap(*prefix, net));
    for (subnet, place) in &site.subnets {
        if let Some(prefix) = inside(*subnet) {
            let what = format!("{subnet} overlaps the overlay, {prefix}");
            problems.push(Problem::new(place.clone(), what, remedy));
        }
    }
    let sources = site.links.iter().flat_map(|link| link.sources.clone());
    let endpoints = site.links.iter().filter_map(address);
    for (address, place) in sources.chain(endpoints) {
        if let Some(prefix) = inside(address.into()) {
            let what = format!("{address} lies inside the overlay, {prefix}");
            problems.push(Problem::new(place, what, remedy));
        }
    }
}

/// Other sites would send what a tunnel carries into that tunnel.
fn holds_an_endpoint(
    (subnet, place): &At<IpNetwork>,
    sites: &[site::Draft<'_>],
) -> Option<Problem> {
    let links = |site| {
        let site: &site::Draft<'_> = site;
        site.links.iter().map(|link| (site.text, link))
    };
    let (name, (address, endpoint)) = sites.iter().flat_map(links).find_map(|(site, link)| {
        let (address, place) = address(link)?;
        let held = subnet.contains(address);
        held.then(|| (link.full_name(site), (address, place)))
    })?;
    let what = format!("{subnet} holds {address}, the endpoint of {name}");
    let remedy = "name smaller networks, without the endpoint: tunnels are carried outside of \
                  tunnels";
    let problem = Problem::new(place.clone(), what, remedy);
    Some(problem.beside(endpoint, "this endpoint"))
}

fn address(link: &link::Draft<'_>) -> Option<At<IpAddr>> {
    let (endpoint, place) = link.endpoint.as_ref()?;
    match endpoint.host {
        Host::Address(address) => Some((address, place.clone())),
        Host::Name(_) => None,
    }
}
