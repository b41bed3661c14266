//! The screen: this site and what it carries, a line for each path, the remark, the keys.

use pathweaved::control::{PathStatus, PeerStatus, Status};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};

use super::columns::{Column, fit};
use super::connections;
use super::history::worse_loss;
use super::model::{Model, Remark, paths};
use super::theme::Theme;
use crate::ascii;
use crate::render::units::{bits, millis, percent};
use crate::render::{LOSSY, join, tone, why, word};
use crate::style::Tone;
use crate::terminal::bar;

const MOST_WARNINGS: usize = 3;
const MOST_OF_A_REMARK: usize = 4;

/// A cell before it is drawn.
type Words = (String, Tone);

pub(super) fn draw(model: &Model, theme: Theme, frame: &mut Frame<'_>) {
    draw_all(model, theme, frame);
    if !theme.utf8 {
        for cell in &mut frame.buffer_mut().content {
            let spelt = ascii::spell(cell.symbol());
            cell.set_symbol(&spelt);
        }
    }
}

fn draw_all(model: &Model, theme: Theme, frame: &mut Frame<'_>) {
    let Some(status) = &model.status else {
        frame.render_widget(Line::raw("the daemon is asked …"), frame.area());
        return;
    };
    let warnings = status.site.warnings.len().min(MOST_WARNINGS);
    let (remark, tone) = remark(model, status);
    let width = usize::from(frame.area().width).max(1);
    let remark_lines = remark
        .chars()
        .count()
        .div_ceil(width)
        .clamp(1, MOST_OF_A_REMARK);
    let room = usize::from(frame.area().height).saturating_sub(4 + warnings + remark_lines);
    let [upper, lower] = shares(paths(status).count() + 1, connections::lines(model), room);
    let lines = [1, warnings, 1, upper, 1, lower].map(|lines| {
        let lines = u16::try_from(lines).unwrap_or(u16::MAX);
        Constraint::Length(lines)
    });
    let rest = [
        Constraint::Fill(1),
        Constraint::Length(u16::try_from(remark_lines).unwrap_or(1)),
        Constraint::Length(1),
    ];
    let lines = [lines.as_slice(), rest.as_slice()].concat();
    let areas = Layout::vertical(lines).split(frame.area());
    let [head, warned, _, upper, _, lower, _, told, keys] = areas.as_ref() else {
        return;
    };
    frame.render_widget(title(model, status, theme, head.width), *head);
    let lines = status.site.warnings.iter().take(warnings);
    let lines: Vec<_> = lines.map(|text| warning(text, theme)).collect();
    frame.render_widget(Text::from(lines), *warned);
    draw_paths(model, status, theme, frame, *upper);
    connections::draw(model, theme, frame, *lower);
    let remark = Paragraph::new(remark).style(theme.of(tone));
    frame.render_widget(remark.wrap(Wrap { trim: true }), *told);
    frame.render_widget(key_line(theme, keys.width), *keys);
}

/// Lines for paths and for connections: where there are not enough, connections get a third.
pub(super) fn shares(paths: usize, connections: usize, room: usize) -> [usize; 2] {
    let lower = connections.min((room / 3).max(room.saturating_sub(paths)));
    [paths.min(room - lower), lower]
}

fn title(model: &Model, status: &Status, theme: Theme, width: u16) -> Line<'static> {
    let site = &status.site;
    let (sent, received) = model.totals();
    let mut spans = vec![
        Span::styled(site.name.clone(), theme.of(Tone::Strong)),
        Span::raw(format!("  {} out  {} in", bits(sent), bits(received))),
    ];
    if width >= 100 {
        let addresses = join([&site.address, &site.address6]);
        spans.push(Span::styled(
            format!("  id {}  {addresses}", site.id),
            theme.of(Tone::Muted),
        ));
    }
    Line::from(spans)
}

fn warning(text: &str, theme: Theme) -> Line<'static> {
    let word = Span::styled("warning", theme.of(Tone::Warn));
    Line::from(vec![word, Span::raw(format!(": {text}"))])
}

fn draw_paths(model: &Model, status: &Status, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let widest = |column| {
        let length = |(peer, path)| text(model, peer, path, column, 0).0.chars().count();
        paths(status).map(length).max().unwrap_or(0)
    };
    let columns = fit(usize::from(area.width), |column| {
        // These are as wide as there is room.
        let stretches = matches!(column, Column::Losses | Column::Share);
        if stretches {
            usize::MAX
        } else {
            widest(column)
        }
    });
    let cell = |(words, tone): Words, column: Column, width: usize| {
        let words = if column.is_number() {
            format!("{words:>width$}")
        } else {
            words
        };
        Cell::from(Span::styled(words, theme.of(tone)))
    };
    let rows = paths(status).map(|(peer, path)| {
        let cells = columns
            .iter()
            .map(|(column, width)| cell(text(model, peer, path, *column, *width), *column, *width));
        Row::new(cells.collect::<Vec<_>>())
    });
    let headings = columns.iter().map(|(column, width)| {
        let heading = (column.heading().to_owned(), Tone::Muted);
        cell(heading, *column, *width)
    });
    let widths = columns.iter().map(|(_, width)| {
        let width = u16::try_from(*width).unwrap_or(u16::MAX);
        Constraint::Length(width)
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths.collect::<Vec<_>>())
        .header(Row::new(headings.collect::<Vec<_>>()))
        .column_spacing(2)
        .row_highlight_style(theme.selected());
    let visible = usize::from(area.height).saturating_sub(1);
    let furthest = paths(status).count().saturating_sub(visible);
    let offset = model.selected.saturating_sub(visible / 2).min(furthest);
    let mut state = TableState::new()
        .with_offset(offset)
        .with_selected(model.selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn text(
    model: &Model,
    peer: &PeerStatus,
    path: &PathStatus,
    column: Column,
    width: usize,
) -> Words {
    let history = model.history(peer, path);
    let plain = |text: String| (text, Tone::Plain);
    let rate = |way: fn((f64, f64)) -> f64| {
        let rates = history.and_then(|history| history.rates);
        plain(rates.map_or("-".to_owned(), |rates| bits(way(rates))))
    };
    match column {
        Column::Peer => plain(peer.site.clone()),
        Column::Number => plain(path.path.to_string()),
        Column::State => (word(path.state).to_owned(), tone(path.state)),
        Column::Link => plain(format!("{} → {}", path.link, path.remote_link)),
        Column::Sent => rate(|(sent, _)| sent),
        Column::Received => rate(|(_, received)| received),
        Column::RoundTrip => plain(millis(path.rtt_ms)),
        Column::Loss => {
            let worse = worse_loss(path);
            let lossy = worse.is_some_and(|loss| loss >= LOSSY);
            let tone = if lossy { Tone::Warn } else { Tone::Plain };
            (percent(worse), tone)
        }
        Column::Losses => {
            let losses = history.into_iter().flat_map(|one| one.losses(width));
            plain(losses.map(|loss| loss.glyph()).collect())
        }
        Column::Share => plain(share(model.share(peer, path), width)),
        Column::Mtu => plain(path.mtu.to_string()),
        Column::Subflows => plain(path.subflows.to_string()),
        Column::Why => (why(path).cloned().unwrap_or_default(), tone(path.state)),
    }
}

/// `██████▌      62 %`
fn share(share: Option<f64>, width: usize) -> String {
    let Some(share) = share else {
        return String::new();
    };
    let bars = width.saturating_sub(6);
    format!("{:bars$} {:>3.0} %", bar(share, bars), share * 100.0)
}

/// What was said last; else why the selected path is not up, or not used.
fn remark(model: &Model, status: &Status) -> Words {
    match &model.remark {
        Remark::Nothing => match paths(status).nth(model.selected) {
            Some((peer, path)) if why(path).is_some() => {
                let why = why(path).cloned().unwrap_or_default();
                let text = format!("path {} to {}: {why}", path.path, peer.site);
                (text, tone(path.state))
            }
            Some(_) | None => (String::new(), Tone::Plain),
        },
        Remark::Silence(why) => (format!("what is shown is old: {why}"), Tone::Bad),
        Remark::Refused(why) => (why.clone(), Tone::Bad),
        Remark::Question(question, _) => (question.clone(), Tone::Warn),
    }
}

fn key_line(theme: Theme, width: u16) -> Line<'static> {
    let keys = if width >= 60 {
        "↑↓ select a path   d take it down   u bring it up   q quit"
    } else {
        "↑↓ select  d down  u up  q quit"
    };
    Line::styled(keys, theme.of(Tone::Muted))
}
