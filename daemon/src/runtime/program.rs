//! The program pathweaved: reads its arguments, its configuration and its key, and runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::start::{self, Places};
use crate::config::{self, ReadError, View};
use crate::names::PrivateKey;

const FAILED: u8 = 1;
const NOT_PERMITTED: u8 = 4;
const INVALID: u8 = 5;

/// Makes one WireGuard tunnel per path between sites, and lets the kernel's MPTCP use them all.
#[derive(Debug, Parser)]
#[command(name = "pathweaved", version)]
struct Arguments {
    /// The fleet file, the same at every site.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/pathweave.toml"
    )]
    config: PathBuf,
    /// This site's private key.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/private.key"
    )]
    key: PathBuf,
    /// For the control socket and the lock.
    #[arg(long, value_name = "DIR", default_value = "/run/pathweave")]
    runtime_dir: PathBuf,
    /// For what has to be put back at a stop.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/pathweave")]
    state_dir: PathBuf,
    /// For sockets by which `wg show` reads the tunnels.
    #[arg(long, value_name = "DIR", default_value = "/run/wireguard")]
    wireguard_dir: PathBuf,
    /// At a stop, leave interfaces, routes and the leak guard to the next start: connections live
    /// on over a restart. `--cleanup` removes them.
    #[arg(long)]
    keep_on_stop: bool,
    /// Check the fleet file and the key, and exit.
    #[arg(long)]
    check: bool,
    /// Put the leak guard in place, as at boot before there is a network, and exit.
    #[arg(long, conflicts_with = "check")]
    guard: bool,
    /// Remove everything that is ours from the kernel, and exit. Needs no configuration.
    #[arg(long, conflicts_with_all = ["check", "guard"])]
    cleanup: bool,
}

/// Exits with 0; 1 failed, 2 usage, 4 not permitted, 5 configuration invalid.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log();
    let result = match &arguments {
        Arguments { cleanup: true, .. } => {
            let Arguments {
                runtime_dir,
                state_dir,
                wireguard_dir,
                ..
            } = &arguments;
            start::cleanup(runtime_dir, state_dir, wireguard_dir)
        }
        Arguments { check: true, .. } => read(&arguments).map(|_| ()),
        Arguments { guard: true, .. } => guard(&arguments),
        Arguments { .. } => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // For a person at a terminal as for the journal: the whole message, lines and carets.
            eprintln!("pathweaved: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

fn read(arguments: &Arguments) -> anyhow::Result<(View, PrivateKey)> {
    let fleet = config::read(&arguments.config)?;
    let key = read_key(&arguments.key)?;
    Ok((fleet.view(&key.public())?, key))
}

/// Of what systemd hands over it says itself who may read it.
fn read_key(path: &Path) -> Result<PrivateKey, config::KeyFileError> {
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(folder) if path.starts_with(&folder) => config::read_credential(path),
        Some(_) | None => config::read_private_key(path),
    }
}

fn guard(arguments: &Arguments) -> anyhow::Result<()> {
    let (view, _) = read(arguments)?;
    start::guard(&view, &places(arguments))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (view, key) = read(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(start::run(view, &key, places(arguments)));
    // A name server that does not answer holds up nobody who wants to stop.
    runtime.shutdown_background();
    ended
}

fn places(arguments: &Arguments) -> Places {
    Places {
        config: arguments.config.clone(),
        runtime_dir: arguments.runtime_dir.clone(),
        state_dir: arguments.state_dir.clone(),
        wireguard_dir: arguments.wireguard_dir.clone(),
        keep_on_stop: arguments.keep_on_stop,
    }
}

/// To stderr, where journald picks it up. `PATHWEAVE_LOG=debug` says more, and
/// `info,pathweaved::health=debug` of one room alone.
fn log() {
    let wish = std::env::var("PATHWEAVE_LOG").ok();
    let filter = wish.and_then(|text| text.parse().ok());
    let filter = filter.unwrap_or_else(|| {
        let all = Targets::new().with_default(LevelFilter::INFO);
        all.with_target("boringtun", LevelFilter::OFF)
    });
    let format = fmt::layer().with_target(false);
    let format = format.with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry();
    // journald stamps each line itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(format.without_time()).with(filter).init();
    } else {
        registry.with(format).with(filter).init();
    }
}

fn code(error: &anyhow::Error) -> u8 {
    if start::is_permission(error) {
        return NOT_PERMITTED;
    }
    let configuration = error.downcast_ref::<ReadError>().is_some()
        || error.downcast_ref::<config::KeyFileError>().is_some()
        || error.downcast_ref::<config::ViewError>().is_some();
    if configuration { INVALID } else { FAILED }
}
