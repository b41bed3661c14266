//! Colour, where the terminal has it and nobody asked for none.

use anstream::AutoStream;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    color: bool,
}

impl Style {
    pub(crate) fn choose() -> Self {
        let choice = AutoStream::choice(&std::io::stdout());
        Self {
            color: choice != anstream::ColorChoice::Never,
        }
    }

    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { color: false }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint(text, "\u{1b}[32m")
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint(text, "\u{1b}[31m")
    }

    pub(crate) fn muted(self, text: &str) -> String {
        self.paint(text, "\u{1b}[2m")
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.color {
            format!("{code}{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
