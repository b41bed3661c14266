//! Programs of several versions that work together.

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity};

pub(crate) fn skew(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else {
        return Vec::new();
    };
    let daemon = &status.site.version;
    let mut findings = Vec::new();
    if facts.replaced {
        let reason = format!(
            "pathweaved {daemon} still runs, though its program was replaced since it was started."
        );
        let remedy = "Restart it: open connections live on.";
        let found = Finding::new(Severity::Advice, "version", reason, remedy);
        findings.push(found.line("systemctl restart pathweaved"));
    } else if *daemon != facts.version {
        let reason = format!("pathweaved is {daemon}, this command is {}.", facts.version);
        let remedy = "Install both of one version, and restart the daemon.";
        findings.push(Finding::new(Severity::Advice, "version", reason, remedy));
    }
    let others = facts
        .peers()
        .filter_map(|peer| Some((peer, peer.version.as_ref()?)));
    findings.extend(others.filter(|(_, there)| *there != daemon).map(|(peer, there)| {
        let site = &peer.site;
        let reason = format!("pathweaved is {daemon} here and {there} at {site}.");
        let remedy = "They work together, with what the older one knows; bring the older one up \
                      to date.";
        Finding::new(Severity::Advice, format!("version at {site}"), reason, remedy)
    }));
    findings
}
