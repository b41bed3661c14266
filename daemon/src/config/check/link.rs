//! One entry of a site's `links`.

use std::net::IpAddr;
use std::ops::Range;

use toml::de::DeTable;

use crate::config::checked::{Cost, Endpoint, Host, Link, SiteKind};
use crate::config::problem::Problem;
use crate::config::section::{At, Section};
use crate::config::value;
use crate::names::{InterfaceName, Name, PublicKey};

use super::KEYS;
use super::address::{special, special_source};
use super::key::public_key;

/// The default of plain `wg`, whatever our own port is.
const WIREGUARD_PORT: u16 = 51_820;
/// A link's MTU less what a tunnel adds must leave IPv6 its 1280 (RFC 8200 section 5).
const SMALLEST_MTU: i64 = 1360;

/// A link as far as it could be read, and where its parts stand in the file.
pub(super) struct Draft<'t> {
    /// The name as the file writes it, good or bad; `None` where there is none.
    pub(super) text: Option<&'t str>,
    pub(super) place: Range<usize>,
    pub(super) name: Option<At<Name>>,
    pub(super) interface: Option<At<InterfaceName>>,
    pub(super) sources: Vec<At<IpAddr>>,
    /// Whether `interface` and `source` say all that they were meant to say.
    pub(super) binding_known: bool,
    pub(super) endpoint: Option<At<Endpoint>>,
    pub(super) public_key: Option<At<PublicKey>>,
    cost: Cost,
    up: Option<u64>,
    down: Option<u64>,
    mtu: Option<u16>,
    offload: bool,
}

pub(super) fn read<'t>(
    table: &'t DeTable<'_>,
    place: Range<usize>,
    kind: Option<SiteKind>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Draft<'t> {
    let section = Section::new(table, place, "a link", KEYS[2].1, problems);
    section.missing("name", "name the ISP: name = \"fiber\"", problems);
    let text = section.text("name", problems);
    let before = problems.len();
    let interface = interface(&section, problems);
    let sources = sources(&section, problems);
    if kind == Some(SiteKind::Pathweave) && !section.has("interface") && !section.has("source") {
        let what = "a link has neither `interface` nor `source`";
        let remedy = "name the device that leads to this ISP: interface = \"eth1\"";
        problems.push(Problem::new(section.place(), what, remedy));
    }
    let binding_known = problems.len() == before;
    let port = if kind == Some(SiteKind::WireGuard) {
        WIREGUARD_PORT
    } else {
        port
    };
    Draft {
        text: text.as_ref().map(|(text, _)| *text),
        place: section.place(),
        name: text.and_then(|at| name(at, problems)),
        interface,
        sources,
        binding_known,
        endpoint: endpoint(&section, port, problems),
        public_key: own_key(&section, kind, problems),
        cost: cost(&section, problems),
        up: rate(&section, "up", problems),
        down: rate(&section, "down", problems),
        mtu: mtu(&section, problems),
        offload: section
            .boolean("offload", problems)
            .is_none_or(|(on, _)| on),
    }
}

impl Draft<'_> {
    /// As messages and `[[path]]` call it.
    pub(super) fn full_name(&self, site: &str) -> String {
        let name = self.text.unwrap_or("?");
        format!("{}/{}", site.escape_debug(), name.escape_debug())
    }

    /// `None` if its name is wrong, which is told already; so is all else that is missing.
    pub(super) fn finish(self) -> Option<Link> {
        Some(Link {
            name: self.name?.0,
            interface: self.interface.map(|(name, _)| name),
            sources: self.sources.into_iter().map(|(ip, _)| ip).collect(),
            endpoint: self.endpoint.map(|(endpoint, _)| endpoint),
            cost: self.cost,
            up: self.up,
            down: self.down,
            mtu: self.mtu,
            offload: self.offload,
            public_key: self.public_key.map(|(key, _)| key),
        })
    }
}

fn name((text, place): At<&str>, problems: &mut Vec<Problem>) -> Option<At<Name>> {
    match text.parse() {
        Ok(name) => Some((name, place)),
        Err(error) => {
            let what = format!("{text:?} is no name for a link: {error}");
            let remedy = "rename it, for example \"fiber\"";
            problems.push(Problem::new(place, what, remedy));
            None
        }
    }
}

fn interface(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<At<InterfaceName>> {
    let (text, place) = section.text("interface", problems)?;
    let problem = match text.parse::<InterfaceName>() {
        Err(error) => {
            let what = format!("{text:?} is no interface: {error}");
            let remedy = "write the device's name as `ip link` shows it";
            Problem::new(place, what, remedy)
        }
        Ok(name) if name.as_str() == "lo" || name.as_str().starts_with(InterfaceName::OURS) => {
            let what = format!("{name} leads to no ISP");
            let remedy = "name the device that leads to this ISP, as `ip link` shows it";
            Problem::new(place, what, remedy)
        }
        Ok(name) => return Some((name, place)),
    };
    problems.push(problem);
    None
}

fn sources(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Vec<At<IpAddr>> {
    let mut sources: Vec<At<IpAddr>> = Vec::new();
    for (text, place) in section.texts("source", problems).unwrap_or_default() {
        let known = |address: IpAddr| {
            let mut known = sources.iter();
            known.any(|(other, _)| other.is_ipv6() == address.is_ipv6())
        };
        let what = match text.parse::<IpAddr>() {
            Err(_) => format!("{text:?} is no address"),
            Ok(address) => match special_source(address) {
                Some(what) => format!("{address} is no source: it is {what}"),
                None if known(address) => "two source addresses of one family".to_owned(),
                None => {
                    sources.push((address, place));
                    continue;
                }
            },
        };
        let remedy = "write an address of this site, at most one of each family";
        problems.push(Problem::new(place, what, remedy));
    }
    sources
}

fn endpoint(
    section: &Section<'_, '_>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Option<At<Endpoint>> {
    let (text, place) = section.text("endpoint", problems)?;
    let (what, remedy) = match value::endpoint(text, port) {
        Err(why) => (
            format!("{text:?} is no endpoint: {why}"),
            "write \"host\", \"host:port\" or \"[2001:db8::1]:port\"; leave it out behind NAT",
        ),
        Ok(endpoint) => match unreachable(&endpoint.host) {
            None => return Some((endpoint, place)),
            Some(what) => (
                what,
                "write the address at which other sites reach this link; leave `endpoint` out \
                 behind NAT",
            ),
        },
    };
    problems.push(Problem::new(place, what, remedy));
    None
}

fn unreachable(host: &Host) -> Option<String> {
    let Host::Address(address) = host else {
        return None;
    };
    let what = special((*address).into())?;
    Some(format!("{address} is {what}: no other site can reach it"))
}

fn own_key(
    section: &Section<'_, '_>,
    kind: Option<SiteKind>,
    problems: &mut Vec<Problem>,
) -> Option<At<PublicKey>> {
    let at = section.text("public_key", problems)?;
    if kind == Some(SiteKind::Pathweave) {
        let what = "only a link of a plain wg site has a key of its own";
        let remedy = "remove it: a pathweave site has one key for all its links";
        problems.push(Problem::new(at.1, what, remedy));
        return None;
    }
    public_key(at, problems)
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
