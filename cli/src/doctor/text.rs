//! Findings for a person: aligned, wrapped to the terminal's width, lines to type unwrapped. Pure.

use crate::style::{Style, Tone};

use super::facts::{Daemon, Facts};
use super::finding::{Finding, Severity};

/// Longer lines are hard to read, however wide the terminal is.
const WIDEST: usize = 100;
const NARROWEST: usize = 40;
const INDENT: usize = 10;

pub(crate) fn text(findings: &[Finding], sight: &str, width: usize, style: Style) -> String {
    let width = width.clamp(NARROWEST, WIDEST);
    let mut text = heading(findings, style) + "\n";
    for finding in findings {
        text += "\n";
        text += &one(finding, width, style);
    }
    text += "\n";
    text += &style.paint(&textwrap::fill(sight, width), Tone::Muted);
    text + "\n"
}

/// What there is to be seen, so that "nothing" can be believed.
pub(crate) fn summary(facts: &Facts) -> String {
    match &facts.daemon {
        Daemon::Absent { .. } | Daemon::Closed => {
            "Looked at the machine only: the daemon could not be asked.".to_owned()
        }
        Daemon::Running(status) => {
            let paths = facts.paths().count();
            let up = facts.paths().filter(|(_, path)| path.reason.is_none());
            let peers = match status.peers.len() {
                1 => "1 peer".to_owned(),
                many => format!("{many} peers"),
            };
            let (name, up) = (&status.site.name, up.count());
            format!("Looked at site {name}: {up} of {paths} paths up to {peers}.")
        }
    }
}

fn heading(findings: &[Finding], style: Style) -> String {
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let wrong = count(Severity::Broken) + count(Severity::Degraded);
    let advice = match count(Severity::Advice) {
        0 => String::new(),
        1 => "; one piece of advice".to_owned(),
        many => format!("; {many} pieces of advice"),
    };
    let (tone, wrong) = match wrong {
        0 => (Tone::Good, "Nothing is seen to be wrong".to_owned()),
        1 => (Tone::Strong, "One thing is wrong".to_owned()),
        many => (Tone::Strong, format!("{many} things are wrong")),
    };
    style.paint(&format!("{wrong}{advice}."), tone)
}

fn one(finding: &Finding, width: usize, style: Style) -> String {
    let (word, tone) = match finding.severity {
        Severity::Broken => ("broken", Tone::Bad),
        Severity::Degraded => ("degraded", Tone::Warn),
        Severity::Advice => ("advice", Tone::Muted),
    };
    let margin = " ".repeat(INDENT);
    let mut text = style.paint(word, tone);
    text += &" ".repeat(INDENT.saturating_sub(word.len()));
    let room = width.saturating_sub(INDENT);
    let subject = textwrap::wrap(&finding.subject, room).join(&format!("\n{margin}"));
    text += &style.paint(&subject, Tone::Strong);
    text += "\n";
    for sentence in [&finding.reason, &finding.remedy] {
        for line in textwrap::wrap(sentence, room) {
            text += &format!("{margin}{line}\n");
        }
    }
    for line in &finding.lines {
        text += &format!("{margin}  {line}\n");
    }
    text
}
