//! The daemon's own account, or what systemd knows of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::client::Client;
use crate::failure::Failure;

use super::super::facts::{Daemon, Unit};

const UNIT: &str = "pathweaved.service";
/// systemd is what runs this machine (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

pub(super) fn ask(client: &Client, unseen: &mut Vec<String>) -> Daemon {
    match client.status() {
        Ok(status) => Daemon::Running(Box::new(status)),
        Err(Failure::NotPermitted(why)) => {
            unseen.push(format!("the daemon could not be asked: {why}"));
            Daemon::Closed
        }
        Err(failure) => Daemon::Absent {
            why: failure.to_string(),
            unit: unit(),
        },
    }
}

/// Devices of our links, and of the tunnels.
pub(super) fn devices(daemon: &Daemon) -> Vec<String> {
    let Daemon::Running(status) = daemon else {
        return Vec::new();
    };
    let paths = status.peers.iter().flat_map(|peer| &peer.paths);
    let mut devices: Vec<_> = paths
        .flat_map(|path| {
            path.diagnosis
                .device
                .iter()
                .chain([&path.interface])
                .cloned()
        })
        .collect();
    devices.sort_unstable();
    devices.dedup();
    devices
}

/// The program of the process that answers is no more where it was: only root may see it.
pub(super) fn is_replaced(client: &Client) -> bool {
    let process = client.process();
    let program = process.and_then(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok());
    program.is_some_and(|program| program.to_string_lossy().ends_with(" (deleted)"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "systemd is asked by its own program"
)]
fn unit() -> Option<Unit> {
    if !Path::new(SYSTEMD).exists() {
        return None;
    }
    let output = Command::new("systemctl")
        .args([
            "show",
            UNIT,
            "--property=LoadState,ActiveState,Result,ExecMainStatus",
        ])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let value = |name: &str| {
        values
            .get(name)
            .map_or(String::new(), |value| (*value).to_owned())
    };
    (value("LoadState") == "loaded").then(|| Unit {
        state: value("ActiveState"),
        result: value("Result"),
        exit_code: value("ExecMainStatus"),
    })
}
