//! Medians, spreads and ratios, as a Markdown table.

use crate::contender::{Contender, Kind};
use crate::load::Figures;

/// Median, least and greatest of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self {
            median: *values.get(values.len() / 2)?,
            least: *values.first()?,
            greatest: *values.last()?,
        })
    }
}

#[derive(Debug)]
pub struct Row {
    pub name: String,
    version: String,
    cells: Vec<Option<Spread>>,
}

#[derive(Debug)]
pub struct Results {
    pub rows: Vec<Row>,
    rounds: usize,
    absent: Vec<String>,
}

/// Heading, digits after the point, and where the figure is found.
type Column = (&'static str, usize, fn(&Figures) -> Option<f64>);

pub const RATE: usize = 0;
pub const COST: usize = 1;
const COLUMNS: [Column; 10] = [
    ("Gbit/s", 2, |f| f.gbit_per_s),
    ("CPU-s/GB", 2, |f| f.cpu_s_per_gb),
    ("retransmits", 0, |f| f.retransmits),
    ("segments/send", 1, |f| f.segments_per_send),
    ("duplex ÷ one way", 2, |f| f.duplex),
    ("64 B kpps", 0, |f| f.packets_per_s.map(|rate| rate / 1e3)),
    ("RTT p50 µs", 0, |f| f.idle_p50),
    ("p99", 0, |f| f.idle_p99),
    ("loaded p50", 0, |f| f.loaded_p50),
    ("p99", 0, |f| f.loaded_p99),
];

impl Row {
    pub fn median(&self, column: usize) -> Option<f64> {
        self.cells.get(column)?.map(|spread| spread.median)
    }
}

impl Results {
    pub fn new(contenders: &[Contender], rounds: &[Vec<Figures>], absent: Vec<String>) -> Self {
        let row = |(contender, figures): (&Contender, &Vec<Figures>)| Row {
            name: contender.name(),
            version: contender.version.clone(),
            cells: COLUMNS
                .iter()
                .map(|(_, _, get)| Spread::of(figures.iter().filter_map(get).collect()))
                .collect(),
        };
        Self {
            rows: contenders.iter().zip(rounds).map(row).collect(),
            rounds: rounds.first().map_or(0, Vec::len),
            absent,
        }
    }

    pub fn markdown(&self, machine: &str) -> String {
        let mut text = format!(
            "{machine}. Median of {} rounds in turns (least–greatest).\n\n",
            self.rounds
        );
        let mut heads = vec!["", "rate ÷ pathweave"];
        heads.extend(COLUMNS.iter().map(|(head, _, _)| *head));
        text += &line(heads.iter().map(|head| (*head).to_owned()));
        text += &line(
            heads
                .iter()
                .enumerate()
                .map(|(at, _)| if at == 0 { "---" } else { "--:" }.to_owned()),
        );
        let ours = Kind::Pathweave.name();
        let ours = self.rows.iter().find(|row| row.name == ours);
        let ours = ours.and_then(|row| row.median(RATE));
        for row in &self.rows {
            let ratio = row
                .median(RATE)
                .zip(ours)
                .map(|(a, b)| format!("{:.2}", a / b));
            let cells = row.cells.iter().zip(&COLUMNS).map(cell);
            let first = [row.name.clone(), ratio.unwrap_or_default()];
            text += &line(first.into_iter().chain(cells));
        }
        text += "\n";
        for row in &self.rows {
            text += &format!("- {}: {}\n", row.name, row.version);
        }
        self.absent
            .iter()
            .for_each(|absent| text += &format!("- {absent}\n"));
        text
    }
}

fn cell((spread, (_, digits, _)): (&Option<Spread>, &Column)) -> String {
    spread.map_or_else(String::new, |spread| {
        let Spread {
            median,
            least,
            greatest,
        } = spread;
        format!("{median:.digits$} ({least:.digits$}–{greatest:.digits$})")
    })
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
