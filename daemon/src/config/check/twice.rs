//! What may stand in the file once only: ids, keys, endpoints, networks, the names of a site's
//! links. Of two, the one further down is the mistake.

use std::ops::Range;

use crate::config::problem::Problem;
use crate::config::section::At;

use super::address::overlap;
use super::{link, site};

/// Something in the file, and whose it is.
struct Standing<T> {
    what: T,
    place: Range<usize>,
    /// Which of the sites.
    site: usize,
    /// "site nara", "link nara/fiber"
    owner: String,
}

pub(super) fn check(sites: &[site::Draft<'_>], problems: &mut Vec<Problem>) {
    ids(sites, problems);
    keys(sites, problems);
    endpoints(sites, problems);
    subnets(sites, problems);
    link_names(sites, problems);
}

fn ids(sites: &[site::Draft<'_>], problems: &mut Vec<Problem>) {
    let ids = of_sites(sites, |site| site.id.iter().cloned().collect());
    let same = |a: &Standing<_>, b: &Standing<_>| a.what == b.what;
    again(ids, same, problems, |first, _| {
        let what = format!("{} has the id {} already", first.owner, first.what);
        (what, "give every site a number of its own")
    });
}

/// The interfaces of one plain wg site may have one key.
fn keys(sites: &[site::Draft<'_>], problems: &mut Vec<Problem>) {
    let mut keys = of_sites(sites, |site| site.public_key.iter().cloned().collect());
    keys.extend(of_links(sites, |link| link.public_key.clone()));
    let same = |a: &Standing<_>, b: &Standing<_>| a.site != b.site && a.what == b.what;
    again(keys, same, problems, |first, _| {
        let what = format!("{} has this public key already", first.owner);
        let remedy = "give every site a key pair of its own: `pathweave genkey`";
        (what, remedy)
    });
}

fn endpoints(sites: &[site::Draft<'_>], problems: &mut Vec<Problem>) {
    let endpoints = of_links(sites, |link| link.endpoint.clone());
    let same = |a: &Standing<_>, b: &Standing<_>| a.what == b.what;
    again(endpoints, same, problems, |first, _| {
        let what = format!("{} has the same endpoint, {}", first.owner, first.what);
        let remedy = "each link is reached at an address or a port of its own";
        (what, remedy)
    });
}

fn subnets(sites: &[site::Draft<'_>], problems: &mut Vec<Problem>) {
    let subnets = of_sites(sites, |site| site.subnets.clone());
    let clash = |a: &Standing<_>, b: &Standing<_>| overlap(a.what, b.what);
    again(subnets, clash, problems, |first, second| {
        let (net, other, owner) = (second.what, first.what, &first.owner);
        let what = format!("{net} overlaps {other} of {owner}");
        (
            what,
            "each network lies at one site only, and is named once",
        )
    });
}

fn link_names(sites: &[site::Draft<'_>], problems: &mut Vec<Problem>) {
    let names = of_links(sites, |link| link.name.clone());
    let same = |a: &Standing<_>, b: &Standing<_>| a.site == b.site && a.what == b.what;
    again(names, same, problems, |first, _| {
        let what = format!("this site has a link called {} already", first.what);
        (what, "give each link a name of its own")
    });
}

/// Tells of each thing that clashes with one further up. `say` gets both.
fn again<T>(
    mut all: Vec<Standing<T>>,
    clash: impl Fn(&Standing<T>, &Standing<T>) -> bool,
    problems: &mut Vec<Problem>,
    say: impl Fn(&Standing<T>, &Standing<T>) -> (String, &'static str),
) {
    all.sort_by_key(|thing| thing.place.start);
    for (at, second) in all.iter().enumerate() {
        if let Some(first) = all.iter().take(at).find(|first| clash(first, second)) {
            let (what, remedy) = say(first, second);
            let problem = Problem::new(second.place.clone(), what, remedy);
            problems.push(problem.after(first.place.clone()));
        }
    }
}

fn of_sites<T>(
    sites: &[site::Draft<'_>],
    of: impl Fn(&site::Draft<'_>) -> Vec<At<T>>,
) -> Vec<Standing<T>> {
    let mut all = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        all.extend(of(site).into_iter().map(|(what, place)| Standing {
            what,
            place,
            site: index,
            owner: format!("site {}", site.text.escape_debug()),
        }));
    }
    all
}

fn of_links<T>(
    sites: &[site::Draft<'_>],
    of: impl Fn(&link::Draft<'_>) -> Option<At<T>>,
) -> Vec<Standing<T>> {
    let mut all = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        for link in &site.links {
            all.extend(of(link).map(|(what, place)| Standing {
                what,
                place,
                site: index,
                owner: format!("link {}", link.full_name(site.text)),
            }));
        }
    }
    all
}
