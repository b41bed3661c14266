//! The real daemon in a site's namespace, and the real CLI to ask it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pathweaved::control::{PathState, Status};

use crate::namespace::Namespace;

/// Where a site's daemon lives.
#[derive(Clone, Debug)]
pub struct Home {
    pub namespace: Namespace,
    pub folder: PathBuf,
}

#[derive(Debug)]
pub struct Daemon {
    home: Home,
    child: Child,
}

/// A binary of the workspace: beside the test that runs, or in PATHWEAVE_BIN_DIR.
pub fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("PATHWEAVE_BIN_DIR") {
        return Path::new(&folder).join(name);
    }
    let me = std::env::current_exe().unwrap_or_default();
    let mut found = me
        .ancestors()
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file());
    found
        .next()
        .unwrap_or_else(|| panic!("{name} is not built: `cargo build --workspace`"))
}

impl Home {
    fn arguments(&self) -> Vec<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let fleet = self
            .folder
            .with_file_name("fleet.toml")
            .display()
            .to_string();
        [
            ("--config", fleet),
            ("--key", at("private.key")),
            ("--runtime-dir", at("run")),
            ("--state-dir", at("state")),
            ("--wireguard-dir", at("wireguard")),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }

    pub fn start(&self) -> io::Result<Daemon> {
        self.start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(&self, more: &[&str]) -> io::Result<Daemon> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let child = self
            .namespace
            .command(binary("pathweaved"))?
            .args(self.arguments())
            .args(more)
            .stderr(log)
            .spawn()?;
        Ok(Daemon {
            home: self.clone(),
            child,
        })
    }

    /// Starts it on a machine that a shell line has changed, in a mount namespace of its own.
    pub fn start_on(&self, change: &str) -> io::Result<Daemon> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let child = self
            .namespace
            .command("unshare")?
            .args(["--mount", "sh", "-ec"])
            .arg(format!("{change}\nexec \"$@\""))
            .arg("sh")
            .arg(binary("pathweaved"))
            .args(self.arguments())
            .stderr(log)
            .spawn()?;
        Ok(Daemon {
            home: self.clone(),
            child,
        })
    }

    /// Runs the daemon with one more argument and waits for its end.
    pub fn run(&self, more: &str) -> io::Result<Output> {
        self.namespace
            .command(binary("pathweaved"))?
            .args(self.arguments())
            .arg(more)
            .output()
    }

    /// Runs the daemon on a machine that a shell line has made poorer, and waits for its end. The
    /// line runs in a mount namespace of its own; `wrapper` is put before the daemon's command.
    pub fn run_without(&self, poorer: &str, wrapper: &[&str]) -> io::Result<Output> {
        self.namespace
            .command("unshare")?
            .args(["--mount", "sh", "-ec"])
            .arg(format!("{poorer}\nexec \"$@\""))
            .arg("sh")
            .args(wrapper)
            .arg(binary("pathweaved"))
            .args(self.arguments())
            .output()
    }

    /// Runs the CLI against this site's daemon.
    pub fn cli(&self, arguments: &[&str]) -> io::Result<Output> {
        self.namespace
            .command(binary("pathweave"))?
            .env("PATHWEAVE_SOCKET", self.folder.join("run/pathweave.sock"))
            .args(arguments)
            .output()
    }

    pub fn status(&self) -> io::Result<Status> {
        let output = self.cli(&["status", "--json"])?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!("no status ({error}): {said}\n{}", self.log()))
        })
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until the status is as wished; fails with what the operator would have seen.
    pub fn wait_until(
        &self,
        what: &str,
        patience: Duration,
        wished: impl Fn(&Status) -> bool,
    ) -> Status {
        let deadline = Instant::now() + patience;
        loop {
            let status = self.status();
            if let Ok(status) = &status
                && wished(status)
            {
                return status.clone();
            }
            if Instant::now() > deadline {
                let seen = self
                    .cli(&["status"])
                    .map(|output| output.stdout)
                    .unwrap_or_default();
                let seen = String::from_utf8_lossy(&seen);
                panic!(
                    "not within {patience:?}: {what}\n{seen}{:?}\n{}",
                    status.err(),
                    self.log()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn wait_until_all_up(&self) -> Status {
        self.wait_until("all paths up", Duration::from_secs(20), |status| {
            let mut paths = status.peers.iter().flat_map(|peer| &peer.paths);
            paths.all(|path| path.state == PathState::Up)
        })
    }
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and wait for the end.
    pub fn stop(mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "the daemon ended with {status}\n{}",
            self.home.log()
        )))
    }

    /// SIGKILL: a crash.
    pub fn kill(mut self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().map(|_| ())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id() as i32), signal)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("a daemon of the lab could not be waited for");
        }
    }
}
