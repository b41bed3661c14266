//! The leak guard, by `nft`: the one program that the daemon starts. What is loaded is compared
//! with nft's own listing, so that a guard that somebody changed is loaded anew.

pub(super) mod news;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::plan::Guard;

use super::HostError;
use super::observe::Loaded;

use news::News;

/// Where `nft` is looked for: a daemon's own `PATH` may be anything.
const FOLDERS: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];

/// What this process loaded, and how nft lists it.
#[derive(Debug, Default)]
pub(super) struct Nft {
    loaded: Option<(Guard, String)>,
    /// `None` where the kernel announces nothing of it.
    news: Option<News>,
    /// It was as loaded when it was compared last.
    whole: bool,
}

impl Nft {
    pub(super) fn open() -> Self {
        let news = News::open()
            .inspect_err(|error| tracing::debug!(%error, "no news of the firewall"))
            .ok();
        Self {
            news,
            ..Self::default()
        }
    }

    /// Whether the guard that is in place is the one that we loaded.
    pub(super) fn observe(&mut self) -> Loaded {
        let changed = self.news.as_ref().is_none_or(News::forget);
        if let Some((guard, _)) = self.loaded.as_ref().filter(|_| self.whole && !changed) {
            return Loaded::Whole(guard.clone());
        }
        let found = match (list(), &self.loaded) {
            (None, _) => Loaded::Nothing,
            (Some(now), Some((guard, then))) if now == *then => Loaded::Whole(guard.clone()),
            (Some(_), _) => Loaded::Unknown,
        };
        self.whole = matches!(found, Loaded::Whole(_));
        found
    }

    pub(super) fn load(&mut self, guard: &Guard) -> Result<(), HostError> {
        if let Err(error) = script(&guard.script(true)) {
            // An old nft; everything else of the guard still holds.
            tracing::warn!(%error, "the leak guard is loaded without its rules for MPTCP joins");
            script(&guard.script(false))?;
        }
        // What we did ourselves is no news.
        self.news.as_ref().map(News::forget);
        self.loaded = list().map(|listing| (guard.clone(), listing));
        self.whole = self.loaded.is_some();
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

/// By its whole path: with a `PATH` for the child alone, std forks, which copies the page tables of
/// hundreds of tunnels.
fn program() -> PathBuf {
    let there = FOLDERS.map(|folder| Path::new(folder).join("nft"));
    let found = there.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| "nft".into())
}

#[expect(
    clippy::disallowed_methods,
    reason = "nft has no library with a fitting licence"
)]
fn run(arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(program())
        .args(arguments)
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
