//! The machine around: its clock, and what limits the rate beside the network.

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity};
use super::links::Troubled as _;
use pathweaved::control::Trouble;

/// 2025: no pathweave is older.
const FIRST: u64 = 1_735_689_600;
/// Less is a file system's coarse clock.
const LATER_S: u64 = 60;
/// Of all processors' time.
const BUSY: f64 = 0.9;
/// Percent of the last ten seconds in which somebody waited.
const WAITS: f64 = 20.0;
/// bit/s from which the rate is somebody's concern.
const MOVES: u64 = 5_000_000;

pub(crate) fn clock(facts: &Facts) -> Vec<Finding> {
    let clock = &facts.clock;
    let unanswered = |trouble| matches!(trouble, Some(Trouble::NoAnswer | Trouble::Silence));
    let hurts = facts.paths().any(|(_, path)| unanswered(path.trouble()));
    let severity = if hurts {
        Severity::Broken
    } else {
        Severity::Degraded
    };
    let remedy = "Set the clock and keep it right (`timedatectl set-ntp true`): paths that are up \
                  stay up, new handshakes need it.";
    let why = "peers that have seen later handshakes ignore new ones";
    let reason = match &clock.future {
        _ if clock.now < FIRST => format!(
            "This machine's clock is years behind ({} days since 1970): {why}.",
            clock.now / 86_400
        ),
        Some((file, at)) if *at > clock.now + LATER_S => format!(
            "This machine's clock went back by at least {} s, to before {file} was written: {why}.",
            at - clock.now
        ),
        Some(_) | None => return Vec::new(),
    };
    vec![Finding::new(severity, "clock", reason, remedy).because("now", clock.now)]
}

pub(crate) fn old_kernel(facts: &Facts) -> Vec<Finding> {
    let kernel = &facts.kernel;
    let manager = facts
        .status()
        .map_or("", |status| &status.site.path_manager);
    if manager.is_empty() || kernel.is_6_12 {
        return Vec::new();
    }
    let (costs, or_else) = if manager == "kernel" {
        (
            "its own path manager opens the subflows; it renews a missing one only with those of \
             all peers on that path, and the first path's never",
            ", or set `path_manager = \"userspace\"`: Debian 12's 6.1 serves it well",
        )
    } else {
        (
            "a connection that is opened during an outage may stay plain TCP",
            "",
        )
    };
    let reason = format!(
        "This kernel's MPTCP ({}) is older than that of Linux 6.12: {costs}.",
        kernel.release
    );
    let remedy = format!(
        "Start Linux 6.12 or a later one (Debian 12 has it in bookworm-backports){or_else}."
    );
    let found = Finding::new(Severity::Advice, "kernel", reason, remedy);
    vec![found.because("path manager", manager)]
}

pub(crate) fn bottleneck(facts: &Facts) -> Vec<Finding> {
    let machine = &facts.machine;
    let rate = machine.rate[0].max(machine.rate[1]);
    if rate < MOVES {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if machine.busy > BUSY {
        let reason = format!(
            "The processors are busy to {:.0} % while {} pass: they limit the rate, not the \
             network.",
            machine.busy * 100.0,
            mbit(rate)
        );
        let remedy = "See with `top` who uses them; a gigabyte costs the tunnel about three \
                      seconds of one processor.";
        let found = Finding::new(Severity::Advice, "processors", reason, remedy);
        findings.push(found.because("busiest", format!("{:.0} %", machine.busiest * 100.0)));
    }
    for (what, subject, remedy) in [
        (
            "io",
            "disk",
            "Measure the disk alone, for example with fio: the network waits for it.",
        ),
        (
            "memory",
            "memory",
            "Give the machine more memory, or the programs less to do.",
        ),
    ] {
        let waits = machine.pressure.get(what).copied().unwrap_or(0.0);
        if waits > WAITS {
            let reason = format!(
                "Programs waited for the {subject} in {waits:.0} % of the last ten seconds while \
                 {} passed: it limits the rate, not the network.",
                mbit(rate)
            );
            let found = Finding::new(Severity::Advice, subject, reason, remedy);
            findings.push(found.because(format!("/proc/pressure/{what}"), waits));
        }
    }
    findings
}

pub(super) fn mbit(rate: u64) -> String {
    format!("{} Mbit/s", rate / 1_000_000)
}
