//! From what the file says to what it means. Each rule of the file stands here, with its remedy.

mod across;
mod key;
mod link;
mod site;

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use toml::de::DeTable;

use super::checked::{Fleet, OverlayPrefixes};
use super::problem::Problem;
use super::section::{Section, wrong_type};

/// All keys that the file may hold, by table: what the reference example must explain.
pub const KEYS: [(&str, &[&str]); 4] = [
    (
        "the file",
        &["overlay", "listen_port", "leak_guard", "site", "path"],
    ),
    ("a site", &["id", "public_key", "kind", "subnets", "links"]),
    (
        "a link",
        &[
            "name",
            "interface",
            "source",
            "endpoint",
            "cost",
            "up",
            "down",
            "mtu",
            "public_key",
        ],
    ),
    ("a path", &["between"]),
];

const DEFAULT_PORT: u16 = 51_820;
const DEFAULT_OVERLAY: [&str; 2] = ["10.213.0.0/16", "fd50:7761:7665::/48"];

pub(super) fn fleet(text: &str) -> Result<Fleet, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<_> = errors
        .iter()
        .map(|error| {
            let place = error.span().unwrap_or(0..0);
            Problem::new(
                place,
                error.message().trim(),
                "mend the TOML here; see toml.io",
            )
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let file = Section::new(root.get_ref(), 0..0, "the file", KEYS[0].1, &mut problems);
    let overlay = overlay(&file, &mut problems);
    let listen_port = listen_port(&file, &mut problems);
    let leak_guard = file
        .boolean("leak_guard", &mut problems)
        .is_none_or(|(guard, _)| guard);
    let sites = sites(root.get_ref(), listen_port, &mut problems);
    across::sites(&sites, overlay, &mut problems);
    let pairings = across::pairings(&file, &sites, &mut problems);
    let sites: BTreeMap<_, _> = sites
        .into_iter()
        .map(|named| (named.site.id, named.site))
        .collect();
    match overlay {
        Some(overlay) if problems.is_empty() => {
            let fleet = Fleet {
                overlay,
                listen_port,
                leak_guard,
                sites,
                pairings,
            };
            across::paths(&fleet).map_or(Ok(fleet), |problem| Err(vec![problem]))
        }
        _ => Err(problems),
    }
}

fn listen_port(file: &Section<'_, '_>, problems: &mut Vec<Problem>) -> u16 {
    let Some((port, place)) = file.integer("listen_port", problems) else {
        return DEFAULT_PORT;
    };
    match u16::try_from(port) {
        Ok(port) if port > 0 => port,
        Ok(_) | Err(_) => {
            let remedy = "write a UDP port from 1 to 65535, or leave the key out for 51820";
            problems.push(Problem::new(place, format!("{port} is no port"), remedy));
            DEFAULT_PORT
        }
    }
}

fn overlay(file: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<OverlayPrefixes> {
    const REMEDY: &str =
        "give one IPv4 prefix of length 16 and one IPv6 prefix of length 48, or one of them";
    let Some(texts) = file.texts("overlay", problems) else {
        let [v4, v6] = DEFAULT_OVERLAY;
        return OverlayPrefixes::new(v4.parse().ok(), v6.parse().ok());
    };
    let before = problems.len();
    let (mut v4, mut v6) = (None, None);
    for (text, place) in &texts {
        let mut refuse = |what: String| {
            problems.push(Problem::new(place.clone(), what, REMEDY));
        };
        match text.parse::<IpNetwork>() {
            Err(_) => refuse(format!("{text:?} is no prefix")),
            Ok(net) if net.network() != net.ip() => refuse(format!("{net} has host bits set")),
            Ok(IpNetwork::V4(net)) if net.prefix() != 16 => refuse(format!("{net} is no /16")),
            Ok(IpNetwork::V6(net)) if net.prefix() != 48 => refuse(format!("{net} is no /48")),
            Ok(IpNetwork::V4(net)) if v4.replace(net).is_some() => {
                refuse("two IPv4 prefixes".to_owned());
            }
            Ok(IpNetwork::V6(net)) if v6.replace(net).is_some() => {
                refuse("two IPv6 prefixes".to_owned());
            }
            Ok(_) => {}
        }
    }
    let prefixes = OverlayPrefixes::new(v4, v6);
    if prefixes.is_none() && problems.len() == before {
        let what = "the overlay has no prefix";
        let place = texts
            .first()
            .map_or(file.place(), |(_, place)| place.clone());
        problems.push(Problem::new(place, what, REMEDY));
    }
    prefixes
}

fn sites(root: &DeTable<'_>, port: u16, problems: &mut Vec<Problem>) -> Vec<site::Named> {
    let remedy = "describe each site in a table of its own: [site.nara]";
    let Some(value) = root.get("site") else {
        problems.push(Problem::new(0..0, "the file describes no site", remedy));
        return Vec::new();
    };
    let Some(table) = value.get_ref().as_table() else {
        problems.push(wrong_type(
            "site",
            value.span(),
            "tables: [site.nara]",
            value.get_ref(),
        ));
        return Vec::new();
    };
    let mut sites = Vec::new();
    for (name, value) in table {
        let place = name.span();
        match value.get_ref().as_table() {
            Some(inside) => {
                sites.extend(site::read(name.get_ref(), inside, place, port, problems));
            }
            None => problems.push(wrong_type(
                "site",
                place,
                "a table: [site.nara]",
                value.get_ref(),
            )),
        }
    }
    if table.len() == 1 {
        let what = "the file describes one site only";
        problems.push(Problem::new(
            value.span(),
            what,
            "describe the other site as well",
        ));
    }
    sites
}
