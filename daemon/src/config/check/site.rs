//! One `[site.NAME]`.

use std::ops::Range;

use ipnetwork::IpNetwork;
use toml::de::DeTable;

use crate::config::checked::{Listen, Site, SiteKind};
use crate::config::problem::Problem;
use crate::config::section::{At, Section};
use crate::names::{Name, PublicKey, SiteId};

use super::address::special;
use super::key::public_key;
use super::{KEYS, link, metrics};

/// A site as far as it could be read, and where its parts stand in the file.
pub(super) struct Draft<'t> {
    /// The name as the file writes it, good or bad.
    pub(super) text: &'t str,
    name: Option<Name>,
    pub(super) kind: Option<SiteKind>,
    pub(super) kind_place: Range<usize>,
    pub(super) id: Option<At<SiteId>>,
    pub(super) public_key: Option<At<PublicKey>>,
    pub(super) subnets: Vec<At<IpNetwork>>,
    metrics: Option<Listen>,
    pub(super) links: Vec<link::Draft<'t>>,
    /// Whether the name of every link is known.
    pub(super) all_links: bool,
}

pub(super) fn read<'t>(
    (text, place): At<&'t str>,
    table: &'t DeTable<'_>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Draft<'t> {
    let section = Section::new(table, place, "a site", KEYS[1].1, problems);
    let kind = kind(&section, problems);
    let id = id(&section, problems);
    let remedy = "write what `pathweave pubkey` prints at that site";
    section.missing("public_key", remedy, problems);
    let key = section.text("public_key", problems);
    let public_key = key.and_then(|at| public_key(at, problems));
    let subnets = subnets(&section, problems);
    let metrics = metrics::read(&section, problems);
    let (links, all_links) = links(&section, kind, port, problems);
    Draft {
        text,
        name: name(text, &section, problems),
        kind,
        kind_place: section.place_of("kind"),
        id,
        public_key,
        subnets,
        metrics,
        links,
        all_links,
    }
}

impl Draft<'_> {
    /// `None` if something is wrong with it, which is told already.
    pub(super) fn finish(self) -> Option<Site> {
        let links = self.links.into_iter().map(link::Draft::finish);
        Some(Site {
            id: self.id?.0,
            name: self.name?,
            kind: self.kind?,
            public_key: self.public_key?.0,
            subnets: self.subnets.into_iter().map(|(net, _)| net).collect(),
            metrics: self.metrics,
            links: links.collect::<Option<_>>()?,
        })
    }
}

fn name(text: &str, section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<Name> {
    let refused = |error| {
        let what = format!("{text:?} is no name for a site: {error}");
        let remedy = "rename the table, for example [site.nara]";
        problems.push(Problem::new(section.place(), what, remedy));
    };
    text.parse().map_err(refused).ok()
}

fn kind(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<SiteKind> {
    if !section.has("kind") {
        return Some(SiteKind::Pathweave);
    }
    match section.text("kind", problems)? {
        ("pathweave", _) => Some(SiteKind::Pathweave),
        ("wireguard", _) => Some(SiteKind::WireGuard),
        (other, place) => {
            let what = format!("{other:?} is no kind of site");
            let remedy = "write \"pathweave\" (or leave it out), or \"wireguard\" for plain wg";
            problems.push(Problem::new(place, what, remedy));
            None
        }
    }
}

fn id(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<At<SiteId>> {
    let remedy = "give every site a number of its own from 1 to 254: it becomes the third \
                  octet of its overlay addresses";
    section.missing("id", remedy, problems);
    let (number, place) = section.integer("id", problems)?;
    let id = u8::try_from(number).ok().and_then(SiteId::new);
    if id.is_none() {
        let what = format!("{number} is no site id");
        problems.push(Problem::new(place.clone(), what, remedy));
    }
    Some((id?, place))
}

fn subnets(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Vec<At<IpNetwork>> {
    let mut subnets = Vec::new();
    for (text, place) in section.texts("subnets", problems).unwrap_or_default() {
        match subnet(text) {
            Ok(net) => subnets.push((net, place)),
            Err((what, remedy)) => problems.push(Problem::new(place, what, remedy)),
        }
    }
    subnets
}

/// Or what is wrong, and the remedy.
fn subnet(text: &str) -> Result<IpNetwork, (String, String)> {
    const STORAGE: &str = "name the networks of its storage";
    let Ok(net) = text.parse::<IpNetwork>() else {
        let remedy = "write it like \"192.168.10.0/24\" or \"2001:db8:10::/64\"";
        return Err((format!("{text:?} is no network"), remedy.to_owned()));
    };
    if net.ip() != net.network() {
        let right = format!("{}/{}", net.network(), net.prefix());
        let what = format!("{net} has host bits set");
        return Err((what, format!("did you mean {right:?}?")));
    }
    if net.prefix() == 0 {
        let what = "a site cannot have the whole Internet as its subnet";
        return Err((what.to_owned(), STORAGE.to_owned()));
    }
    if let Some(what) = special(net) {
        let what = format!("{net} lies behind no site: it holds {what} addresses");
        return Err((what, STORAGE.to_owned()));
    }
    Ok(net)
}

/// And whether the name of each is known.
fn links<'t>(
    section: &Section<'t, '_>,
    kind: Option<SiteKind>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> (Vec<link::Draft<'t>>, bool) {
    let remedy = "list its ISPs: links = [ { name = \"fiber\", interface = \"eth1\" } ]";
    section.missing("links", remedy, problems);
    let before = problems.len();
    let Some(tables) = section.tables("links", problems) else {
        return (Vec::new(), false);
    };
    let all_tables = problems.len() == before;
    if tables.is_empty() && all_tables {
        let place = section.place_of("links");
        problems.push(Problem::new(place, "a site has no links", remedy));
    }
    let read = |(table, place): At<_>| link::read(table, place, kind, port, problems);
    let links: Vec<_> = tables.into_iter().map(read).collect();
    let named = links.iter().all(|link| link.text.is_some());
    (links, all_tables && named)
}
