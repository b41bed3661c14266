//! `pathweave doctor`: what is wrong, in one sentence, and what helps, in the next; worst first.
//!
//! [`look`] gathers [`facts`] from the daemon and the machine, [`checks`] draw the conclusions,
//! one file a subject, and know nothing but the facts; [`text`] shows them. It works as far as it
//! can without the daemon and without root, and says what it could not see.

mod checks;
mod facts;
mod finding;
mod look;
mod text;

use std::process::ExitCode;

use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::style::Style;
use facts::{Daemon, Facts};
use finding::{Finding, Severity};
use pathweaved::control::SCHEMA;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    findings: &'a [Finding],
    /// What could not be looked at, and why.
    unseen: &'a [String],
}

/// Exit code 1 when something is wrong, 4 when that is not known for want of rights; advice alone
/// is no fault.
pub(crate) fn doctor(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let facts = look::look(client);
    let findings = diagnose(&facts);
    if json {
        output::json(&Document {
            schema: SCHEMA,
            findings: &findings,
            unseen: &facts.unseen,
        })?;
    } else {
        let sight = text::summary(&facts);
        let (style, usual) = (Style::of_stdout(), 80);
        let width = style.width().unwrap_or(usual);
        output::data(&text::text(&findings, &sight, width, style))?;
        facts.unseen.iter().for_each(|what| output::remark(what));
    }
    let worst = findings.first().map(|finding| finding.severity);
    let code = match (worst, &facts.daemon) {
        (Some(Severity::Broken | Severity::Degraded), _) => 1,
        (Some(Severity::Advice) | None, Daemon::Closed) => 4,
        (Some(Severity::Advice) | None, Daemon::Running(_) | Daemon::Absent { .. }) => 0,
    };
    Ok(ExitCode::from(code))
}

/// Worst first; what is equally bad in the order of the checks.
fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<_> = checks::ALL.iter().flat_map(|check| check(facts)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

#[cfg(test)]
mod tests;
