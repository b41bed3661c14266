//! Echoes for a person and as JSON. Pure: from values to text.

use std::net::IpAddr;

use pathweaved::control::{PathState, SCHEMA};
use serde::Serialize;

use crate::render::table::{Cell, Column, Side, spare, table};
use crate::render::units::{millis, percent};
use crate::render::{tone, word};
use crate::style::{Style, Tone};
use crate::terminal::{sentence, wrap};

use super::{Run, Way};

const COLUMNS: [Column; 11] = [
    ("path", Side::Right),
    ("state", Side::Left),
    ("link", Side::Left),
    ("min", Side::Right),
    ("mean", Side::Right),
    ("max", Side::Right),
    ("jitter", Side::Right),
    ("loss", Side::Right),
    ("mtu", Side::Right),
    ("full size", Side::Left),
    ("carrier", Side::Left),
];
/// Columns that a narrow terminal has to do without, in this order.
const DISPENSABLE: [usize; 7] = [10, 3, 6, 9, 5, 2, 8];

pub(super) fn table_of(peer: &str, to: IpAddr, runs: &[Run], style: Style) -> String {
    let sent = runs.iter().map(|run| run.tally.sent).max().unwrap_or(0);
    let address = format!("({to}),");
    let count = format!("{sent} on each path");
    let head = wrap(&["echoes to", peer, &address, &count], " ", 0, style);
    let mut text = head.replacen(peer, &style.paint(peer, Tone::Strong), 1);
    let mut rows: Vec<_> = runs.iter().map(row).collect();
    spare(&COLUMNS, &mut rows, &DISPENSABLE, 0, style);
    text += &table(&COLUMNS, &rows, style);
    for run in runs {
        if let Some(why) = why(run) {
            text += &sentence(&format!("path {}: {why}", run.path.path), 2, style);
        }
    }
    text
}

/// A round, a line for each path.
pub(super) fn lines(round: u32, runs: &[Run]) -> String {
    let line = |run: &Run| {
        let answer = match &run.way {
            Way::Echoes(_) => run.tally.newest.map_or("no answer".to_owned(), |time| {
                millis(Some(time.as_secs_f64() * 1000.0))
            }),
            Way::Daemon(_) | Way::Dead(_) | Way::Aside => "not asked".to_owned(),
        };
        let path = &run.path;
        format!(
            "{round}  path {}  {} → {}  {answer}\n",
            path.path, path.link, path.remote_link
        )
    };
    runs.iter().map(line).collect()
}

fn row(run: &Run) -> Vec<Cell> {
    let path = &run.path;
    let figures = Figures::of(run);
    let of = |which: fn([f64; 3]) -> f64| millis(figures.rtt.map(which));
    let mean = match run.is_lost() {
        true => Cell::new("no answer", Tone::Bad),
        false => of(|[_, mean, _]| mean).into(),
    };
    let loss = match figures.loss {
        Some(loss) if loss >= 1.0 => Tone::Bad,
        Some(loss) if loss > 0.0 => Tone::Warn,
        Some(_) | None => Tone::Plain,
    };
    let full_size = match figures.full_size {
        Some(true) => Cell::new("arrives", Tone::Good),
        Some(false) => Cell::new("lost", Tone::Bad),
        None => Cell::from("-"),
    };
    vec![
        path.path.to_string().into(),
        Cell::new(word(path.state), tone(path.state)),
        format!("{} → {}", path.link, path.remote_link).into(),
        of(|[least, _, _]| least).into(),
        mean,
        of(|[_, _, most]| most).into(),
        millis(figures.jitter).into(),
        Cell::new(percent(figures.loss), loss),
        path.mtu.to_string().into(),
        full_size,
        path.carrier.clone().into(),
    ]
}

/// Why it is not what it should be.
fn why(run: &Run) -> Option<String> {
    match &run.way {
        Way::Daemon(why) => Some((*why).to_owned()),
        Way::Dead(why) => Some(run.path.reason.clone().unwrap_or_else(|| why.clone())),
        Way::Aside => run.path.reason.clone(),
        Way::Echoes(_) => match (&run.path.reason, run.is_lost()) {
            (Some(reason), _) => Some(reason.clone()),
            (None, true) if run.path.state == PathState::Up => Some(
                "no echo comes back though the daemon holds it for up: it has just died, or a \
                 firewall there drops ICMP"
                    .to_owned(),
            ),
            (None, _) => None,
        },
    }
}

/// What was measured, by us or by the daemon.
struct Figures {
    rtt: Option<[f64; 3]>,
    jitter: Option<f64>,
    loss: Option<f64>,
    full_size: Option<bool>,
}

impl Figures {
    fn of(run: &Run) -> Self {
        let (tally, path) = (&run.tally, &run.path);
        match run.way {
            Way::Daemon(_) => Self {
                rtt: path.rtt_ms.map(|rtt| [rtt; 3]),
                jitter: path.jitter_ms,
                loss: path.loss,
                full_size: None,
            },
            Way::Echoes(_) | Way::Dead(_) | Way::Aside => Self {
                rtt: tally.round_trips(),
                jitter: tally.jitter(),
                loss: tally.loss(),
                full_size: tally.full_size(),
            },
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    peer: &'a str,
    address: IpAddr,
    paths: Vec<Line<'a>>,
}

/// One path. What was not measured is `null`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    path: u8,
    state: PathState,
    link: &'a str,
    remote_link: &'a str,
    /// Why it is not up, or cannot be asked.
    reason: Option<String>,
    sent: u32,
    received: u32,
    rtt_min_ms: Option<f64>,
    rtt_mean_ms: Option<f64>,
    rtt_max_ms: Option<f64>,
    jitter_ms: Option<f64>,
    loss: Option<f64>,
    mtu: u16,
    /// An echo as large as the MTU came back.
    full_size: Option<bool>,
    carrier: &'a str,
}

pub(super) fn document<'a>(peer: &'a str, address: IpAddr, runs: &'a [Run]) -> Document<'a> {
    let line = |run: &'a Run| {
        let (path, figures) = (&run.path, Figures::of(run));
        Line {
            path: path.path,
            state: path.state,
            link: &path.link,
            remote_link: &path.remote_link,
            reason: why(run),
            sent: run.tally.sent,
            received: run.tally.received,
            rtt_min_ms: figures.rtt.map(|[least, _, _]| least),
            rtt_mean_ms: figures.rtt.map(|[_, mean, _]| mean),
            rtt_max_ms: figures.rtt.map(|[_, _, most]| most),
            jitter_ms: figures.jitter,
            loss: figures.loss,
            mtu: path.mtu,
            full_size: figures.full_size,
            carrier: &path.carrier,
        }
    };
    Document {
        schema: SCHEMA,
        peer,
        address,
        paths: runs.iter().map(line).collect(),
    }
}

#[cfg(test)]
mod tests;
