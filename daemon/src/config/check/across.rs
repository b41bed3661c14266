//! Rules that hold between sites, between links, and between the paths of two sites.

use std::ops::Range;

use ipnetwork::IpNetwork;

use crate::config::checked::{Fleet, Host, OverlayPrefixes, Pairing, SiteKind};
use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::names::{PathNumber, SiteId};

use super::{KEYS, link, site};

pub(super) fn sites(
    sites: &[site::Named],
    overlay: Option<OverlayPrefixes>,
    problems: &mut Vec<Problem>,
) {
    for (at, named) in sites.iter().enumerate() {
        let before = sites.get(..at).unwrap_or_default();
        unique(named, before, problems);
        links(&named.links, problems);
        if let Some(overlay) = overlay {
            outside(named, overlay, problems);
        }
        for (position, (subnet, place)) in named.subnets.iter().enumerate() {
            let own = named.subnets.iter().take(position);
            let others = before.iter().flat_map(|other| &other.subnets).chain(own);
            if let Some((other, _)) = others.into_iter().find(|(net, _)| overlap(*net, *subnet)) {
                let what = format!("{subnet} overlaps {other}, which stands in the file already");
                let remedy = "each network lies at one site only";
                problems.push(Problem::new(place.clone(), what, remedy));
            }
        }
    }
}

fn unique(named: &site::Named, before: &[site::Named], problems: &mut Vec<Problem>) {
    let site = &named.site;
    if let Some(other) = before.iter().find(|other| other.site.id == site.id) {
        let what = format!("site {} has the id {} already", other.site.name, site.id);
        let remedy = "give every site a number of its own";
        problems.push(Problem::new(named.id_place.clone(), what, remedy));
    }
    let keys = |named: &site::Named| {
        let own = named
            .links
            .iter()
            .filter_map(|placed| placed.link.public_key);
        own.chain([named.site.public_key]).collect::<Vec<_>>()
    };
    let mine = keys(named);
    if let Some(other) = before
        .iter()
        .find(|other| keys(other).iter().any(|k| mine.contains(k)))
    {
        let what = format!("site {} has this public key already", other.site.name);
        let remedy = "give every site a key pair of its own: `pathweave genkey`";
        problems.push(Problem::new(named.key_place.clone(), what, remedy));
    }
}

fn links(links: &[link::Placed], problems: &mut Vec<Problem>) {
    for (at, placed) in links.iter().enumerate() {
        let before = links.get(..at).unwrap_or_default();
        let link = &placed.link;
        let mut refuse = |place: &Range<usize>, what: String, remedy: &str| {
            problems.push(Problem::new(place.clone(), what, remedy));
        };
        if before.iter().any(|other| other.link.name == link.name) {
            let what = format!("this site has a link called {} already", link.name);
            refuse(&placed.name_place, what, "give each link a name of its own");
        }
        let same_device = |other: &&link::Placed| {
            let both = other.link.interface.is_some() && other.link.interface == link.interface;
            both && (other.link.sources == link.sources || link.sources.is_empty())
        };
        if let Some(other) = before.iter().find(same_device) {
            let what = format!("link {} uses the same interface", other.link.name);
            let remedy = "two ISPs on one device need a `source` address each";
            refuse(&placed.place, what, remedy);
        }
        let same_end =
            |other: &&link::Placed| link.endpoint.is_some() && other.link.endpoint == link.endpoint;
        if let (Some(other), Some(place)) = (before.iter().find(same_end), &placed.endpoint_place) {
            let what = format!("link {} has the same endpoint", other.link.name);
            refuse(
                place,
                what,
                "each link is reached at an address or a port of its own",
            );
        }
    }
}

/// Nothing of the outer world may lie inside the overlay, or packets would turn in circles.
fn outside(named: &site::Named, overlay: OverlayPrefixes, problems: &mut Vec<Problem>) {
    let remedy = "use an address outside the overlay, or another `overlay`";
    let inside = |net: IpNetwork| overlay.networks().any(|prefix| overlap(prefix, net));
    let mut refuse = |place: &Range<usize>, what: String| {
        problems.push(Problem::new(place.clone(), what, remedy));
    };
    for (subnet, place) in &named.subnets {
        if inside(*subnet) {
            refuse(place, format!("{subnet} overlaps the overlay"));
        }
    }
    for placed in &named.links {
        for (source, place) in &placed.source_places {
            if inside(IpNetwork::from(*source)) {
                refuse(place, format!("{source} lies inside the overlay"));
            }
        }
        let endpoint = placed.link.endpoint.as_ref().map(|endpoint| &endpoint.host);
        if let (Some(Host::Address(address)), Some(place)) = (endpoint, &placed.endpoint_place)
            && inside(IpNetwork::from(*address))
        {
            refuse(place, format!("{address} lies inside the overlay"));
        }
    }
}

fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}

/// The explicit `[[path]]` entries.
pub(super) fn pairings(
    file: &Section<'_, '_>,
    sites: &[site::Named],
    problems: &mut Vec<Problem>,
) -> Vec<Pairing> {
    let mut pairings: Vec<Pairing> = Vec::new();
    for (table, place) in file.tables("path", problems).unwrap_or_default() {
        let section = Section::new(table, place.clone(), "a path", KEYS[3].1, problems);
        let remedy = "name two links: between = [\"nara/fiber\", \"tainan/fiber\"]";
        section.missing("between", remedy, problems);
        let Some(ends) = section.texts("between", problems) else {
            continue;
        };
        if ends.len() != 2 {
            let what = format!("a path has two ends, not {}", ends.len());
            problems.push(Problem::new(place, what, remedy));
            continue;
        }
        let ends: Vec<_> = ends
            .into_iter()
            .map(|(text, at)| end(text, at, sites, problems))
            .collect();
        let [Some(a), Some(b)] = ends.as_slice() else {
            continue;
        };
        let both = |id: SiteId| sites.iter().find(|named| named.site.id == id);
        let plain = |id| both(id).is_some_and(|named| named.site.kind == SiteKind::WireGuard);
        let mut between = [*a, *b];
        between.sort_unstable();
        if a.0 == b.0 {
            problems.push(Problem::new(
                place,
                "both ends of the path are at one site",
                remedy,
            ));
        } else if plain(a.0) && plain(b.0) {
            let what = "pathweaved runs at neither end of the path";
            problems.push(Problem::new(
                place,
                what,
                "one of the sites must be of kind pathweave",
            ));
        } else if pairings.iter().any(|pairing| pairing.between == between) {
            let what = "this path stands in the file already";
            problems.push(Problem::new(place, what, "pair other links, or remove it"));
        } else {
            pairings.push(Pairing { between });
        }
    }
    pairings
}

fn end(
    text: &str,
    place: Range<usize>,
    sites: &[site::Named],
    problems: &mut Vec<Problem>,
) -> Option<(SiteId, usize)> {
    let mut refuse = |what: String, remedy: String| {
        problems.push(Problem::new(place.clone(), what, remedy));
        None
    };
    let Some((site, link)) = text.split_once('/') else {
        return refuse(
            format!("{text:?} names no link"),
            "write site/link, for example \"nara/fiber\"".to_owned(),
        );
    };
    let Some(named) = sites.iter().find(|named| named.site.name.as_str() == site) else {
        let known: Vec<_> = sites.iter().map(|named| named.site.name.as_str()).collect();
        return refuse(
            format!("no site is called {site:?}"),
            format!("the sites are: {}", known.join(", ")),
        );
    };
    let links = || named.site.links.iter();
    match links().position(|candidate| candidate.name.as_str() == link) {
        Some(index) => Some((named.site.id, index)),
        None => {
            let known: Vec<_> = links().map(|link| link.name.as_str()).collect();
            refuse(
                format!("site {site} has no link {link:?}"),
                format!("its links are: {}", known.join(", ")),
            )
        }
    }
}

/// The kernel gives a connection 8 extra subflows at most.
pub(super) fn paths(fleet: &Fleet) -> Option<Problem> {
    let most = usize::from(PathNumber::MAX);
    let sites = || fleet.sites.values();
    let pairs = sites().flat_map(|a| sites().filter(|b| b.id > a.id).map(move |b| (a, b)));
    let too_many = pairs.map(|(a, b)| (a, b, fleet.pairs(a, b).len()));
    let (a, b, count) = too_many.into_iter().find(|(.., count)| *count > most)?;
    let what = format!("{} and {} would have {count} paths", a.name, b.name);
    let remedy = format!(
        "the kernel takes {most} paths between two sites: name the best ones with [[path]]"
    );
    Some(Problem::new(0..0, what, remedy))
}
