//! The lower half: a line for each connection, the busiest first, with what each path carries of it.

use pathweaved::control::{Connection, Kind};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::model::Model;
use super::theme::Theme;
use crate::flows::{Known, share};
use crate::render::units::bits;
use crate::style::Tone;
use crate::terminal::bar;

const GAP: &str = "  ";
const WIDEST_BAR: usize = 16;
/// `3 100 %`: a path's number and its share.
const LABEL: usize = 7;

/// As many as it would like to have: a heading, and one for each.
pub(super) fn lines(model: &Model) -> usize {
    match &model.connections {
        None => 0,
        Some(seen) => seen.connections.len().max(1) + 1,
    }
}

pub(super) fn draw(model: &Model, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(seen) = &model.connections else {
        return;
    };
    let mut shown: Vec<_> = seen
        .connections
        .iter()
        .map(|one| (rate(model, &one.connection), one))
        .collect();
    shown.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let muted = theme.of(Tone::Muted);
    if shown.is_empty() {
        let none = Line::styled("no open connections to the peers", muted);
        frame.render_widget(none, area);
        return;
    }
    let rows: Vec<_> = shown
        .iter()
        .map(|(rate, known)| words(*rate, known))
        .collect();
    let headings = ["program", "peer", "rate"];
    let widths = [0, 1, 2].map(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max();
        longest.unwrap_or(0).max(headings[column].len())
    });
    let [program, peer, speed] = widths;
    let head = format!(
        "{:program$}{GAP}{:peer$}{GAP}{:>speed$}{GAP}paths",
        headings[0], headings[1], headings[2]
    );
    let room = usize::from(area.width).saturating_sub(program + peer + speed + 3 * GAP.len());
    let mut lines = vec![Line::styled(head, muted)];
    lines.extend(
        shown
            .iter()
            .zip(&rows)
            .map(|((_, known), [name, site, moved])| {
                let start = format!("{name:program$}{GAP}{site:peer$}{GAP}{moved:>speed$}{GAP}");
                let mut spans = vec![Span::raw(start)];
                spans.extend(parts(model, &known.connection, room, theme));
                Line::from(spans)
            }),
    );
    frame.render_widget(Text::from(lines), area);
}

fn words(rate: f64, known: &Known) -> [String; 3] {
    let peer = known.connection.peer.clone();
    [known.program_name(), peer, bits(rate)]
}

/// Over all paths, in bit/s.
fn rate(model: &Model, connection: &Connection) -> f64 {
    let rate = model.rates.of_all(&connection.flows);
    rate.unwrap_or(0.0)
}

/// `62/38 %`
fn short(model: &Model, connection: &Connection) -> String {
    let flows = &connection.flows;
    let share = |flow| share(flow, flows, &model.rates).unwrap_or(0.0) * 100.0;
    let shares: Vec<_> = flows
        .iter()
        .map(|flow| format!("{:.0}", share(flow)))
        .collect();
    shares.join("/") + " %"
}

/// `1 ████▌ 62 %  2 ██▌ 38 %  lacks 3`; without bars where there is no room.
fn parts(model: &Model, connection: &Connection, room: usize, theme: Theme) -> Vec<Span<'static>> {
    let flows = &connection.flows;
    let remark = remark(connection);
    let each = room.saturating_sub(remark.len()) / flows.len().max(1);
    if each < LABEL + GAP.len() {
        return vec![Span::raw(short(model, connection))];
    }
    let width = each.saturating_sub(LABEL + GAP.len() + 1).min(WIDEST_BAR);
    let mut spans = Vec::new();
    for flow in flows {
        let share = share(flow, flows, &model.rates).unwrap_or(0.0);
        let path = flow.path.map_or("?".to_owned(), |path| path.to_string());
        spans.push(Span::raw(format!("{path} ")));
        if width > 0 {
            let bar = format!("{:width$} ", bar(share, width));
            spans.push(Span::styled(bar, theme.of(Tone::Good)));
        }
        spans.push(Span::raw(format!("{:>3.0} %{GAP}", share * 100.0)));
    }
    spans.push(Span::styled(remark, theme.of(Tone::Warn)));
    spans
}

/// What it could have, and has not.
fn remark(connection: &Connection) -> String {
    let lacking = connection.lacks.iter().map(|lack| lack.path.to_string());
    let lacking: Vec<_> = lacking.collect();
    match connection.kind {
        Kind::Plain => "plain TCP".to_owned(),
        Kind::Multipath if lacking.is_empty() => String::new(),
        Kind::Multipath => format!("lacks {}", lacking.join(", ")),
    }
}
