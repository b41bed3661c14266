//! Connections for a person, as wide as the terminal is. Pure: from values to text.

use pathweaved::control::{Flow, Kind};

use crate::render::table::{Cell, Column, Side, spare, table};
use crate::render::units::{bits, bytes, millis, span};
use crate::style::{Style, Tone};
use crate::terminal::{bar, sentence, wrap};

use super::rates::Rates;
use super::{Known, Seen, UNKNOWN};

const COLUMNS: [Column; 9] = [
    ("path", Side::Right),
    ("link", Side::Left),
    ("rtt", Side::Right),
    ("sent", Side::Right),
    ("sent twice", Side::Right),
    ("received", Side::Right),
    ("rate", Side::Right),
    ("share", Side::Right),
    ("", Side::Left),
];
/// Columns that a narrow terminal has to do without, in this order.
const DISPENSABLE: [usize; 5] = [4, 2, 5, 3, 1];
const BAR: usize = 8;
const WIDEST_BAR: usize = 40;
const BAR_OF_A_PIPE: usize = 20;

pub(super) fn flows(seen: &Seen, rates: &Rates, style: Style) -> String {
    if seen.connections.is_empty() {
        return "no open connections to the peers\n".to_owned();
    }
    let mut text = String::new();
    for known in &seen.connections {
        text += &connection(known, rates, style);
        text += "\n";
    }
    text + &summary(seen, style)
}

fn connection(known: &Known, rates: &Rates, style: Style) -> String {
    let one = &known.connection;
    let ends = match one.opened_here {
        Some(false) => format!("{} ← {}", one.local, one.remote),
        Some(true) | None => format!("{} → {}", one.local, one.remote),
    };
    let program = known.program_name();
    let rate = rates.of_all(&one.flows).map(bits);
    let (kind, tone) = match one.kind {
        Kind::Multipath => ("multipath", Tone::Good),
        Kind::Plain => ("plain TCP", Tone::Warn),
    };
    let (sent, received) = (bytes(one.sent), bytes(one.received));
    let moved = format!("sent {sent}, received {received}");
    let since = one.age_s.map(span);
    let head: Vec<&str> = [one.peer.as_str(), &ends, &program]
        .into_iter()
        .chain(since.as_deref())
        .collect();
    let more: Vec<&str> = [kind, &moved].into_iter().chain(rate.as_deref()).collect();
    let paint = |text: String, word: &str, tone| text.replacen(word, &style.paint(word, tone), 1);
    let mut text = paint(wrap(&head, "  ", 0, style), &one.peer, Tone::Strong);
    text += &paint(wrap(&more, "  ", 2, style), kind, tone);
    text += &flow_table(&one.flows, rates, style);
    for lack in &one.lacks {
        let (path, links) = (lack.path, format!("{} → {}", lack.link, lack.remote_link));
        let lacks = format!("lacks path {path} ({links}): {}", lack.why);
        text += &paint(sentence(&lacks, 2, style), "lacks", Tone::Warn);
    }
    if let Some(reason) = &one.reason {
        text += &sentence(reason, 2, style);
    }
    text
}

/// Without the columns for which there is no room.
fn flow_table(flows: &[Flow], rates: &Rates, style: Style) -> String {
    let mut rows: Vec<_> = flows.iter().map(|flow| row(flow, flows, rates)).collect();
    let spare = spare(&COLUMNS, &mut rows, &DISPENSABLE, 2 + BAR, style);
    let room = spare.map_or(BAR_OF_A_PIPE, |spare| {
        spare.saturating_sub(2).min(WIDEST_BAR)
    });
    for (row, flow) in rows.iter_mut().zip(flows) {
        let bar = share(flow, flows, rates).map(|share| bar(share, room));
        row.push(Cell::new(bar.unwrap_or_default(), Tone::Good));
    }
    table(&COLUMNS, &rows, style)
}

fn row(flow: &Flow, all: &[Flow], rates: &Rates) -> Vec<Cell> {
    let link = match (&flow.link, &flow.remote_link) {
        (Some(link), Some(remote)) => format!("{link} → {remote}"),
        (_, _) => UNKNOWN.to_owned(),
    };
    let repeated = flow.retransmitted;
    let rate = match (flow.established, flow.reserve) {
        (false, _) => Cell::new("opens", Tone::Warn),
        (true, true) => Cell::new("in reserve", Tone::Warn),
        (true, false) => rates.of(flow).map(bits).unwrap_or_default().into(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "a share of 100")]
    let percent = |share: f64| format!("{} %", (share * 100.0).round() as i64);
    vec![
        flow.path
            .map_or(UNKNOWN.to_owned(), |p| p.to_string())
            .into(),
        link.into(),
        millis(Some(flow.rtt_ms)).into(),
        bytes(flow.sent).into(),
        if repeated == 0 {
            String::new()
        } else {
            bytes(repeated)
        }
        .into(),
        bytes(flow.received).into(),
        rate,
        share(flow, all, rates)
            .map(percent)
            .unwrap_or_default()
            .into(),
    ]
}

/// Of what the connection moves now; while it moves nothing, of what it has moved.
pub(crate) fn share(flow: &Flow, all: &[Flow], rates: &Rates) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let moved = |flow: &Flow| flow.sent.saturating_add(flow.received) as f64;
    let now = |flow: &Flow| rates.of(flow).unwrap_or(0.0);
    let total: f64 = all.iter().map(now).sum();
    if total > 0.0 {
        return Some(now(flow) / total);
    }
    let total: f64 = all.iter().map(moved).sum();
    (total > 0.0).then(|| moved(flow) / total)
}

fn summary(seen: &Seen, style: Style) -> String {
    let all = seen.connections.len();
    let plain = seen
        .connections
        .iter()
        .filter(|known| known.connection.kind == Kind::Plain)
        .count();
    let lacking = seen
        .connections
        .iter()
        .filter(|known| !known.connection.lacks.is_empty())
        .count();
    let mut parts = vec![match all {
        1 => "1 connection".to_owned(),
        all => format!("{all} connections"),
    }];
    if plain > 0 {
        parts.push(format!("{plain} plain TCP, on one path only"));
    }
    if lacking > 0 {
        parts.push(format!("{lacking} without one of the paths"));
    }
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    style.paint(wrap(&parts, "  ", 0, style).trim_end(), Tone::Muted) + "\n"
}

#[cfg(test)]
pub(super) mod tests;
