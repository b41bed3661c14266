//! Whether there is a daemon to speak of, and whether it is where the programs are.

use super::super::facts::{Daemon, Facts, Unit};
use super::super::finding::{Finding, Severity};

pub(crate) fn absent(facts: &Facts) -> Vec<Finding> {
    let Daemon::Absent { why, unit } = &facts.daemon else {
        return Vec::new();
    };
    let reason = match unit {
        None => "pathweaved does not run: nobody carries packets, and new connections to other \
                 sites are refused."
            .to_owned(),
        Some(Unit { state, .. }) if state == "active" => {
            "pathweaved does not answer, though systemd says that it is active.".to_owned()
        }
        Some(Unit {
            state,
            result,
            exit_code,
        }) => format!(
            "pathweaved does not run: systemd says {state}, result {result}, exit code {exit_code}."
        ),
    };
    let is_active = unit.as_ref().is_some_and(|unit| unit.state == "active");
    let remedy = match unit.as_ref().map(|unit| unit.exit_code.as_str()) {
        Some("5") => "Its configuration is invalid: `pathweave check` shows every mistake.",
        Some("4") => "It lacks rights: it wants CAP_NET_ADMIN; see the unit file.",
        Some(_) if is_active => "Restart it; what it hangs in is in its journal, if anywhere.",
        Some(_) => "Start it; what kept it from running is in its journal.",
        None => "Start it, with systemd or by hand, or name its socket with --socket.",
    };
    let found = Finding::new(Severity::Broken, "the daemon", reason, remedy);
    let found = found.because("socket", why);
    vec![match unit {
        Some(_) => found
            .line("systemctl restart pathweaved")
            .line("journalctl -u pathweaved -n 20"),
        None => found.line("systemctl start pathweaved"),
    }]
}

pub(crate) fn elsewhere(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else {
        return Vec::new();
    };
    let there = status.site.diagnosis.network_namespace;
    let show = |inode: Option<u64>| inode.map_or("-".to_owned(), |inode| inode.to_string());
    if !facts.same_namespace() {
        let reason = "This command runs in another network namespace than pathweaved, so what \
                      programs do here does not use the tunnels.";
        let remedy = "Run pathweaved where the programs run, or the programs where it runs \
                      (containers with `--network host`).";
        let found = Finding::new(Severity::Degraded, "network namespace", reason, remedy);
        return vec![
            found
                .because("here", show(facts.kernel.namespace))
                .because("pathweaved", show(there)),
        ];
    }
    let first = facts.kernel.first_namespace;
    if first.is_none() || there.is_none() || first == there {
        return Vec::new();
    }
    let reason = "pathweaved runs in a container or another network namespace of its own, and \
                  serves the programs there only.";
    let remedy = "If programs of the host or of other containers shall use the tunnels, run it \
                  on the host, and them with `--network host`.";
    let found = Finding::new(Severity::Advice, "network namespace", reason, remedy);
    vec![
        found
            .because("process 1", show(first))
            .because("pathweaved", show(there)),
    ]
}
