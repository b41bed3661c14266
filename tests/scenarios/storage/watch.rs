//! What `pathweave flows` tells of connections as long as they are open.

use std::collections::BTreeMap;
use std::fmt;

use lab::laboratory::Site;
use pathweaved::control::{Connection, Kind};
use serde_json::Value;

/// A connection that has moved this much is one that carries data; others only talk.
const DATA: u64 = 500_000;
/// When this much has gone, every path has found its rate.
const SHOW: u64 = 8_000_000;

#[derive(Debug)]
pub struct Seen {
    pub program: String,
    pub last: Connection,
    /// Once it had exactly one established subflow on every path.
    pub complete: bool,
    /// Once it had two on one path.
    pub doubled: bool,
}

/// By both of its ends.
#[derive(Debug, Default)]
pub struct Watch {
    pub connections: BTreeMap<(String, String), Seen>,
    /// As a person is shown it, in the middle of the transfer.
    pub shown: Option<String>,
}

impl Watch {
    pub fn look(&mut self, site: &Site) {
        let output = site.home.cli(&["flows", "--json"]).unwrap();
        if !output.status.success() {
            // On a busy machine an answer may come too late; the next look has the same to see.
            return;
        }
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        for one in all["connections"].as_array().unwrap() {
            // Without a program it is being closed, and its address may be another already.
            let Some(program) = one["program"]["name"].as_str() else {
                continue;
            };
            let connection: Connection = serde_json::from_value(one.clone()).unwrap();
            self.take(program, connection, site.links.len());
        }
        let moved: u64 = self.data().map(|seen| moved(&seen.last)).sum();
        if moved > SHOW && self.shown.is_none() {
            let output = site.home.cli(&["flows"]).unwrap();
            self.shown = Some(String::from_utf8(output.stdout).unwrap());
        }
    }

    fn take(&mut self, program: &str, connection: Connection, paths: usize) {
        let of_path = |path: usize| {
            let flows = connection.flows.iter().filter(|flow| flow.established);
            flows
                .filter(|flow| flow.path.map(usize::from) == Some(path))
                .count()
        };
        let counts: Vec<_> = (1..=paths).map(of_path).collect();
        let complete = counts.iter().all(|count| *count == 1);
        let doubled = counts.iter().any(|count| *count > 1);
        let ends = (connection.local.to_string(), connection.remote.to_string());
        let before = self.connections.get(&ends);
        let seen = Seen {
            program: program.to_owned(),
            complete: complete || before.is_some_and(|seen| seen.complete),
            doubled: doubled || before.is_some_and(|seen| seen.doubled),
            last: connection,
        };
        self.connections.insert(ends, seen);
    }

    /// Those that carry data.
    pub fn data(&self) -> impl Iterator<Item = &Seen> {
        let all = self.connections.values();
        all.filter(|seen| carries_data(&seen.last))
    }

    /// How many a program has opened that had one subflow on every path.
    pub fn complete(&self, program: &str) -> usize {
        let all = self.connections.values();
        let of_it = all.filter(|seen| seen.complete && seen.program == program);
        of_it.count()
    }

    /// Nothing goes by plain TCP, and whatever carries data has one subflow on every path.
    pub fn assert_multipath(&self) {
        for seen in self.connections.values() {
            assert!(seen.last.kind != Kind::Plain, "plain TCP:\n{self}");
            assert!(!seen.doubled, "two subflows on one path:\n{self}");
        }
        let all_complete = self.data().all(|seen| seen.complete);
        assert!(all_complete, "never one subflow on every path:\n{self}");
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for seen in self.connections.values() {
            let one = &seen.last;
            let (sent, received) = (one.sent, one.received);
            let flows = one.flows.iter().map(|flow| (flow.path, flow.sent));
            let flows: Vec<_> = flows.collect();
            writeln!(
                f,
                "{} {} {:?} complete {} doubled {} sent {sent} received {received} {flows:?} {:?}",
                seen.program,
                one.remote,
                one.kind,
                seen.complete,
                seen.doubled,
                one.reason.as_deref().unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}

fn carries_data(connection: &Connection) -> bool {
    moved(connection) > DATA
}

fn moved(connection: &Connection) -> u64 {
    connection.sent + connection.received
}
