//! One entry of a site's `links`.

use std::net::IpAddr;
use std::ops::Range;

use toml::de::DeTable;

use crate::config::checked::{Cost, Endpoint, Host, Link, SiteKind};
use crate::config::problem::Problem;
use crate::config::section::{At, Section};
use crate::config::value;
use crate::names::{InterfaceName, PublicKey};

use super::KEYS;
use super::key::public_key;

/// The default of plain `wg`, whatever our own port is.
const WIREGUARD_PORT: u16 = 51_820;
/// A link's MTU less what a tunnel adds must leave IPv6 its 1280 (RFC 8200 section 5).
const SMALLEST_MTU: i64 = 1360;

/// A link, and where its parts stand in the file.
pub(super) struct Placed {
    pub(super) link: Link,
    pub(super) place: Range<usize>,
    pub(super) name_place: Range<usize>,
    pub(super) endpoint_place: Option<Range<usize>>,
    pub(super) source_places: Vec<At<IpAddr>>,
}

pub(super) fn read(
    table: &DeTable<'_>,
    place: Range<usize>,
    kind: SiteKind,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Option<Placed> {
    let section = Section::new(table, place.clone(), "a link", KEYS[2].1, problems);
    section.missing("name", "name the ISP: name = \"fiber\"", problems);
    let name = section.text("name", problems);
    let interface = interface(&section, problems);
    let sources = sources(&section, problems);
    let port = if kind == SiteKind::WireGuard {
        WIREGUARD_PORT
    } else {
        port
    };
    let endpoint = endpoint(&section, port, problems);
    let bare = table.get("interface").is_none() && table.get("source").is_none();
    if kind == SiteKind::Pathweave && bare {
        let what = "a link has neither `interface` nor `source`";
        let remedy = "name the device that leads to this ISP: interface = \"eth1\"";
        problems.push(Problem::new(place.clone(), what, remedy));
    }
    let own_key = own_key(&section, kind, problems);
    let (text, name_place) = name?;
    let parsed = text.parse();
    if let Err(error) = &parsed {
        let what = format!("{text:?} is no name for a link: {error}");
        problems.push(Problem::new(
            name_place.clone(),
            what,
            "rename it, for example \"fiber\"",
        ));
    }
    let (endpoint, endpoint_place) = endpoint.unzip();
    let link = Link {
        name: parsed.ok()?,
        interface,
        sources: sources.iter().map(|(address, _)| *address).collect(),
        endpoint,
        cost: cost(&section, problems),
        up: rate(&section, "up", problems),
        down: rate(&section, "down", problems),
        mtu: mtu(&section, problems),
        public_key: own_key,
    };
    Some(Placed {
        link,
        place,
        name_place,
        endpoint_place,
        source_places: sources,
    })
}

fn interface(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<InterfaceName> {
    let (text, place) = section.text("interface", problems)?;
    let mut refuse = |what: String, remedy: &str| {
        problems.push(Problem::new(place.clone(), what, remedy));
    };
    match text.parse::<InterfaceName>() {
        Err(error) => refuse(
            format!("{text:?} is no interface: {error}"),
            "write the device's name as `ip link` shows it",
        ),
        Ok(name) if name.as_str() == "lo" || name.as_str().starts_with(InterfaceName::OURS) => {
            refuse(
                format!("{name} leads to no ISP"),
                "name the device that leads to this ISP, as `ip link` shows it",
            );
        }
        Ok(name) => return Some(name),
    }
    None
}

fn sources(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Vec<At<IpAddr>> {
    let mut sources: Vec<At<IpAddr>> = Vec::new();
    for (text, place) in section.texts("source", problems).unwrap_or_default() {
        let same = |address: &IpAddr| {
            sources
                .iter()
                .any(|(other, _)| other.is_ipv6() == address.is_ipv6())
        };
        let remedy = "write an address of this site, at most one of each family";
        match text.parse::<IpAddr>() {
            Err(_) => {
                problems.push(Problem::new(
                    place,
                    format!("{text:?} is no address"),
                    remedy,
                ));
            }
            Ok(address) if same(&address) => {
                problems.push(Problem::new(
                    place,
                    "two source addresses of one family",
                    remedy,
                ));
            }
            Ok(address) if address.is_unspecified() || address.is_multicast() => {
                problems.push(Problem::new(
                    place,
                    format!("{address} is no source"),
                    remedy,
                ));
            }
            Ok(address) => sources.push((address, place)),
        }
    }
    sources
}

fn endpoint(
    section: &Section<'_, '_>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Option<At<Endpoint>> {
    let (text, place) = section.text("endpoint", problems)?;
    let remedy = "write \"host\", \"host:port\" or \"[2001:db8::1]:port\"; leave it out behind NAT";
    match value::endpoint(text, port) {
        Err(why) => {
            let what = format!("{text:?} is no endpoint: {why}");
            problems.push(Problem::new(place, what, remedy));
            None
        }
        Ok(Endpoint {
            host: Host::Address(address),
            ..
        }) if !is_reachable(address) => {
            let what = format!("nobody can be reached at {address}");
            problems.push(Problem::new(place, what, remedy));
            None
        }
        Ok(endpoint) => Some((endpoint, place)),
    }
}

fn is_reachable(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}

fn own_key(
    section: &Section<'_, '_>,
    kind: SiteKind,
    problems: &mut Vec<Problem>,
) -> Option<PublicKey> {
    let at = section.text("public_key", problems)?;
    if kind == SiteKind::Pathweave {
        let what = "only a link of a plain wg site has a key of its own";
        let remedy = "remove it: a pathweave site has one key for all its links";
        problems.push(Problem::new(at.1, what, remedy));
        return None;
    }
    public_key(at, problems).map(|(key, _)| key)
}

fn cost(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Cost {
    match section.text("cost", problems) {
        None | Some(("flat", _)) => Cost::Flat,
        Some(("metered", _)) => Cost::Metered,
        Some((other, place)) => {
            let what = format!("{other:?} is no cost");
            problems.push(Problem::new(place, what, "write \"flat\" or \"metered\""));
            Cost::Flat
        }
    }
}

fn rate(section: &Section<'_, '_>, key: &str, problems: &mut Vec<Problem>) -> Option<u64> {
    let (text, place) = section.text(key, problems)?;
    let rate = value::rate(text);
    if rate.is_none() {
        let remedy = "write it like \"100 Mbit/s\"; the units are kbit/s, Mbit/s and Gbit/s";
        problems.push(Problem::new(place, format!("{text:?} is no rate"), remedy));
    }
    rate
}

fn mtu(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<u16> {
    let (mtu, place) = section.integer("mtu", problems)?;
    let checked = u16::try_from(mtu).ok().filter(|_| mtu >= SMALLEST_MTU);
    if checked.is_none() {
        let what = format!("a link's mtu of {mtu} cannot carry a tunnel");
        let remedy = "write the largest packet of this ISP in bytes, 1360 to 65535; a tunnel \
                      takes 80 of them, and IPv6 needs 1280";
        problems.push(Problem::new(place, what, remedy));
    }
    checked
}
