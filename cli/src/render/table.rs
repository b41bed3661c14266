//! Cells in columns: each as wide as its widest cell, coloured after it was measured.

use crate::style::{Style, Tone};

/// The text of one place in a table, and how it is painted.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
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
pub(super) type Column = (&'static str, Side);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Every line is indented by two and ends with a new line. A column in which every cell is empty
/// is left out.
pub(super) fn table(columns: &[Column], rows: &[Vec<Cell>], style: Style) -> String {
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let shown: Vec<(usize, Side, usize)> = columns
        .iter()
        .enumerate()
        .filter(|(column, _)| cells(*column).any(|cell| !cell.text.is_empty()))
        .map(|(column, (heading, side))| {
            let widest = cells(column).map(Cell::width).max().unwrap_or(0);
            (column, *side, widest.max(heading.chars().count()))
        })
        .collect();
    let headings = columns
        .iter()
        .map(|(heading, _)| Cell::new(*heading, Tone::Muted))
        .collect();
    std::iter::once(&headings)
        .chain(rows)
        .map(|row| line(row, &shown, style))
        .collect()
}

fn line(row: &[Cell], shown: &[(usize, Side, usize)], style: Style) -> String {
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
