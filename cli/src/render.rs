//! The status for a person: one block per peer, one line per path, aligned; which ISP is slow or
//! dead is seen at a glance. Pure: from values to text.

use pathweaved::control::{PathState, PathStatus, PeerStatus, Status};

use crate::style::Style;

const HEADINGS: [&str; 10] = [
    "path",
    "state",
    "link",
    "endpoint",
    "rtt",
    "loss",
    "mtu",
    "subflows",
    "sent / received",
    "handshake",
];

pub(crate) fn status(status: &Status, style: Style) -> String {
    let site = &status.site;
    let addresses = join([&site.address, &site.address6]);
    let mut text = format!("site {} (id {})  {addresses}\n", site.name, site.id);
    for warning in &site.warnings {
        text += &format!("{}: {warning}\n", style.bad("warning"));
    }
    if status.peers.is_empty() {
        text += "no peers\n";
    }
    for one in &status.peers {
        text += "\n";
        text += &peer(one, style);
    }
    text
}

pub(crate) fn peer(peer: &PeerStatus, style: Style) -> String {
    let addresses = join([&peer.address, &peer.address6]);
    let up = peer
        .paths
        .iter()
        .filter(|path| path.state == PathState::Up)
        .count();
    let state = match (up, peer.paths.len()) {
        (0, _) => style.bad("unreachable"),
        (up, all) if up == all => style.good(&format!("all {all} paths up")),
        (up, all) => style.bad(&format!("{up} of {all} paths up")),
    };
    let mut text = format!(
        "peer {} (id {})  {addresses}  {state}\n",
        peer.site, peer.id
    );
    let rows: Vec<_> = peer.paths.iter().map(row).collect();
    let mut lines = table(&HEADINGS, &rows).into_iter();
    text += &lines
        .next()
        .map(|line| style.muted(&line) + "\n")
        .unwrap_or_default();
    for (line, path) in lines.zip(&peer.paths) {
        let line = if path.state == PathState::Up {
            line
        } else {
            style.bad(&line)
        };
        text += &(line + "\n");
        if let Some(reason) = &path.reason {
            text += &format!("        {reason}\n");
        }
    }
    text
}

pub(crate) fn peer_list(peers: &[PeerStatus]) -> String {
    let row = |peer: &PeerStatus| {
        let up = peer
            .paths
            .iter()
            .filter(|path| path.state == PathState::Up)
            .count();
        let addresses = join([&peer.address, &peer.address6]);
        let reachable = if peer.reachable { "yes" } else { "no" };
        let paths = format!("{up}/{}", peer.paths.len());
        vec![
            peer.site.clone(),
            peer.id.to_string(),
            reachable.to_owned(),
            paths,
            addresses,
        ]
    };
    let rows: Vec<_> = peers.iter().map(row).collect();
    table(&["peer", "id", "reachable", "paths up", "addresses"], &rows).join("\n") + "\n"
}

pub(crate) fn path_list(peers: &[PeerStatus]) -> String {
    let of_peer = |peer: &PeerStatus| {
        let name = peer.site.clone();
        let one = move |path: &PathStatus| {
            let mut cells = vec![name.clone()];
            cells.extend(row(path));
            cells
        };
        peer.paths.iter().map(one).collect::<Vec<_>>()
    };
    let rows: Vec<_> = peers.iter().flat_map(of_peer).collect();
    let headings: Vec<_> = std::iter::once("peer").chain(HEADINGS).collect();
    table(&headings, &rows).join("\n") + "\n"
}

pub(crate) fn path(path: &PathStatus) -> String {
    let dropped = &path.dropped;
    let dropped = format!(
        "{} wrong source, {} malformed, {} not authentic, {} no room",
        dropped.wrong_source, dropped.malformed, dropped.unauthentic, dropped.no_room
    );
    let lines = [
        ("path", path.path.to_string()),
        ("state", state(path.state).to_owned()),
        ("reason", path.reason.clone().unwrap_or_else(none)),
        ("link", format!("{} → {}", path.link, path.remote_link)),
        ("endpoint", path.endpoint.clone().unwrap_or_else(none)),
        (
            "interface",
            format!("{} (mtu {})", path.interface, path.mtu),
        ),
        (
            "overlay address",
            join([&path.overlay_address, &path.overlay_address6]),
        ),
        ("round trip", millis(path.rtt_ms)),
        ("loss", percent(path.loss)),
        ("subflows", path.subflows.to_string()),
        ("sent", bytes(path.tx_bytes)),
        ("received", bytes(path.rx_bytes)),
        ("handshake", age(path.last_handshake_s)),
        ("dropped", dropped),
    ];
    lines
        .iter()
        .map(|(name, value)| format!("{name:<16}{value}\n"))
        .collect()
}

fn row(path: &PathStatus) -> Vec<String> {
    vec![
        path.path.to_string(),
        state(path.state).to_owned(),
        format!("{} → {}", path.link, path.remote_link),
        path.endpoint.clone().unwrap_or_else(none),
        millis(path.rtt_ms),
        percent(path.loss),
        path.mtu.to_string(),
        path.subflows.to_string(),
        format!("{} / {}", bytes(path.tx_bytes), bytes(path.rx_bytes)),
        age(path.last_handshake_s),
    ]
}

/// Headings and rows with every column as wide as its widest cell.
fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let headings: Vec<String> = headings
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    let all = || std::iter::once(&headings).chain(rows);
    let width = |column: usize| {
        all()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..headings.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = format!("  {}", cells.collect::<Vec<_>>().join("  "));
        line.trim_end().to_owned()
    };
    all().map(line).collect()
}

fn state(state: PathState) -> &'static str {
    match state {
        PathState::Up => "up",
        PathState::Init => "init",
        PathState::Down => "down",
        PathState::AdminDown => "admin-down",
    }
}

fn none() -> String {
    "-".to_owned()
}

fn join(addresses: [&Option<String>; 2]) -> String {
    addresses
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join("  ")
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(none, |millis| format!("{millis:.1} ms"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(none, |share| format!("{:.0} %", share * 100.0))
}

fn age(seconds: Option<u64>) -> String {
    match seconds {
        None => "never".to_owned(),
        Some(seconds @ 0..120) => format!("{seconds} s ago"),
        Some(seconds @ 120..7200) => format!("{} min ago", seconds / 60),
        Some(seconds) => format!("{} h ago", seconds / 3600),
    }
}

/// Decimal units, as ISPs and disks count.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS.iter().skip(1) {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests;
