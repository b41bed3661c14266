//! Start and stop. Everything is checked and acquired first; below the line marked so, the
//! machine is changed, and what fails there is undone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::View;
use crate::host::{Host, HostError};
use crate::names::PrivateKey;
use crate::noise::Identity;
use crate::plan::{self, PathManager};
use crate::site::Site;
use crate::tun::TunError;

use super::adopt::Left;
use super::clock;
use super::control_socket::ControlSocket;
use super::healer::Healer;
use super::instance::Instance;
use super::links::Links;
use super::metrics_server::MetricsServer;
use super::paths::{PathError, Paths};
use super::receiver::Shared;
use super::service::Service;
use super::signals::Signals;
use super::speed::SpeedTests;
use super::story::say;
use super::supervisor::{Crew, Source, Supervisor};
use super::wg_sockets::{self, WgSockets};

/// Bounds of the channels to the supervisor: what is over is dropped and asked for again.
const CONTROL_PACKETS: usize = 1024;
const QUESTIONS: usize = 64;

/// Where a daemon finds and keeps its things.
#[derive(Debug)]
pub struct Places {
    pub config: PathBuf,
    pub runtime_dir: PathBuf,
    pub state_dir: PathBuf,
    /// Where `wg` looks for user-space tunnels.
    pub wireguard_dir: PathBuf,
    /// A stop leaves everything to the next start, as a crash does: connections live on.
    pub keep_on_stop: bool,
}

/// Runs the daemon until it is told to stop.
pub async fn run(view: View, key: &PrivateKey, places: Places) -> anyhow::Result<()> {
    let (runtime_dir, state_dir) = (&places.runtime_dir, &places.state_dir);
    let _instance = Instance::claim(runtime_dir)?;
    let mut host = Host::open(state_dir)?;
    if view.leak_guard {
        host.check_guard()?;
    }
    Paths::check_names(&view, &host)?;
    let (control, control_packets) = mpsc::channel(CONTROL_PACKETS);
    let shared = Arc::new(Shared::new(Identity::new(key), control, clock::now()));
    let mut links = Links::new(&view, shared.clone());
    links.refresh(&host.devices()?)?;
    let (asks, questions) = mpsc::channel(QUESTIONS);
    let _socket = ControlSocket::serve(runtime_dir, asks.clone())?;
    let metrics = MetricsServer::new(asks.clone());
    let wireguard = WgSockets::serve(&places.wireguard_dir, asks);

    let signals = Signals::open()?;
    let healer = Healer::open(&host, view.path_manager, clock::now())?;

    let left = Left::find(&view, &host)?;

    // ── below this line the machine is changed ──
    let paths = Paths::new(&view, shared.clone());
    let mut site = Site::new(view, clock::now());
    site.adopt(&left.paths, &left.site_paths);
    let prepared = prepare(&mut host, &site, paths, healer.manager());
    let result = match prepared {
        Ok(paths) => {
            let speed_tests = SpeedTests::new(site.view());
            let source = Source {
                config: places.config,
                key: key.public(),
            };
            let service = Service::new(clock::now());
            service.ready();
            let supervisor = Supervisor::new(Crew {
                source,
                site,
                host,
                paths,
                links,
                shared,
                signals,
                healer,
                speed_tests,
                metrics,
                wireguard,
                service,
            });
            host = supervisor.run(control_packets, questions).await;
            Ok(())
        }
        Err(error) => Err(error),
    };
    if places.keep_on_stop && result.is_ok() {
        tracing::info!("stopping: interfaces and routes stay for the next start");
        return result;
    }
    tracing::info!("stopping: everything that is ours is removed");
    say(&host.clear()?);
    result
}

/// The guard and the refusing routes first, then the TUNs.
fn prepare(
    host: &mut Host,
    site: &Site,
    mut paths: Paths,
    manager: PathManager,
) -> anyhow::Result<Paths> {
    let desired = plan::desired(site.view(), &site.uses(), &site.site_paths()).managed_by(manager);
    let report = host.reconcile(&desired)?;
    say(&report);
    if let Some(error) = report.failures.into_iter().next() {
        return Err(error.into());
    }
    for (_, result) in paths.refresh(host)? {
        result?;
    }
    Ok(paths)
}

/// Puts the leak guard in place and nothing else: at boot, before there is a network. What a
/// former daemon left stays as it is.
pub fn guard(view: &View, places: &Places) -> anyhow::Result<()> {
    let _instance = Instance::claim(&places.runtime_dir)?;
    let mut host = Host::open(&places.state_dir)?;
    match plan::guard(view) {
        Some(guard) => Ok(host.load_guard(&guard)?),
        None => Ok(()),
    }
}

/// Removes everything that is ours, whoever left it.
pub fn cleanup(runtime_dir: &Path, state_dir: &Path, wireguard_dir: &Path) -> anyhow::Result<()> {
    let _instance = Instance::claim(runtime_dir)?;
    wg_sockets::clean(wireguard_dir);
    let report = Host::open(state_dir)?.clear()?;
    say(&report);
    match report.failures.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// A start is refused for want of rights: another exit code than other failures.
pub fn is_permission(error: &anyhow::Error) -> bool {
    let host = error.downcast_ref::<HostError>();
    let path = error.downcast_ref::<PathError>();
    matches!(host, Some(HostError::NotPermitted))
        || matches!(path, Some(PathError::Tun(TunError::NotPermitted)))
}
