//! Change without loss: the fleet file is read again, checked and compared; all that can fail is
//! acquired; then the daemon goes on with the new view. What is refused changes nothing.

use std::collections::BTreeSet;

use crate::carrier::udp::CarrierError;
use crate::change::{Changes, Fate, NeedsRestart};
use crate::config::{self, Endpoint, ReadError, View, ViewError};
use crate::control::Reloaded;
use crate::healing::Paths as Healed;
use crate::host::HostError;
use crate::names::PathId;
use crate::plan::PathAddresses;

use super::super::clock;
use super::super::paths::{PathError, Paths};
use super::Supervisor;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    NeedsRestart(#[from] NeedsRestart),
    #[error("{0}; nothing was changed")]
    Carrier(#[from] CarrierError),
    #[error("{0}; nothing was changed")]
    Path(#[from] PathError),
    #[error("{0}; nothing was changed")]
    Host(#[from] HostError),
}

impl ReloadError {
    /// The file is to blame, not the machine.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Read(_) | Self::View(_) => true,
            Self::NeedsRestart(_) | Self::Carrier(_) | Self::Path(_) | Self::Host(_) => false,
        }
    }
}

impl Supervisor {
    /// Goes on with what the fleet file says now; with `dry_run` only tells what that means. It is
    /// the end of a trial.
    pub(super) fn reload(&mut self, dry_run: bool) -> Result<Reloaded, ReloadError> {
        let view = config::read(&self.source.config)?.view(&self.source.key)?;
        let changes = self.go_on(&view, dry_run)?;
        if !dry_run {
            self.trial = None;
        }
        Ok(self.reloaded(&changes, dry_run))
    }

    /// Runs on another view.
    pub(super) fn go_on(&mut self, view: &View, dry_run: bool) -> Result<Changes, ReloadError> {
        let changes = Changes::between(self.site.view(), view)?;
        if view.leak_guard {
            self.host.check_guard()?;
        }
        Paths::check_names(view, &self.host)?;
        if !dry_run && self.site.view() != view {
            self.service.reloading();
            let acquired = self.acquire(view, &changes);
            if acquired.is_ok() {
                self.commit(view, &changes);
            }
            self.service.ready();
            acquired?;
        }
        for change in &changes.told {
            tracing::info!(%change, dry_run, "reload");
        }
        Ok(changes)
    }

    pub(super) fn reloaded(&self, changes: &Changes, dry_run: bool) -> Reloaded {
        Reloaded {
            config: self.source.config.display().to_string(),
            dry_run,
            changes: changes.told.iter().map(ToString::to_string).collect(),
        }
    }

    /// Sockets and interfaces. On `Err` everything is as it was.
    fn acquire(&mut self, view: &View, changes: &Changes) -> Result<(), ReloadError> {
        let devices = self.host.devices()?;
        self.paths.add(view, changes, &self.host)?;
        self.links.leave(view);
        self.look_at_links();
        if let Err(error) = self.links.change(view, &devices) {
            self.paths.forget(changes.paths(Fate::Added));
            // Opens again what was left, and removes the interfaces that were made.
            self.look_at_kernel();
            return Err(error.into());
        }
        Ok(())
    }

    /// Nothing that fails from here on is worse than what happens to any running daemon: it is
    /// told, and tried again.
    fn commit(&mut self, view: &View, changes: &Changes) {
        let now = clock::now();
        let moved = moved(self.site.view(), view);
        self.site.change(view.clone(), changes, now);
        self.close_subflows(changes);
        self.close_door();
        self.addresses = PathAddresses::of(view);
        match self.paths.change(view, changes, &self.host) {
            Ok(opened) => {
                let failed = opened
                    .into_iter()
                    .filter_map(|(path, result)| Some((path, result.err()?)));
                failed.for_each(|(path, error)| tracing::error!(%path, %error, "no TUN"));
            }
            Err(error) => tracing::error!(%error, "the tunnels' devices cannot be listed"),
        }
        self.reconcile(self.site.uses(), now);
        self.look_at_links();
        self.speed_tests.follow(view);
        for (path, endpoint) in moved {
            self.endpoints.forget(path);
            self.endpoints.resolve(path, &endpoint);
        }
        self.metrics.follow(view.metrics.as_ref());
        self.wireguard.follow(view);
        self.healer.hurry(now);
    }

    /// A removed path's subflows are closed while their addresses are still known: the other ones
    /// take over at once what they had in flight.
    fn close_subflows(&mut self, changes: &Changes) {
        let gone: BTreeSet<PathId> = changes.paths(Fate::Removed).collect();
        self.live.retain(|path| !gone.contains(path));
        let paths = Healed {
            addresses: &self.addresses,
            live: &self.live,
        };
        self.healer.look(&mut self.host, paths, clock::now());
    }
}

/// The kept paths whose far end is, or may be, elsewhere now, with the new endpoint.
fn moved(old: &View, new: &View) -> Vec<(PathId, Endpoint)> {
    let far = |view: &View, id: PathId| {
        let peer = view.peer(id.peer)?;
        let path = peer.paths.iter().find(|path| path.id == id)?;
        let link = view.site.links.get(path.link)?.name.clone();
        Some((
            link,
            peer.site.links.get(path.remote_link)?.endpoint.clone()?,
        ))
    };
    let ids = new.paths().map(|(_, path)| path.id);
    let moved = ids.filter_map(|id| {
        let is = far(new, id)?;
        (far(old, id).as_ref() != Some(&is)).then_some((id, is.1))
    });
    moved.collect()
}
