//! What of the kernel's state is not in place: the leak guard, and all else.

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity, capital};

pub(crate) fn missing(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else {
        return Vec::new();
    };
    let diagnosis = &status.site.diagnosis;
    if diagnosis.leak_guard != Some(false) {
        return Vec::new();
    }
    let failure = diagnosis
        .failures
        .iter()
        .find(|failure| is_of_guard(failure));
    vec![match failure {
        Some(failure) => {
            let (what, remedy) = split(failure);
            let reason = format!(
                "The leak guard is not in place ({what}), so packets of the overlay may leave in \
                 clear while a route is missing."
            );
            Finding::new(Severity::Broken, "leak guard", reason, remedy)
        }
        None => Finding::new(
            Severity::Advice,
            "leak guard",
            "The leak guard is switched off by `leak_guard = false`: only routes keep packets of \
             the overlay inside the tunnels.",
            "Take the line out of the fleet file, unless another firewall does its work.",
        ),
    }]
}

pub(crate) fn refused(facts: &Facts) -> Vec<Finding> {
    let failures = facts.status().into_iter();
    let failures = failures.flat_map(|status| &status.site.diagnosis.failures);
    let others = failures.filter(|failure| !is_of_guard(failure));
    others
        .map(|failure| {
            let (what, remedy) = split(failure);
            let reason = format!("The kernel refuses a part of what is needed: {what}.");
            Finding::new(Severity::Broken, "kernel state", reason, remedy)
        })
        .collect()
}

fn is_of_guard(failure: &str) -> bool {
    failure.contains("leak guard")
}

/// A failure ends with its remedy.
fn split(failure: &str) -> (&str, String) {
    let (what, remedy) = failure
        .rsplit_once(&[';', ':'][..])
        .unwrap_or((failure, ""));
    (what, format!("{}.", capital(remedy.trim())))
}
