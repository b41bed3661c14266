//! Cells in columns: each as wide as its widest cell, coloured after it was measured.

use crate::style::{Style, Tone};

/// The text of one place in a table, and how it is painted.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column: its heading, and whether it holds numbers, which stand at the right.
pub(crate) type Column = (&'static str, Side);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// What a narrow terminal does without, first to last.
const LEFT_OUT: [&str; 10] = [
    "handshake",
    "mtu",
    "addresses",
    "endpoint",
    "received",
    "sent",
    "subflows",
    "loss",
    "id",
    "rtt",
];

/// Where a column stands in the row, its side and its width.
type Shown = (usize, Side, usize);

/// Every line is indented by two and ends with a new line. A column in which every cell is empty
/// is left out. Where the terminal is too narrow, the last column goes to a line of its own, and
/// then one after the other is left out.
pub(crate) fn table(columns: &[Column], rows: &[Vec<Cell>], style: Style) -> String {
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let mut shown: Vec<Shown> = columns
        .iter()
        .enumerate()
        .filter(|(column, _)| cells(*column).any(|cell| !cell.text.is_empty()))
        .map(|(column, (heading, side))| {
            let widest = cells(column).map(Cell::width).max().unwrap_or(0);
            (column, *side, widest.max(heading.chars().count()))
        })
        .collect();
    let below = fit(columns, &mut shown, style.width());
    let headings: Vec<_> = columns
        .iter()
        .map(|(heading, _)| Cell::new(*heading, Tone::Muted))
        .collect();
    let rows = rows.iter().map(|row| {
        let remark = below.and_then(|column| row.get(column));
        let remark = remark.filter(|cell| !cell.text.is_empty());
        let remark = remark.map(|cell| format!("    {}\n", style.paint(&cell.text, cell.tone)));
        line(row, &shown, style) + &remark.unwrap_or_default()
    });
    line(&headings, &shown, style) + &rows.collect::<String>()
}

/// The column that goes to a line of its own, if it does.
fn fit(columns: &[Column], shown: &mut Vec<Shown>, width: Option<usize>) -> Option<usize> {
    let fits = |shown: &[Shown]| {
        let needed: usize = shown.iter().map(|(.., width)| width + 2).sum();
        width.is_none_or(|width| needed <= width)
    };
    if fits(shown) {
        return None;
    }
    let is_last = |(column, ..): &Shown| column + 1 == columns.len();
    let below = shown.pop_if(|last| is_last(last));
    for name in LEFT_OUT {
        if fits(shown) {
            break;
        }
        let is_it = |column: usize| {
            columns
                .get(column)
                .is_some_and(|(heading, _)| *heading == name)
        };
        shown.retain(|(column, ..)| !is_it(*column));
    }
    below.map(|(column, ..)| column)
}

/// Empties the columns that a terminal of the style's width, less `beside`, has no room for, in the
/// order of `dispensable`; how much room is left then. `None`: there is no limit.
pub(crate) fn spare(
    columns: &[Column],
    rows: &mut [Vec<Cell>],
    dispensable: &[usize],
    beside: usize,
    style: Style,
) -> Option<usize> {
    let width = style.width()?;
    let measure = |rows: &[Vec<Cell>]| {
        let text = table(columns, rows, Style::plain());
        let widths = text.lines().map(|line| line.chars().count());
        widths.max().unwrap_or(0)
    };
    let mut dispensable = dispensable.iter();
    while measure(rows) + beside > width
        && let Some(column) = dispensable.next()
    {
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(*column)) {
            *cell = Cell::from("");
        }
    }
    Some(width.saturating_sub(measure(rows)))
}

fn line(row: &[Cell], shown: &[Shown], style: Style) -> String {
    let mut line = String::new();
    let mut blank = 0;
    for (column, side, width) in shown {
        let Some(cell) = row.get(*column) else {
            continue;
        };
        let room = width.saturating_sub(cell.width());
        let (before, after) = match side {
            Side::Left => (0, room),
            Side::Right => (room, 0),
        };
        // Blanks are written when something follows them: no line ends with white space.
        blank += 2 + before;
        if !cell.text.is_empty() {
            line += &" ".repeat(blank);
            line += &style.paint(&cell.text, cell.tone);
            blank = 0;
        }
        blank += after;
    }
    line + "\n"
}
