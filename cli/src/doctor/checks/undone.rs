//! What other software undid, and the daemon put right; and what else the daemon warns of.

use pathweaved::control::Mended;

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity, capital};

/// What was undone longer ago than this is past.
const PAST_S: u64 = 3600;
const MPTCP: &str = "net.mptcp.enabled";

pub(crate) fn by_others(facts: &Facts) -> Vec<Finding> {
    let site = facts.status().map(|status| &status.site);
    let mended = site.into_iter().flat_map(|site| &site.diagnosis.mended);
    mended.map(|(kind, mended)| one(kind, mended)).collect()
}

fn one(kind: &str, mended: &Mended) -> Finding {
    let severity = if mended.last_s < PAST_S {
        Severity::Degraded
    } else {
        Severity::Advice
    };
    let times = match mended.count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let ago = match mended.last_s {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    };
    let what = mended.what.join(", ");
    let off = mended.what.iter().any(|what| what.contains(MPTCP));
    let (subject, happened) = match kind {
        "rule" => ("our rules", "Other software deleted rules of ours"),
        "route" => (
            "our routes",
            "Other software deleted or changed routes of ours",
        ),
        "address" => ("our addresses", "Other software deleted addresses of ours"),
        "leak guard" => ("leak guard", "Other software removed the leak guard"),
        "interface" => (
            "our interfaces",
            "Other software removed an interface of ours",
        ),
        "MPTCP endpoint" => (
            "MPTCP endpoints",
            "Other software changed MPTCP's endpoints",
        ),
        "MPTCP limits" => ("MPTCP limits", "Other software lowered MPTCP's limits"),
        "sysctl" if off => (
            "MPTCP switched off",
            "Other software switched MPTCP off, or changed other sysctls that it needs,",
        ),
        "sysctl" => ("sysctls", "Other software changed sysctls that MPTCP needs"),
        other => (other, "Other software undid what is ours"),
    };
    let reason = format!(
        "{happened} {times} since the daemon was started, the last time {ago} ago; it was put \
         right within a second."
    );
    let remedy = format!("{}.", capital(&mended.culprit));
    Finding::new(severity, subject, reason, remedy)
        .because("put right", what)
        .because("times", mended.count)
}

/// A quarrel is a finding already.
pub(crate) fn warnings(facts: &Facts) -> Vec<Finding> {
    let warnings = facts.status().into_iter();
    let warnings = warnings.flat_map(|status| &status.site.warnings);
    let others = warnings.filter(|warning| !warning.contains(" was undone "));
    others
        .map(|warning| {
            let parts = warning.rsplit_once("; ").or(warning.rsplit_once(": "));
            let (reason, remedy) = parts.unwrap_or((warning, "see the daemon's log"));
            let reason = format!("{}.", capital(reason));
            let remedy = format!("{}.", capital(remedy.trim_end_matches('.')));
            Finding::new(Severity::Degraded, "the daemon warns", reason, remedy)
        })
        .collect()
}
