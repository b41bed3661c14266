//! The status for a person: one block per peer, one line per path, aligned; which ISP is slow or
//! dead, and why, is seen at a glance. Pure: from values to text.

pub(crate) mod table;
pub(crate) mod units;

use pathweaved::control::{Offload, PathState, PathStatus, PeerStatus, Status};

use crate::style::{Style, Tone};
use table::{Cell, Column, Side, table};
use units::{age, bytes, millis, or_dash, percent, span};

/// Loss from which one TCP flow is visibly slow: the Mathis bound at 50 ms is 4 Mbit/s.
pub(crate) const LOSSY: f64 = 0.005;

const PATH_COLUMNS: [Column; 12] = [
    ("path", Side::Right),
    ("state", Side::Left),
    ("link", Side::Left),
    ("endpoint", Side::Left),
    ("rtt", Side::Right),
    ("loss", Side::Right),
    ("mtu", Side::Right),
    ("subflows", Side::Right),
    ("sent", Side::Right),
    ("received", Side::Right),
    ("handshake", Side::Left),
    ("why", Side::Left),
];

const PEER_COLUMNS: [Column; 5] = [
    ("peer", Side::Left),
    ("id", Side::Right),
    ("reachable", Side::Left),
    ("paths up", Side::Right),
    ("addresses", Side::Left),
];

pub(crate) fn status(status: &Status, style: Style) -> String {
    let site = &status.site;
    let addresses = join([&site.address, &site.address6]);
    let name = style.paint(&site.name, Tone::Strong);
    let mut text = format!("site {name} (id {})  {addresses}\n", site.id);
    for warning in &site.warnings {
        text += &format!("{}: {warning}\n", style.paint("warning", Tone::Warn));
    }
    if !site.repairs.is_empty() {
        let counts = site.repairs.iter();
        let counts: Vec<_> = counts
            .map(|(what, count)| format!("{what} {count}×"))
            .collect();
        text += &format!(
            "undone by other software and put right: {}\n",
            counts.join(", ")
        );
    }
    if status.peers.is_empty() {
        text += "no other site yet: run `pathweave init --join -` there, then `pathweave apply -` here\n";
    }
    for one in &status.peers {
        text += "\n";
        text += &peer(one, style);
    }
    text
}

pub(crate) fn peer(peer: &PeerStatus, style: Style) -> String {
    let addresses = join([&peer.address, &peer.address6]);
    let (wanted, up) = (wanted(peer), up(peer));
    let (state, tone) = match (up, wanted) {
        (0, 0) => ("all paths taken down".to_owned(), Tone::Warn),
        (0, _) => ("unreachable".to_owned(), Tone::Bad),
        (1, 1) => ("its path is up".to_owned(), Tone::Good),
        (up, wanted) if up == wanted => (format!("all {wanted} paths up"), Tone::Good),
        (up, wanted) => (format!("{up} of {wanted} paths up"), Tone::Bad),
    };
    let (name, state) = (
        style.paint(&peer.site, Tone::Strong),
        style.paint(&state, tone),
    );
    let rows: Vec<_> = peer.paths.iter().map(row).collect();
    let plain = match peer.plain_tcp {
        0 => String::new(),
        1 => "1 connection is plain TCP: it uses one path only\n".to_owned(),
        count => format!("{count} connections are plain TCP: they use one path only\n"),
    };
    format!("peer {name} (id {})  {addresses}  {state}\n", peer.id)
        + &table(&PATH_COLUMNS, &rows, style)
        + &plain
}

pub(crate) fn peer_list(peers: &[PeerStatus], style: Style) -> String {
    let row = |peer: &PeerStatus| {
        let (word, tone) = match (peer.reachable, wanted(peer)) {
            (true, _) => ("yes", Tone::Good),
            (false, 0) => ("no", Tone::Warn),
            (false, _) => ("no", Tone::Bad),
        };
        vec![
            peer.site.clone().into(),
            peer.id.to_string().into(),
            Cell::new(word, tone),
            format!("{}/{}", up(peer), peer.paths.len()).into(),
            join([&peer.address, &peer.address6]).into(),
        ]
    };
    let rows: Vec<_> = peers.iter().map(row).collect();
    table(&PEER_COLUMNS, &rows, style)
}

pub(crate) fn path_list(peers: &[PeerStatus], style: Style) -> String {
    let mut rows = Vec::new();
    for peer in peers {
        for path in &peer.paths {
            let mut cells = vec![Cell::from(peer.site.clone())];
            cells.extend(row(path));
            rows.push(cells);
        }
    }
    let peer: Column = ("peer", Side::Left);
    let columns: Vec<_> = std::iter::once(peer).chain(PATH_COLUMNS).collect();
    table(&columns, &rows, style)
}

pub(crate) fn path(peer: &str, path: &PathStatus, style: Style) -> String {
    let dropped = &path.dropped;
    let dropped = format!(
        "{} wrong source, {} malformed, {} not authentic, {} no room",
        dropped.wrong_source, dropped.malformed, dropped.unauthentic, dropped.no_room
    );
    let lines = [
        ("path", format!("{} to {peer}", path.path)),
        ("state", style.paint(word(path.state), tone(path.state))),
        ("since", since(path)),
        ("why", or_dash(why(path))),
        ("link", format!("{} → {}", path.link, path.remote_link)),
        ("endpoint", or_dash(path.endpoint.as_ref())),
        ("carrier", path.carrier.clone()),
        (
            "interface",
            format!("{} (mtu {})", path.interface, path.mtu),
        ),
        (
            "overlay address",
            join([&path.overlay_address, &path.overlay_address6]),
        ),
        ("round trip", millis(path.rtt_ms)),
        ("jitter", millis(path.jitter_ms)),
        (
            "loss",
            format!(
                "{} towards us, {} towards {peer}",
                percent(path.loss_rx),
                percent(path.loss_tx)
            ),
        ),
        ("site address", site_address(path.site_path).to_owned()),
        ("subflows", path.subflows.to_string()),
        ("sent", bytes(path.tx_bytes)),
        ("received", bytes(path.rx_bytes)),
        ("handshake", age(path.last_handshake_s)),
        ("dropped", dropped),
        ("offload", offload(path.offload)),
    ];
    lines
        .iter()
        .map(|(name, value)| format!("{name:<16}{value}\n"))
        .collect()
}

fn since(path: &PathStatus) -> String {
    let times = match path.flaps {
        0 => "never went down".to_owned(),
        1 => "went down once".to_owned(),
        times => format!("went down {times} times"),
    };
    format!("{}, {times}", age(Some(path.since_s)))
}

fn site_address(yes: bool) -> &'static str {
    if yes { "travels here" } else { "elsewhere" }
}

fn offload(offload: Offload) -> String {
    let switch = |on| if on { "on" } else { "off" };
    format!(
        "tun {}, {} datagrams a send, receive {}, socket buffer {}",
        switch(offload.tun),
        offload.send_segments,
        switch(offload.receive),
        bytes(offload.socket_buffer as u64)
    )
}

fn row(path: &PathStatus) -> Vec<Cell> {
    let loss = match path.loss {
        Some(loss) if loss >= LOSSY => Tone::Warn,
        Some(_) | None => Tone::Plain,
    };
    vec![
        path.path.to_string().into(),
        Cell::new(state(path), tone(path.state)),
        format!("{} → {}", path.link, path.remote_link).into(),
        or_dash(path.endpoint.as_ref()).into(),
        millis(path.rtt_ms).into(),
        Cell::new(percent(path.loss), loss),
        path.mtu.to_string().into(),
        path.subflows.to_string().into(),
        bytes(path.tx_bytes).into(),
        bytes(path.rx_bytes).into(),
        age(path.last_handshake_s).into(),
        Cell::new(why(path).cloned().unwrap_or_default(), tone(path.state)),
    ]
}

/// Paths that should be up.
fn wanted(peer: &PeerStatus) -> usize {
    let wanted = |path: &&PathStatus| path.state != PathState::AdminDown;
    peer.paths.iter().filter(wanted).count()
}

fn up(peer: &PeerStatus) -> usize {
    let up = |path: &&PathStatus| path.state == PathState::Up;
    peer.paths.iter().filter(up).count()
}

/// Of a path that is not up, since when.
fn state(path: &PathStatus) -> String {
    match path.state {
        PathState::Up => word(path.state).to_owned(),
        PathState::Init | PathState::Down | PathState::AdminDown => {
            format!("{} for {}", word(path.state), span(path.since_s))
        }
    }
}

pub(crate) fn word(state: PathState) -> &'static str {
    match state {
        PathState::Up => "up",
        PathState::Init => "init",
        PathState::Down => "down",
        PathState::AdminDown => "admin-down",
    }
}

pub(crate) fn tone(state: PathState) -> Tone {
    match state {
        PathState::Up => Tone::Good,
        PathState::Init | PathState::AdminDown => Tone::Warn,
        PathState::Down => Tone::Bad,
    }
}

pub(crate) fn join(addresses: [&Option<String>; 2]) -> String {
    let known: Vec<&str> = addresses
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    known.join("  ")
}

#[cfg(test)]
pub(crate) mod tests;

/// Why it is not up, or not used though it is.
pub(crate) fn why(path: &PathStatus) -> Option<&String> {
    path.reason.as_ref().or(path.reserve.as_ref())
}
