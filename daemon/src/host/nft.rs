//! The leak guard, by `nft`: the one program that the daemon starts. What is loaded is compared
//! with nft's own listing, so that a guard that somebody changed is loaded anew.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::plan::Guard;

use super::HostError;
use super::observe::Loaded;

/// What this process loaded, and how nft lists it.
#[derive(Debug, Default)]
pub(super) struct Nft {
    loaded: Option<(Guard, String)>,
}

impl Nft {
    /// Whether the guard that is in place is the one that we loaded.
    pub(super) fn observe(&self) -> Loaded {
        match (list(), &self.loaded) {
            (None, _) => Loaded::Nothing,
            (Some(now), Some((guard, then))) if now == *then => Loaded::Whole(guard.clone()),
            (Some(_), _) => Loaded::Unknown,
        }
    }

    pub(super) fn load(&mut self, guard: &Guard) -> Result<(), HostError> {
        if let Err(error) = script(&guard.script(true)) {
            // An old nft; everything else of the guard still holds.
            tracing::warn!(%error, "the leak guard is loaded without its rules for MPTCP joins");
            script(&guard.script(false))?;
        }
        self.loaded = list().map(|listing| (guard.clone(), listing));
        Ok(())
    }

    pub(super) fn unload(&mut self) -> Result<(), HostError> {
        self.loaded = None;
        script(&format!("delete table inet {}\n", Guard::TABLE))
    }
}

pub(super) fn check() -> Result<(), HostError> {
    match run(&["--version"], "") {
        Ok(_) => Ok(()),
        Err(_) => Err(HostError::NoNft),
    }
}

fn list() -> Option<String> {
    let output = run(&["--stateless", "list", "table", "inet", Guard::TABLE], "").ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn script(text: &str) -> Result<(), HostError> {
    let output = run(&["--file", "-"], text).map_err(|_| HostError::NoNft)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(HostError::Nft(
        said.lines().next().unwrap_or("no reason given").to_owned(),
    ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "nft has no library with a fitting licence"
)]
fn run(arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new("nft")
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

#[cfg(test)]
mod tests;
