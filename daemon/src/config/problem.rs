//! What is wrong with a file, shown where it is wrong: message, line, caret, remedy.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) place: Range<usize>,
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(
        place: Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            place,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    text: String,
    problems: Vec<Problem>,
}

impl std::error::Error for ConfigErrors {}

impl ConfigErrors {
    pub(super) fn new(file: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.place.start, problem.place.end));
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            problems,
        }
    }

    /// How many errors there are.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let one = |problem: &Problem| {
            let end = problem.place.end.min(self.text.len());
            let place = problem.place.start.min(end)..end;
            let snippet = Snippet::source(&self.text)
                .path(&self.file)
                .annotation(AnnotationKind::Primary.span(place));
            let group = Level::ERROR
                .primary_title(&problem.what)
                .element(snippet)
                .element(Level::HELP.message(&problem.remedy));
            renderer.render(&[group])
        };
        self.problems
            .iter()
            .map(one)
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
