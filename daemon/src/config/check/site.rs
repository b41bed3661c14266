//! One `[site.NAME]`.

use std::ops::Range;

use ipnetwork::IpNetwork;
use toml::de::DeTable;

use crate::config::checked::{Link, Site, SiteKind};
use crate::config::problem::Problem;
use crate::config::section::{At, Section};
use crate::names::SiteId;

use super::key::public_key;
use super::{KEYS, link};

/// A site, and where its parts stand in the file.
pub(super) struct Named {
    pub(super) site: Site,
    pub(super) id_place: Range<usize>,
    pub(super) key_place: Range<usize>,
    pub(super) subnets: Vec<At<IpNetwork>>,
    pub(super) links: Vec<link::Placed>,
}

pub(super) fn read(
    name: &str,
    table: &DeTable<'_>,
    place: Range<usize>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Option<Named> {
    let section = Section::new(table, place.clone(), "a site", KEYS[1].1, problems);
    let kind = kind(&section, problems);
    let id = id(&section, problems);
    let key = section.text("public_key", problems);
    section.missing(
        "public_key",
        "write what `pathweave pubkey` prints at that site",
        problems,
    );
    let key = key.and_then(|at| public_key(at, problems));
    let subnets = subnets(&section, problems);
    let links = links(&section, kind, port, problems);
    let name = match name.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let what = format!("{name:?} is no name for a site: {error}");
            problems.push(Problem::new(
                place,
                what,
                "rename the table, for example [site.nara]",
            ));
            None
        }
    };
    let ((id, id_place), (public_key, key_place)) = (id?, key?);
    let plain = |subnets: &[At<IpNetwork>]| subnets.iter().map(|(net, _)| *net).collect();
    let only = |links: &[link::Placed]| links.iter().map(|l| l.link.clone()).collect::<Vec<Link>>();
    let site = Site {
        id,
        name: name?,
        kind,
        public_key,
        subnets: plain(&subnets),
        links: only(&links),
    };
    Some(Named {
        site,
        id_place,
        key_place,
        subnets,
        links,
    })
}

fn kind(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> SiteKind {
    match section.text("kind", problems) {
        None | Some(("pathweave", _)) => SiteKind::Pathweave,
        Some(("wireguard", _)) => SiteKind::WireGuard,
        Some((other, place)) => {
            let what = format!("{other:?} is no kind of site");
            let remedy = "write \"pathweave\" (or leave it out), or \"wireguard\" for plain wg";
            problems.push(Problem::new(place, what, remedy));
            SiteKind::Pathweave
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
        problems.push(Problem::new(
            place.clone(),
            format!("{number} is no site id"),
            remedy,
        ));
    }
    Some((id?, place))
}

fn subnets(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Vec<At<IpNetwork>> {
    let mut subnets = Vec::new();
    for (text, place) in section.texts("subnets", problems).unwrap_or_default() {
        let mut refuse = |what: String, remedy: String| {
            problems.push(Problem::new(place.clone(), what, remedy));
        };
        match text.parse::<IpNetwork>() {
            Err(_) => refuse(
                format!("{text:?} is no network"),
                "write it like \"192.168.10.0/24\" or \"2001:db8:10::/64\"".to_owned(),
            ),
            Ok(net) if net.ip() != net.network() => {
                let right = format!("{}/{}", net.network(), net.prefix());
                refuse(
                    format!("{net} has host bits set"),
                    format!("did you mean {right:?}?"),
                );
            }
            Ok(net) if net.prefix() == 0 => refuse(
                "a site cannot have the whole Internet as its subnet".to_owned(),
                "name the networks of its storage".to_owned(),
            ),
            Ok(net) => subnets.push((net, place)),
        }
    }
    subnets
}

fn links(
    section: &Section<'_, '_>,
    kind: SiteKind,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Vec<link::Placed> {
    let remedy = "list its ISPs: links = [ { name = \"fiber\", interface = \"eth1\" } ]";
    section.missing("links", remedy, problems);
    let Some(tables) = section.tables("links", problems) else {
        return Vec::new();
    };
    if tables.is_empty() {
        problems.push(Problem::new(section.place(), "a site has no links", remedy));
    }
    let read = |(table, place): At<&DeTable<'_>>| link::read(table, place, kind, port, problems);
    tables.into_iter().filter_map(read).collect()
}
