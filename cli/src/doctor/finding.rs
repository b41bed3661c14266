//! One thing that is wrong or could be better.

use std::collections::BTreeMap;

use serde::Serialize;

/// The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// Something does not work.
    Broken,
    /// It works, but less well than it should.
    Degraded,
    /// It works; it could be better, or it is good to know.
    Advice,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// What it is about, in a few words.
    pub(crate) subject: String,
    /// One sentence.
    pub(crate) reason: String,
    /// What helps: one sentence.
    pub(crate) remedy: String,
    /// Lines to be typed or written as they are.
    pub(crate) lines: Vec<String>,
    /// The values that the conclusion was drawn from.
    pub(crate) evidence: BTreeMap<String, String>,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        subject: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            subject: subject.into(),
            reason: reason.into(),
            remedy: remedy.into(),
            lines: Vec::new(),
            evidence: BTreeMap::new(),
        }
    }

    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is only shown may be given as it comes"
    )]
    pub(crate) fn because(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.evidence.insert(name.into(), value.to_string());
        self
    }
}

const PROGRAMS: [&str; 3] = ["pathweave", "systemd", "nft"];

/// A sentence begins with a capital letter, unless it begins with a program's name.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    match first {
        Some(first) if !PROGRAMS.iter().any(|name| text.starts_with(name)) => {
            first + letters.as_str()
        }
        Some(_) | None => text.to_owned(),
    }
}
