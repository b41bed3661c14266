//! What was measured, for a person and as JSON: each path, all together, and what that gains.

use pathweaved::control::SCHEMA;
use pathweaved::control::speed::Direction;
use serde::Serialize;

use crate::render::table::{Cell, Column, Side, spare, table};
use crate::render::units::{bits, percent};
use crate::style::{Style, Tone};
use crate::terminal::{bar, sentence, wrap};

use super::{Alone, Measured, Outcome};

const COLUMNS: [Column; 6] = [
    ("path", Side::Right),
    ("link", Side::Left),
    ("alone", Side::Right),
    ("sent twice", Side::Right),
    ("together", Side::Right),
    ("", Side::Left),
];
/// Columns that a narrow terminal has to do without, in this order.
const DISPENSABLE: [usize; 2] = [3, 1];
const BAR: usize = 6;
const WIDEST_BAR: usize = 24;

pub(super) fn outcome(outcome: &Outcome, style: Style) -> String {
    let peer = &outcome.peer;
    let direction = match outcome.order.direction {
        Direction::Up => format!("to {peer}"),
        Direction::Down => format!("from {peer}"),
    };
    let time = format!("{} s each, what arrived", outcome.order.seconds);
    let head = wrap(&["speed", &direction, &time], " ", 0, style);
    let mut text = head.replacen(peer, &style.paint(peer, Tone::Strong), 1);
    text += &paths(outcome, style);
    for alone in &outcome.alone {
        if let Err(why) = &alone.measured {
            text += &sentence(&format!("path {}: {why}", alone.path.path), 2, style);
        }
    }
    match &outcome.together {
        None => {}
        Some(Err(why)) => text += &sentence(&format!("together: {why}"), 2, style),
        Some(Ok(together)) => text += &gain(outcome, together, style),
    }
    text
}

fn paths(outcome: &Outcome, style: Style) -> String {
    let best = best(outcome).unwrap_or(1.0);
    let mut rows: Vec<_> = outcome
        .alone
        .iter()
        .map(|alone| row(alone, outcome))
        .collect();
    let spare = spare(&COLUMNS, &mut rows, &DISPENSABLE, 2 + BAR, style);
    let room = spare.map_or(WIDEST_BAR, |spare| spare.saturating_sub(2).min(WIDEST_BAR));
    for (cells, alone) in rows.iter_mut().zip(&outcome.alone) {
        let rate = alone.measured.as_ref().map_or(0.0, |one| one.rate);
        cells.push(Cell::new(bar(rate / best, room), Tone::Good));
    }
    table(&COLUMNS, &rows, style)
}

fn row(alone: &Alone, outcome: &Outcome) -> Vec<Cell> {
    let path = &alone.path;
    let (rate, repeated) = match &alone.measured {
        Ok(measured) => (bits(measured.rate).into(), percent(repeated(measured))),
        Err(_) => (Cell::new("not measured", Tone::Warn), String::new()),
    };
    let sends = outcome.order.direction == Direction::Up;
    let share = together(outcome).and_then(|together| share(together, path.path));
    vec![
        path.path.to_string().into(),
        format!("{} → {}", path.link, path.remote_link).into(),
        rate,
        // Only who sends knows.
        if sends { repeated } else { String::new() }.into(),
        share
            .map(|share| percent(Some(share)))
            .unwrap_or_default()
            .into(),
    ]
}

fn gain(outcome: &Outcome, together: &Measured, style: Style) -> String {
    let rate = style.paint(&bits(together.rate), Tone::Strong);
    let mut text = format!("together {}", bits(together.rate));
    if let (Some(sum), Some(best)) = (sum(outcome), best(outcome)) {
        text += &format!(
            ": {:.0} % of the sum of {}, {:.2} × the best path alone",
            together.rate / sum * 100.0,
            bits(sum),
            together.rate / best
        );
    }
    let mut text = sentence(&text, 0, style).replacen(&bits(together.rate), &rate, 1);
    if together.flows.len() < 2 {
        let why = "it had one flow only: `pathweave flows` and `pathweave status` tell why";
        text += &sentence(why, 2, style);
    }
    if together.flows.iter().any(|flow| flow.reserve) {
        let why = "a path waits in reserve, because its use lowered the total: see `pathweave \
                   status`";
        text += &sentence(why, 2, style);
    }
    text
}

fn together(outcome: &Outcome) -> Option<&Measured> {
    outcome.together.as_ref()?.as_ref().ok()
}

fn rates(outcome: &Outcome) -> impl Iterator<Item = f64> {
    let measured = outcome
        .alone
        .iter()
        .filter_map(|alone| alone.measured.as_ref().ok());
    measured.map(|measured| measured.rate)
}

fn sum(outcome: &Outcome) -> Option<f64> {
    let sum: f64 = rates(outcome).sum();
    (sum > 0.0).then_some(sum)
}

fn best(outcome: &Outcome) -> Option<f64> {
    rates(outcome).max_by(f64::total_cmp)
}

/// Of what was sent, what was sent more than once.
fn repeated(measured: &Measured) -> Option<f64> {
    let sent: u64 = measured.flows.iter().map(|flow| flow.sent).sum();
    let repeated: u64 = measured.flows.iter().map(|flow| flow.retransmitted).sum();
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = repeated as f64 / sent as f64;
    (sent > 0).then_some(share)
}

/// What a path carried of all.
fn share(measured: &Measured, path: u8) -> Option<f64> {
    let flows = || measured.flows.iter();
    let all: u64 = flows().map(|flow| flow.sent + flow.received).sum();
    let on_path = flows().filter(|flow| flow.path == Some(path));
    let carried: u64 = on_path.map(|flow| flow.sent + flow.received).sum();
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = carried as f64 / all as f64;
    (all > 0).then_some(share)
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    peer: &'a str,
    /// `up`: from here to the peer.
    direction: &'static str,
    seconds: u8,
    paths: Vec<Path<'a>>,
    /// `null`: not asked for, or there is one path only.
    together: Option<Together<'a>>,
    /// Rates are in bit/s, everywhere.
    sum: Option<f64>,
    best: Option<f64>,
    /// Together ÷ best.
    gain: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Path<'a> {
    path: u8,
    link: &'a str,
    remote_link: &'a str,
    rate: Option<f64>,
    /// Share of what was sent more than once; known to who sends.
    retransmitted: Option<f64>,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Together<'a> {
    rate: Option<f64>,
    retransmitted: Option<f64>,
    error: Option<&'a str>,
    /// What each path carried of all.
    shares: Vec<Share>,
}

#[derive(Debug, Serialize)]
struct Share {
    path: u8,
    share: f64,
}

pub(super) fn document(outcome: &Outcome) -> Document<'_> {
    let sends = outcome.order.direction == Direction::Up;
    let twice = |measured: Option<&Measured>| measured.and_then(repeated).filter(|_| sends);
    let path = |alone: &Alone| alone.path.path;
    let paths = outcome.alone.iter().map(|alone| {
        let measured = alone.measured.as_ref();
        Path {
            path: path(alone),
            link: &alone.path.link,
            remote_link: &alone.path.remote_link,
            rate: measured.ok().map(|one| one.rate),
            retransmitted: twice(measured.ok()),
            error: measured.err().map(String::as_str),
        }
    });
    let shares = |measured: &Measured| -> Vec<Share> {
        let numbers = outcome.alone.iter().map(path);
        let shares = numbers.filter_map(|path| {
            let share = share(measured, path)?;
            Some(Share { path, share })
        });
        shares.collect()
    };
    let all = outcome.together.as_ref().map(|all| all.as_ref());
    let best = best(outcome);
    let rate = together(outcome).map(|together| together.rate);
    Document {
        schema: SCHEMA,
        peer: &outcome.peer,
        direction: match outcome.order.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        },
        seconds: outcome.order.seconds,
        paths: paths.collect(),
        together: all.map(|all| Together {
            rate,
            retransmitted: twice(all.ok()),
            error: all.err().map(String::as_str),
            shares: all.map(shares).unwrap_or_default(),
        }),
        sum: sum(outcome),
        best,
        gain: rate.zip(best).map(|(rate, best)| rate / best),
    }
}

#[cfg(test)]
mod tests;
