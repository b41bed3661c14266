//! What is wrong with a file, shown where it is wrong: message, line, caret, remedy.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::secret;

/// More than this is no fleet file with mistakes, but another file.
const MOST_SHOWN: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Range<usize>,
    what: String,
    remedy: String,
    /// Another place that has to do with it, and what stands there.
    also: Option<(Range<usize>, &'static str)>,
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
            also: None,
        }
    }

    /// Shows another line as well, with a word on it.
    pub(super) fn beside(self, place: Range<usize>, label: &'static str) -> Self {
        Self {
            also: Some((place, label)),
            ..self
        }
    }

    /// A message may quote the text.
    fn mask(&mut self) {
        let what = secret::masked(&self.what);
        self.remedy = secret::masked(&self.remedy);
        if what != self.what {
            self.what = what;
            self.remedy += "; if this is a private key, make a new one: this file is copied to \
                            every site";
        }
    }

    /// Of two things that cannot both be, the one that stands further up.
    pub(super) fn after(self, first: Range<usize>) -> Self {
        self.beside(first, "first here")
    }
}

/// Everything that is wrong with one file, in the order of its lines. Secrets are masked.
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
        problems.iter_mut().for_each(Problem::mask);
        Self {
            file: file.to_owned(),
            text: secret::masked(text),
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
        let shown = self.problems.iter().take(MOST_SHOWN);
        let mut shown: Vec<_> = shown.map(|one| self.shown(one, &renderer)).collect();
        if let Some(more @ 1..) = self.count().checked_sub(MOST_SHOWN) {
            shown.push(format!("and {more} more: is {} a fleet file?", self.file));
        }
        shown.join("\n\n")
    }

    fn shown(&self, problem: &Problem, renderer: &Renderer) -> String {
        let mut snippet = Snippet::source(&self.text)
            .path(&self.file)
            .annotation(AnnotationKind::Primary.span(self.inside(&problem.place)));
        if let Some((other, label)) = &problem.also {
            let other = AnnotationKind::Context.span(self.inside(other));
            snippet = snippet.annotation(other.label(*label));
        }
        let group = Level::ERROR
            .primary_title(&problem.what)
            .element(snippet)
            .element(Level::HELP.message(&problem.remedy));
        renderer.render(&[group])
    }

    /// The place from whole letter to whole letter, within the text.
    fn inside(&self, place: &Range<usize>) -> Range<usize> {
        let letter = |at: usize| {
            let at = at.min(self.text.len());
            (0..=at).rev().find(|at| self.text.is_char_boundary(*at))
        };
        let start = letter(place.start).unwrap_or_default();
        start..letter(place.end).unwrap_or_default().max(start)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
