//! The differences between two views, in the operator's words.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::{Link, Path, Peer, View};
use crate::names::PathId;

use super::{Change, Fate};

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line a difference: the site's own first, then peer by peer.
pub(super) fn tell(old: &View, new: &View, fates: &BTreeMap<PathId, Fate>) -> Vec<Change> {
    let mut lines = Vec::new();
    whole(old, new, &mut lines);
    links(old, new, &mut lines);
    for peer in &old.peers {
        if new.peer(peer.site.id).is_none() {
            lines.push(format!("- peer {} ({})", peer.site.name, count(peer)));
        }
    }
    for peer in &new.peers {
        match old.peer(peer.site.id) {
            None => lines.push(format!("+ peer {} ({})", peer.site.name, count(peer))),
            Some(before) => paths((old, before), (new, peer), fates, &mut lines),
        }
    }
    lines.into_iter().map(Change).collect()
}

fn count(peer: &Peer) -> String {
    match peer.paths.len() {
        1 => "1 path".to_owned(),
        paths => format!("{paths} paths"),
    }
}

fn whole(old: &View, new: &View, lines: &mut Vec<String>) {
    if old.site.name != new.site.name {
        lines.push(format!("~ this site {} → {}", old.site.name, new.site.name));
    }
    if old.listen_port != new.listen_port {
        let (was, is) = (old.listen_port, new.listen_port);
        lines.push(format!("~ listen_port {was} → {is}"));
    }
    if old.leak_guard != new.leak_guard {
        let sign = if new.leak_guard { '+' } else { '-' };
        lines.push(format!("{sign} leak guard"));
    }
    if old.speed_test != new.speed_test {
        let sign = if new.speed_test { '+' } else { '-' };
        lines.push(format!("{sign} speed tests by other sites"));
    }
    let metrics = |view: &View| view.metrics.as_ref().map(ToString::to_string);
    lines.extend(optional("metrics", metrics(old), metrics(new)));
}

/// Of two values that may be absent.
fn optional(key: &str, was: Option<String>, is: Option<String>) -> Option<String> {
    match (was, is) {
        (None, None) => None,
        (None, Some(is)) => Some(format!("+ {key} {is}")),
        (Some(was), None) => Some(format!("- {key} {was}")),
        (Some(was), Some(is)) => (was != is).then(|| format!("~ {key} {was} → {is}")),
    }
}

fn links(old: &View, new: &View, lines: &mut Vec<String>) {
    let find = |view: &View, link: &Link| {
        let mut all = view.site.links.iter();
        all.find(|other| other.name == link.name).cloned()
    };
    for link in &old.site.links {
        if find(new, link).is_none() {
            lines.push(format!("- link {}", link.name));
        }
    }
    for link in &new.site.links {
        match find(old, link) {
            None => lines.push(format!("+ link {}", link.name)),
            Some(before) => {
                let differences = differences(&before, link);
                if !differences.is_empty() {
                    lines.push(format!("~ link {}: {}", link.name, differences.join(", ")));
                }
            }
        }
    }
}

/// Key by key.
fn differences(old: &Link, new: &Link) -> Vec<String> {
    let sources = |link: &Link| {
        let texts: Vec<_> = link.sources.iter().map(ToString::to_string).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let text = |value: &Option<u64>| value.map(|rate| format!("{rate} bit/s"));
    let values = |link: &Link| {
        [
            (
                "interface",
                link.interface.as_ref().map(ToString::to_string),
            ),
            ("source", sources(link)),
            ("endpoint", link.endpoint.as_ref().map(ToString::to_string)),
            ("cost", Some(format!("{:?}", link.cost).to_lowercase())),
            ("up", text(&link.up)),
            ("down", text(&link.down)),
            ("mtu", link.mtu.map(|mtu| mtu.to_string())),
            ("offload", Some(link.offload.to_string())),
            ("public_key", link.public_key.map(|key| key.to_string())),
        ]
    };
    let both = values(old).into_iter().zip(values(new));
    let differing = both.filter(|(was, is)| was != is);
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    differing
        .map(|((key, was), (_, is))| format!("{key} {} → {}", shown(was), shown(is)))
        .collect()
}

fn paths(
    (old, before): (&View, &Peer),
    (new, after): (&View, &Peer),
    fates: &BTreeMap<PathId, Fate>,
    lines: &mut Vec<String>,
) {
    let name = &after.site.name;
    if before.site.name != after.site.name {
        lines.push(format!("~ peer {} → {name}", before.site.name));
    }
    if before.site.subnets != after.site.subnets {
        let list = |peer: &Peer| {
            let texts: Vec<_> = peer.site.subnets.iter().map(ToString::to_string).collect();
            format!("[{}]", texts.join(", "))
        };
        let (was, is) = (list(before), list(after));
        lines.push(format!("~ peer {name}: subnets {was} → {is}"));
    }
    for path in &before.paths {
        if fates.get(&path.id) == Some(&Fate::Removed) {
            let between = between(old, before, path);
            lines.push(format!("- path {} to {name} ({between})", path.id.number));
        }
    }
    for path in &after.paths {
        let was = before.paths.iter().find(|was| was.id == path.id);
        let is = between(new, after, path);
        let number = path.id.number;
        match (fates.get(&path.id), was) {
            (Some(Fate::Added), _) => lines.push(format!("+ path {number} to {name} ({is})")),
            (Some(Fate::Remade), _) => lines.push(format!(
                "~ path {number} to {name} ({is}): made anew, with a new handshake"
            )),
            (Some(Fate::Kept), Some(was)) => {
                let was = kept((old, before, was), (new, after, path));
                lines.extend(was.map(|what| format!("~ path {number} to {name} ({is}): {what}")));
            }
            (Some(Fate::Kept | Fate::Removed) | None, _) => {}
        }
    }
}

/// What changes about a path whose session goes on.
fn kept(old: (&View, &Peer, &Path), new: (&View, &Peer, &Path)) -> Option<String> {
    let was = between(old.0, old.1, old.2);
    if was != between(new.0, new.1, new.2) {
        return Some(format!("was {was}"));
    }
    let far = |(_, peer, path): (&View, &Peer, &Path)| {
        let link = peer.site.links.get(path.remote_link);
        let endpoint = link.and_then(|link| link.endpoint.as_ref());
        endpoint.map_or("none".to_owned(), ToString::to_string)
    };
    let (was, is) = (far(old), far(new));
    (was != is).then(|| format!("far end {was} → {is}"))
}

/// `fiber ↔ cable`: our link's name and the far end's.
fn between(view: &View, peer: &Peer, path: &Path) -> String {
    let name = |links: &[Link], index: usize| {
        let link = links.get(index);
        link.map(|link| link.name.to_string()).unwrap_or_default()
    };
    let ours = name(&view.site.links, path.link);
    let theirs = name(&peer.site.links, path.remote_link);
    format!("{ours} ↔ {theirs}")
}
