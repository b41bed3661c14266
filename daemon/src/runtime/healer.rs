//! Healing carried out: what the kernel has → [`Healing`] → what the kernel shall do. With the
//! kernel's own path manager the only means is to renew an endpoint, which renews that path's
//! subflows to *all* peers: rarely, then, and only when a connection lacks one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::config::PathManagerWish;
use crate::control::{HealingStatus, SiteStatus};
use crate::healing::{Action, Healing, Paths};
use crate::host::path_manager::{Event, Events};
use crate::host::{Host, HostError, PathManagement};
use crate::names::{PathId, PathNumber};
use crate::plan::{PathAddresses, PathManager, Subflow};

/// Subflows that are missing for a reason that nobody announced are found this soon.
const WATCH: Duration = Duration::from_secs(5);
/// The same while there are none: the kernel goes through the whole machine's sockets for us, and
/// announces the next connection.
const REST: Duration = Duration::from_secs(60);
/// What came of the last actions is looked at this soon.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// Announcements are gathered this long.
const GATHER: Duration = Duration::from_millis(50);
/// The kernel's own joins are given this long before an endpoint is renewed...
const PATIENCE: Duration = Duration::from_secs(2);
/// ... and the other peers' connections this long before it is renewed again.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Healer {
    manager: PathManager,
    /// Held for as long as we are the path manager.
    events: Option<Events>,
    healing: Healing,
    /// When connections were announced.
    since: BTreeMap<u32, Instant>,
    due: Instant,
    /// Since when an address lacks subflows, and when its endpoint was renewed.
    lacking: BTreeMap<IpAddr, Instant>,
    renewed: BTreeMap<IpAddr, Instant>,
}

impl Healer {
    /// Chooses the path manager. Changes nothing; but it listens already when the kernel is told.
    pub fn open(host: &Host, wish: PathManagerWish, now: Instant) -> Result<Self, HostError> {
        let manager = match (wish, host.path_management()) {
            (PathManagerWish::Kernel, _)
            | (PathManagerWish::Auto, PathManagement::None | PathManagement::Partial) => {
                PathManager::Kernel
            }
            (PathManagerWish::Auto, PathManagement::Full)
            | (PathManagerWish::UserSpace, PathManagement::Full | PathManagement::Partial) => {
                PathManager::UserSpace
            }
            (PathManagerWish::UserSpace, PathManagement::None) => {
                return Err(HostError::NoPathManager);
            }
        };
        let events = match manager {
            PathManager::Kernel => None,
            PathManager::UserSpace => Some(host.mptcp_events()?),
        };
        Ok(Self {
            manager,
            events,
            healing: Healing::default(),
            since: BTreeMap::new(),
            due: now,
            lacking: BTreeMap::new(),
            renewed: BTreeMap::new(),
        })
    }

    pub fn manager(&self) -> PathManager {
        self.manager
    }

    /// Fills in its part of the status.
    pub fn tell(&self, site: &mut SiteStatus) {
        let manager = match self.manager {
            PathManager::Kernel => "kernel",
            PathManager::UserSpace => "userspace",
        };
        manager.clone_into(&mut site.path_manager);
        let counts = &self.healing.counts;
        site.healing = HealingStatus {
            created: counts.created,
            destroyed: counts.destroyed,
            duplicates: counts.duplicates,
            failed: counts.failed.clone(),
        };
    }

    /// How long ago connections were opened, by token; not told of those before our time.
    pub fn ages(&self, now: Instant) -> BTreeMap<u32, Duration> {
        let age = |(token, at): (&u32, &Instant)| (*token, now.saturating_duration_since(*at));
        self.since.iter().map(age).collect()
    }

    /// Waits for the kernel's next announcement. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        match &mut self.events {
            Some(events) => events.next().await,
            None => std::future::pending().await,
        }
    }

    /// When to look next.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Paths came or went: look now.
    pub fn hurry(&mut self, now: Instant) {
        self.due = now;
    }

    pub fn handle_event(&mut self, event: Event, host: &Host, paths: Paths<'_>, now: Instant) {
        if let Event::Established(first) = &event {
            self.since.insert(first.token, now);
            self.due = self.due.min(now + WATCH);
        }
        match event {
            Event::Established(first) if first.opened_here => {
                let actions = self.healing.handle_established(&first, paths, now);
                self.carry_out(&actions, host, now);
            }
            // The opener sees to it.
            Event::Established(_) => {}
            Event::SubflowClosed | Event::Lost => self.due = self.due.min(now + GATHER),
        }
    }

    /// Compares subflows with paths, and heals.
    pub fn look(&mut self, host: &mut Host, paths: Paths<'_>, now: Instant) {
        self.due = now + WATCH;
        let subflows = match host.subflows() {
            Ok(subflows) => subflows,
            Err(error) => {
                tracing::error!(%error, "subflows cannot be listed");
                return;
            }
        };
        if subflows.is_empty() && self.events.is_some() {
            self.due = now + REST;
        }
        let open: BTreeSet<u32> = subflows.iter().map(|subflow| subflow.token).collect();
        self.since.retain(|token, _| open.contains(token));
        match self.manager {
            PathManager::UserSpace => {
                let actions = self.healing.look(&subflows, paths, now);
                self.carry_out(&actions, host, now);
            }
            PathManager::Kernel => self.look_with_kernel(&subflows, host, paths, now),
        }
    }

    fn look_with_kernel(
        &mut self,
        subflows: &[Subflow],
        host: &mut Host,
        paths: Paths<'_>,
        now: Instant,
    ) {
        // The first path's subflow cannot be made again: its moved route carries it meanwhile.
        let first = |path: &&PathAddresses| path.path.number == PathNumber::FIRST;
        let firsts = paths.addresses.iter().filter(first).map(|path| path.path);
        let live: BTreeSet<PathId> = paths.live.iter().copied().chain(firsts).collect();
        let paths = Paths {
            live: &live,
            ..paths
        };
        let actions = self.healing.look(subflows, paths, now);
        let (joins, losses): (Vec<_>, Vec<_>) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Create(_)));
        self.carry_out(&losses, host, now);
        let wanted: BTreeSet<IpAddr> = joins
            .into_iter()
            .filter_map(|action| match action {
                Action::Create(join) if join.id != 0 => Some(join.source),
                Action::Create(_) | Action::Abandon(_) | Action::Destroy(_) => None,
            })
            .collect();
        self.renew(&wanted, host, now);
    }

    fn renew(&mut self, wanted: &BTreeSet<IpAddr>, host: &mut Host, now: Instant) {
        self.lacking.retain(|address, _| wanted.contains(address));
        for address in wanted {
            let since = *self.lacking.entry(*address).or_insert(now);
            let before = self.renewed.get(address);
            let again = before.is_some_and(|before| now - *before < BETWEEN_RENEWALS);
            self.due = self.due.min(now + PATIENCE);
            if now - since < PATIENCE || again {
                continue;
            }
            self.renewed.insert(*address, now);
            match host.renew_endpoint(*address) {
                Ok(()) => tracing::info!(%address, "MPTCP endpoint renewed: subflows were missing"),
                Err(error) => tracing::error!(%error, "an MPTCP endpoint was not renewed"),
            }
        }
    }

    fn carry_out(&mut self, actions: &[Action], host: &Host, now: Instant) {
        if actions.is_empty() {
            return;
        }
        self.due = self.due.min(now + AFTERWARDS);
        let mut doomed = BTreeSet::new();
        for action in actions {
            match action {
                Action::Abandon(subflow) => {
                    if !self.close(subflow, host) {
                        doomed.insert(key(subflow));
                    }
                }
                Action::Destroy(subflow) => {
                    doomed.insert(key(subflow));
                }
                Action::Create(join) => {
                    if let Err(error) = host.join(join) {
                        tracing::debug!(%error, ?join, "no join");
                        self.healing.handle_failure(reason(&error));
                    }
                }
            }
        }
        if doomed.is_empty() {
            return;
        }
        match host.destroy_subflows(|subflow| doomed.contains(&key(subflow))) {
            Ok(count) => tracing::info!(count, "subflows destroyed: their path died, or hung"),
            Err(error) => tracing::error!(%error, "a subflow was not destroyed"),
        }
    }

    /// Whether it could be done: only the path manager of a connection may close its subflows.
    fn close(&self, subflow: &Subflow, host: &Host) -> bool {
        match self.manager {
            PathManager::Kernel => false,
            PathManager::UserSpace => match host.close_subflow(subflow) {
                Ok(()) => {
                    tracing::info!(?subflow, "closed: its path died");
                    true
                }
                Err(error) => {
                    tracing::debug!(%error, ?subflow, "not closed, but destroyed");
                    false
                }
            },
        }
    }
}

/// What tells a subflow from all others, whatever it has carried meanwhile.
fn key(subflow: &Subflow) -> (u32, IpAddr, u16, IpAddr, u16) {
    (
        subflow.token,
        subflow.source,
        subflow.source_port,
        subflow.destination,
        subflow.destination_port,
    )
}

fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOTCONN) => "the connection was not ready".to_owned(),
        Some(Errno::EHOSTUNREACH | Errno::ENETUNREACH) => "no route".to_owned(),
        Some(Errno::EINVAL) => "the connection is another path manager's, or gone".to_owned(),
        Some(_) | None => error.to_string(),
    }
}
