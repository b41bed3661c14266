//! Connections that are not what they could be: plain TCP, and joins that fail, by the kernel's
//! own counters (net/mptcp/mib.c) of the last ten minutes.

use pathweaved::control::PeerStatus;

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity};

/// Counter, what it means, what helps.
type Meaning = (&'static str, &'static str, &'static str);

const FALLBACKS: [Meaning; 8] = [
    (
        "MPCapableSYNTXDisabled",
        "opened while the kernel had MPTCP switched off, after an opening that was not answered \
         (blackhole timer)",
        "Set net.mptcp.blackhole_timeout=0, as pathweaved does, and find who sets it back.",
    ),
    (
        "MPCapableSYNTXDrop",
        "opened during an outage, or through something that drops what opens MPTCP, and up only \
         without it",
        "Open them again; if it happens without an outage, look for a firewall between that drops \
         TCP option 30.",
    ),
    (
        "MPCapableFallbackSYNACK",
        "the program that was called does not listen with MPTCP",
        "Start the server with MPTCP, too: `mptcpize run SERVER`, or `mptcpize enable UNIT` for a \
         service.",
    ),
    (
        "MPCapableFallbackACK",
        "the caller's handshake ended without MPTCP",
        "Open them again; if it happens often, a middlebox or heavy loss is in the way.",
    ),
    (
        "MPCapableDataFallback",
        "the first data came without MPTCP's options",
        "Open them again; if it happens often, a middlebox is in the way.",
    ),
    (
        "DSSCorruptionFallback",
        "something between changed the data",
        "Look for a proxy or a protocol helper on the way.",
    ),
    (
        "InfiniteMapTx",
        "the last subflow failed while it was the only one",
        "Open them again.",
    ),
    (
        "MPFallbackTokenInit",
        "the kernel had no token left",
        "Close connections: there are too many.",
    ),
];

const JOINS: [Meaning; 8] = [
    (
        "MPJoinRejected",
        "this machine takes no more subflows, or its path manager is not there",
        "See that pathweaved runs; with `path_manager = \"kernel\"`, `ip mptcp limits set subflows \
         8`.",
    ),
    (
        "MPJoinNoTokenFound",
        "the connection that is to be joined is not known here",
        "It may have ended; if it happens often, look for a proxy that answers for the server.",
    ),
    (
        "MPJoinSynAckHMacFailure",
        "the other end's proof is wrong",
        "Look for a proxy between that ends TCP.",
    ),
    (
        "MPJoinAckHMacFailure",
        "the opener's proof is wrong",
        "Look for a proxy between that ends TCP.",
    ),
    (
        "MPJoinSynTxBindErr",
        "the overlay address to open it from is not on this machine",
        "Find who removes addresses from `lo`: `ip monitor address`.",
    ),
    (
        "MPJoinSynTxConnectErr",
        "there is no route for it",
        "Find who removes rules or routes: `ip monitor rule route`.",
    ),
    (
        "MPJoinSynTxCreatSkErr",
        "the kernel made no socket for it",
        "See `dmesg`, and whether memory is short.",
    ),
    (
        "DSSCorruptionReset",
        "something on the way changed a subflow's data, and it was closed",
        "Look for a proxy or a protocol helper on that path.",
    ),
];
/// With the kernel's path manager each accepted connection counts some.
const VAIN: &str = "MPJoinSynTxCreatSkErr";
/// Fewer joins than this tell nothing.
const SOME: u64 = 3;

fn lately(facts: &Facts, counter: &str) -> u64 {
    let counters = facts
        .status()
        .map(|status| &status.site.diagnosis.mptcp_lately);
    counters
        .and_then(|counters| counters.get(counter).copied())
        .unwrap_or(0)
}

pub(crate) fn plain(facts: &Facts) -> Vec<Finding> {
    let now: u32 = facts.peers().map(|peer| peer.plain_tcp).sum();
    let severity = if now > 0 {
        Severity::Degraded
    } else {
        Severity::Advice
    };
    let risen = FALLBACKS.iter().filter_map(|(counter, meaning, remedy)| {
        let count = lately(facts, counter);
        (count > 0).then_some((*counter, count, *meaning, *remedy))
    });
    let mut findings: Vec<_> = risen
        .clone()
        .map(|(counter, count, meaning, remedy)| {
            let reason = format!(
                "{} became plain TCP in the last ten minutes: {meaning}.",
                connections(count)
            );
            Finding::new(severity, "plain TCP", reason, remedy).because(counter, count)
        })
        .collect();
    let explained: u64 = risen.map(|(_, count, ..)| count).sum();
    if u64::from(now) > explained {
        findings.extend(facts.peers().filter(|peer| peer.plain_tcp > 0).map(unasked));
    }
    findings
}

fn unasked(peer: &PeerStatus) -> Finding {
    let count = u64::from(peer.plain_tcp);
    let reason = format!(
        "{} to {} {} plain TCP now, over one path only: a program did not ask for MPTCP.",
        connections(count),
        peer.site,
        if count == 1 { "is" } else { "are" },
    );
    let remedy = "Start the program, at the end that opens, under `mptcpize run`; NFS, iSCSI and \
                  NBD clients in the kernel cannot.";
    let found = Finding::new(Severity::Degraded, "plain TCP", reason, remedy);
    found.because("connections", count)
}

fn connections(count: u64) -> String {
    match count {
        1 => "One connection".to_owned(),
        count => format!("{count} connections"),
    }
}

pub(crate) fn joins(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else {
        return Vec::new();
    };
    let by_kernel = status.site.path_manager == "kernel";
    let told = JOINS
        .iter()
        .filter(|(counter, ..)| !(by_kernel && *counter == VAIN));
    let mut findings: Vec<_> = told
        .filter_map(|(counter, meaning, remedy)| {
            let count = lately(facts, counter);
            (count > 0).then(|| {
                let times = if count == 1 {
                    "Once".to_owned()
                } else {
                    format!("{count} times")
                };
                let reason = format!(
                    "{times} in the last ten minutes a subflow could not be opened: {meaning}."
                );
                let found = Finding::new(Severity::Degraded, "joins fail", reason, *remedy);
                found.because(*counter, count)
            })
        })
        .collect();
    findings.extend(unanswered(facts));
    findings
}

/// Asked for, and never answered with more than a refusal.
fn unanswered(facts: &Facts) -> Option<Finding> {
    let [asked, answered] = ["MPJoinSynTx", "MPJoinSynAckRx"].map(|name| lately(facts, name));
    if asked < SOME || answered * 2 >= asked {
        return None;
    }
    let reason = format!(
        "Of {asked} subflows that were asked for in the last ten minutes, {answered} got an \
         answer: the program at the far end has closed its listening socket, or a firewall \
         there refuses them."
    );
    let remedy = "Let the server go on listening while it serves (`nc -l` and `iperf3 -1` do not), \
                  and let its firewall take TCP from every overlay address.";
    let found = Finding::new(Severity::Degraded, "joins fail", reason, remedy);
    Some(
        found
            .because("MPJoinSynTx", asked)
            .because("MPJoinSynAckRx", answered),
    )
}
