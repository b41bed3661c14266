//! Colour, where the terminal has it and nobody asked for none. What a colour says, a word says
//! as well.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Effects};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    color: bool,
    /// Letters in a line; `None` where it is no terminal.
    width: Option<usize>,
}

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Muted,
    Good,
    Warn,
    Bad,
}

impl Style {
    /// As `--color`, `NO_COLOR` and the kind of standard output say.
    pub(crate) fn of_stdout() -> Self {
        let size = terminal_size::terminal_size_of(std::io::stdout());
        Self {
            width: size.map(|(width, _)| usize::from(width.0)),
            ..Self::of(AutoStream::choice(&std::io::stdout()))
        }
    }

    pub(crate) fn of_stderr() -> Self {
        Self::of(AutoStream::choice(&std::io::stderr()))
    }

    fn of(choice: ColorChoice) -> Self {
        Self {
            color: choice != ColorChoice::Never,
            width: None,
        }
    }

    pub(crate) fn plain() -> Self {
        Self::of(ColorChoice::Never)
    }

    #[cfg(test)]
    pub(crate) fn narrow(width: usize) -> Self {
        Self {
            width: Some(width),
            ..Self::plain()
        }
    }

    #[cfg(test)]
    pub(crate) fn colored() -> Self {
        Self::of(ColorChoice::Always)
    }

    pub(crate) fn width(self) -> Option<usize> {
        self.width
    }

    pub(crate) fn is_colored(self) -> bool {
        self.color
    }

    pub(crate) fn paint(self, text: &str, tone: Tone) -> String {
        if !self.color || tone == Tone::Plain {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

impl Tone {
    fn style(self) -> anstyle::Style {
        match self {
            Self::Plain => anstyle::Style::new(),
            Self::Strong => Effects::BOLD.into(),
            Self::Muted => Effects::DIMMED.into(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default() | Effects::BOLD,
        }
    }
}
