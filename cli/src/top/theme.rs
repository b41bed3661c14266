//! The tones of [`crate::style`] on a drawn screen.

use ratatui::style::{Color, Modifier, Style as Drawn};

use crate::style::{Style, Tone};

#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    color: bool,
    /// The terminal knows signs that are not ASCII.
    pub(super) utf8: bool,
}

impl Theme {
    pub(super) fn new(style: Style, utf8: bool) -> Self {
        Self {
            color: style.is_colored(),
            utf8,
        }
    }

    /// Without colours bold and reversed are left: they are none.
    pub(super) fn of(self, tone: Tone) -> Drawn {
        let plain = Drawn::new();
        match tone {
            Tone::Plain => plain,
            Tone::Strong => plain.add_modifier(Modifier::BOLD),
            Tone::Muted if self.color => plain.add_modifier(Modifier::DIM),
            Tone::Good if self.color => plain.fg(Color::Green),
            Tone::Warn if self.color => plain.fg(Color::Yellow),
            Tone::Bad if self.color => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Bad => plain.add_modifier(Modifier::BOLD),
            Tone::Muted | Tone::Good | Tone::Warn => plain,
        }
    }

    pub(super) fn selected(self) -> Drawn {
        Drawn::new().add_modifier(Modifier::REVERSED)
    }
}
