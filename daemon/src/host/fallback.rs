//! Why connections are not what they could be: the kernel's counters of MPTCP (net/mptcp/mib.c)
//! that tell of a connection that fell back to plain TCP, or of a join that failed.

use std::collections::BTreeMap;
use std::fs;

use super::{Host, HostError};

/// Of this thread's network namespace.
const FILE: &str = "/proc/thread-self/net/netstat";
/// Counter → what it means, in words.
const REASONS: [(&str, &str); 20] = [
    (
        "MPCapableFallbackACK",
        "plain TCP: the opener's handshake ended without MPTCP",
    ),
    (
        "MPCapableFallbackSYNACK",
        "plain TCP: the far end's program does not listen with MPTCP",
    ),
    (
        "MPCapableSYNTXDrop",
        "plain TCP: opening with MPTCP was not answered (blackhole?)",
    ),
    (
        "MPCapableSYNTXDisabled",
        "plain TCP: MPTCP is off after a blackhole, for a while",
    ),
    (
        "MPCapableDataFallback",
        "plain TCP: the first data came without MPTCP's options",
    ),
    ("MPFallbackTokenInit", "plain TCP: no free token"),
    (
        "DSSCorruptionFallback",
        "plain TCP: a middlebox changed the data",
    ),
    ("DssFallback", "plain TCP: data without a mapping"),
    (
        "MD5SigFallback",
        "plain TCP: the connection is signed with MD5",
    ),
    (
        "SimultConnectFallback",
        "plain TCP: both ends opened at once",
    ),
    (
        "InfiniteMapTx",
        "plain TCP: a subflow failed while it was the only one",
    ),
    (
        "InfiniteMapRx",
        "plain TCP: the far end's only subflow failed",
    ),
    (
        "MPJoinNoTokenFound",
        "join refused: the connection is not known here (any more)",
    ),
    (
        "MPJoinSynAckHMacFailure",
        "join refused: the far end's proof is wrong",
    ),
    (
        "MPJoinAckHMacFailure",
        "join refused: the opener's proof is wrong",
    ),
    (
        "MPJoinRejected",
        "join refused: no more subflows are allowed here",
    ),
    ("MPJoinSynTxCreatSkErr", "join failed: no socket"),
    (
        "MPJoinSynTxBindErr",
        "join failed: the address is not there",
    ),
    ("MPJoinSynTxConnectErr", "join failed: no route"),
    (
        "DSSCorruptionReset",
        "subflow reset: a middlebox changed the data",
    ),
];

impl Host {
    /// How often each happened in this network namespace since it was made; what never did is
    /// left out.
    pub fn fallbacks(&self) -> Result<BTreeMap<&'static str, u64>, HostError> {
        let text = fs::read_to_string(FILE).map_err(HostError::object(FILE))?;
        Ok(read(&text))
    }

    /// All of the kernel's counters of MPTCP in this network namespace.
    pub fn mptcp_counters(&self) -> Result<BTreeMap<String, u64>, HostError> {
        let text = fs::read_to_string(FILE).map_err(HostError::object(FILE))?;
        let counters = counters(&text).into_iter();
        Ok(counters
            .map(|(name, count)| (name.to_owned(), count))
            .collect())
    }
}

/// Two lines begin with the group's name: the names, and the numbers.
fn counters(text: &str) -> BTreeMap<&str, u64> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("MPTcpExt:"));
    let names = lines.next().unwrap_or_default().split_whitespace();
    let numbers = lines.next().unwrap_or_default().split_whitespace();
    let pairs = names.zip(numbers);
    pairs
        .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
        .collect()
}

fn read(text: &str) -> BTreeMap<&'static str, u64> {
    let counters = counters(text);
    let count = |(name, reason): &(&str, &'static str)| {
        let count = *counters.get(name)?;
        (count > 0).then_some((*reason, count))
    };
    REASONS.iter().filter_map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_in_words_and_what_never_did_is_left_out() {
        let text = "TcpExt: A B\nTcpExt: 1 2\n\
                    MPTcpExt: MPCapableSYNRX MPCapableFallbackSYNACK MPJoinRejected Strange\n\
                    MPTcpExt: 7 3 0 9\n";
        let found: Vec<_> = read(text).into_iter().collect();
        let expected = "plain TCP: the far end's program does not listen with MPTCP";
        assert_eq!(found, [(expected, 3)]);
        assert!(read("").is_empty());
        assert!(read("MPTcpExt: MPJoinRejected").is_empty());
    }
}
