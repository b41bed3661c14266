//! How soon the command answers at the hub.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::daemon::Home;

/// `flows` looks twice, 150 ms apart, when there is a connection.
const COMMANDS: [&str; 8] = [
    "status",
    "status --json",
    "peer list",
    "path list",
    "path show s-2 1",
    "flows",
    "doctor",
    "metrics",
];
const TIMES: usize = 5;

/// The median of some.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub command: &'static str,
    pub after: Duration,
}

pub fn all(hub: &Home) -> anyhow::Result<Vec<Answer>> {
    COMMANDS.iter().map(|command| one(hub, command)).collect()
}

fn one(hub: &Home, command: &'static str) -> anyhow::Result<Answer> {
    let words: Vec<_> = command.split(' ').collect();
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let asked = Instant::now();
        let answer = hub.cli(&words)?;
        times.push(asked.elapsed());
        // 1: something is degraded.
        let fine = matches!(answer.status.code(), Some(0 | 1));
        ensure!(
            fine,
            "{command}: {}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
    times.sort();
    let after = times[TIMES / 2];
    Ok(Answer { command, after })
}
