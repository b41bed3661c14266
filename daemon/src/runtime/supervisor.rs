//! The daemon's one asynchronous task: feeds the site machine, carries out what it asks for, and
//! keeps the kernel as the plan says.

mod harm;
mod kernel;
mod meeting;
mod memory;
mod reload;
mod telling;
mod trial;
mod tunnel;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::control::Flows;
use crate::healing::Paths as Healed;
use crate::host::Host;
use crate::host::path_manager::Event;
use crate::names::{PathId, PathNumber, PublicKey, SiteId};
use crate::plan::{KernelState, PathAddresses, PathUse};
use crate::site::{Action, Obstacle, Site, Traffic};
use crate::tunnel::knock::Door;

use super::clock;
use super::control_socket::Ask;
use super::endpoints::{Endpoints, Resolved};
use super::healer::Healer;
use super::lane::Lane;
use super::links::Links;
use super::metrics_server::MetricsServer;
use super::paths::Paths;
use super::receiver::{Control, Shared};
use super::repairs::Repairs;
use super::service::Service;
use super::signals::{Heard, Signals};
use super::speed::SpeedTests;
use super::wall_clock::{self, WallClock};
use super::wg_sockets::WgSockets;

use harm::Reserve;
use memory::Memory;
pub use reload::ReloadError;
use trial::OnTrial;

/// How often traffic is looked at, and boringtun's timers are served.
const LOOK: Duration = Duration::from_millis(100);
/// What paths say and want is gathered this long before it is acted upon: of hundreds of paths
/// there is always one.
const GATHER: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);
/// Whether all connections together would be faster without a path is measured this often.
const HARM: Duration = Duration::from_millis(250);
/// Everything is looked at this often, whatever was heard.
const PATROL: Duration = Duration::from_secs(10);
/// A path that is not up has its endpoint looked up again this often.
const RESOLVE: Duration = Duration::from_secs(5);

/// Where the view comes from.
#[derive(Clone, Debug)]
pub struct Source {
    pub config: PathBuf,
    /// By which this machine finds itself in the fleet file.
    pub key: PublicKey,
}

/// What a supervisor is made of.
#[derive(Debug)]
pub struct Crew {
    pub source: Source,
    pub site: Site,
    pub host: Host,
    pub paths: Paths,
    pub links: Links,
    pub shared: Arc<Shared>,
    pub signals: Signals,
    pub healer: Healer,
    pub speed_tests: SpeedTests,
    pub metrics: MetricsServer,
    pub wireguard: WgSockets,
    pub service: Service,
}

#[derive(Debug)]
pub struct Supervisor {
    source: Source,
    site: Site,
    host: Host,
    paths: Paths,
    links: Links,
    shared: Arc<Shared>,
    signals: Signals,
    endpoints: Endpoints,
    resolved: mpsc::Receiver<Resolved>,
    addresses: Vec<PathAddresses>,
    healer: Healer,
    speed_tests: SpeedTests,
    metrics: MetricsServer,
    wireguard: WgSockets,
    service: Service,
    /// The paths that connections may use, as planned.
    live: BTreeSet<PathId>,
    /// What the kernel was last made to match.
    planned: BTreeMap<PathId, PathUse>,
    /// The path that carries the site addresses, by peer, as planned.
    site_paths: BTreeMap<SiteId, PathNumber>,
    /// Somebody may have changed the kernel since.
    stale: bool,
    /// What the kernel was last made to be.
    desired: KernelState,
    /// When that was, and how long it took, with a look at everything before it.
    last_look: (Instant, Duration),
    repairs: Repairs,
    reserve: Reserve,
    trial: Option<OnTrial>,
    door: Door,
    wall_clock: WallClock,
    /// What the kernel had counted when we were started.
    fallbacks: BTreeMap<&'static str, u64>,
    memory: Memory,
    due: Due,
}

/// When the regular chores are due.
#[derive(Debug)]
struct Due {
    traffic: Instant,
    second: Instant,
    resolve: Instant,
    look_at_kernel: Instant,
    look_at_harm: Instant,
}

impl Supervisor {
    pub fn new(mut crew: Crew) -> Self {
        let now = clock::now();
        crew.metrics.follow(crew.site.view().metrics.as_ref());
        crew.wireguard.follow(crew.site.view());
        let (endpoints, resolved) = Endpoints::new(crew.site.view().overlay.networks());
        Self {
            addresses: PathAddresses::of(crew.site.view()),
            source: crew.source,
            site: crew.site,
            fallbacks: crew.host.fallbacks().unwrap_or_default(),
            host: crew.host,
            paths: crew.paths,
            links: crew.links,
            shared: crew.shared,
            signals: crew.signals,
            healer: crew.healer,
            speed_tests: crew.speed_tests,
            metrics: crew.metrics,
            wireguard: crew.wireguard,
            service: crew.service,
            live: BTreeSet::new(),
            endpoints,
            resolved,
            planned: BTreeMap::new(),
            site_paths: BTreeMap::new(),
            stale: true,
            desired: KernelState::default(),
            last_look: (now, Duration::ZERO),
            repairs: Repairs::default(),
            reserve: Reserve::default(),
            trial: None,
            door: Door::default(),
            wall_clock: WallClock::new(clock::wall(), now),
            memory: Memory::new(now),
            due: Due {
                traffic: now,
                second: now,
                resolve: now,
                look_at_kernel: now,
                look_at_harm: now,
            },
        }
    }

    /// Runs until a signal. Gives the host back, so that everything can be removed.
    pub async fn run(
        mut self,
        mut control: mpsc::Receiver<Control>,
        mut questions: mpsc::Receiver<Ask>,
    ) -> Host {
        tracing::info!(site = %self.site.view().site.name, "running");
        let mut wake = clock::now();
        loop {
            if clock::now() >= wake {
                wake = self.turn(clock::now());
            }
            tokio::select! {
                heard = self.signals.next() => match heard {
                    Heard::Stop => break,
                    Heard::Reload => {
                        if let Err(error) = self.reload(false) {
                            tracing::error!("the fleet file was not reloaded: {error}");
                        }
                        wake = clock::now();
                    }
                    Heard::KernelChanged => {
                        self.look_soon(clock::now());
                        wake = wake.min(self.due.look_at_kernel);
                    }
                },
                Some(control) = control.recv() => {
                    let now = clock::now();
                    self.handle_control(control, now);
                    wake = wake.min(now + GATHER);
                }
                Some(ask) = questions.recv() => {
                    self.answer(ask);
                    wake = clock::now();
                }
                event = self.healer.next() => {
                    self.handle_event(event);
                    wake = wake.min(self.healer.due());
                }
                Some(resolved) = self.resolved.recv() => {
                    self.use_endpoint(resolved);
                    wake = wake.min(clock::now() + GATHER);
                }
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        self.service.stopping();
        self.host
    }

    /// Everything that is due now; gives back when the next thing is.
    fn turn(&mut self, now: Instant) -> Instant {
        if self.due.traffic <= now {
            self.due.traffic = now + LOOK;
            self.look_at_traffic(now);
        }
        if self.due.look_at_kernel <= now {
            self.due.look_at_kernel = now + PATROL;
            self.look_at_kernel();
        }
        if self.due.look_at_harm <= now {
            self.due.look_at_harm = now + HARM;
            self.look_at_harm(now);
        }
        if self.due.resolve <= now {
            self.due.resolve = now + RESOLVE;
            self.resolve();
        }
        if self.due.second <= now {
            self.due.second = now + SECOND;
            self.shared.identity.tick();
            self.look_at_trial(now);
            self.look_at_unannounced(now);
            self.look_at_wall_clock(now);
            self.remember(now);
        }
        while let Some(action) = self.site.poll_action(now) {
            self.carry_out(&action);
        }
        let uses = self.site.uses();
        if self.stale || self.planned != uses || self.site_paths != self.site.site_paths() {
            self.reconcile(uses, now);
            let after = clock::now();
            self.last_look = (after, after.saturating_duration_since(now));
        }
        if self.healer.due() <= now {
            let paths = Healed {
                addresses: &self.addresses,
                live: &self.live,
            };
            self.healer.look(&mut self.host, paths, now);
        }
        self.service
            .look((self.live.len(), self.planned.len()), now);
        let machine = self
            .site
            .poll_timeout()
            .map_or(self.due.traffic, |(at, _)| at);
        // Not at once: what many paths want at nearly the same time is done together.
        machine
            .min(self.due.look_at_kernel)
            .min(self.due.traffic)
            .min(self.healer.due())
            .max(now + GATHER)
    }

    fn look_at_wall_clock(&mut self, now: Instant) {
        let wall = clock::wall();
        self.site
            .handle_wrong_clock(wall_clock::impossible_year(wall));
        if self.wall_clock.was_set_forward(wall, now) {
            let lanes = self.paths.lanes();
            lanes.for_each(|(_, lane)| lane.tunnel.renew(&self.shared.identity));
        }
    }

    fn look_at_traffic(&mut self, now: Instant) {
        let mut out = [0; 256];
        for (path, lane) in self.paths.lanes() {
            if let Some(length) = lane.tunnel.tick(&mut out) {
                lane.send(out.get(..length).unwrap_or_default());
            }
            let counters = &lane.tunnel.counters;
            let traffic = Traffic {
                heard: counters.heard.load(Relaxed),
                data_bytes: lane.data_bytes(),
                session: lane.tunnel.is_established(),
                refused: counters.refused.load(Relaxed),
                mtu: lane.tunnel.mtu(),
                remote: lane.tunnel.remote(),
            };
            self.site.handle_traffic(path, traffic, now);
        }
    }

    fn carry_out(&mut self, action: &Action) {
        let (Action::Send { path, .. }
        | Action::StartHandshake { path }
        | Action::SetMtu { path, .. }
        | Action::Dial { path, .. }
        | Action::Knock { path, .. }) = action;
        let Some(lane) = self.paths.lane(*path).cloned() else {
            return;
        };
        let lane = lane.as_ref();
        let mut out = vec![0; lane.tunnel.longest_datagram()];
        let length = match action {
            Action::Send { packet, .. } => lane.tunnel.seal_control(packet, &mut out),
            Action::StartHandshake { .. } => {
                self.aim(lane, lane.tunnel.remote());
                lane.tunnel.initiate(&mut out)
            }
            Action::SetMtu { mtu, .. } => {
                self.set_mtu(lane, *mtu);
                None
            }
            Action::Dial { at, .. } => {
                self.dial(lane, *at);
                None
            }
            Action::Knock { at, whom, .. } => {
                self.knock(lane, *at, *whom);
                None
            }
        };
        if let Some(length) = length {
            lane.send(out.get(..length).unwrap_or_default());
        }
    }

    fn set_mtu(&self, lane: &Lane, mtu: u16) {
        let interface = lane.tun.name();
        tracing::info!(%interface, mtu, "path carries packets of this size");
        lane.tunnel.set_mtu(mtu);
        if let Err(error) = self.host.set_mtu(interface, mtu) {
            tracing::error!(%error, "the MTU was not set");
        }
    }

    /// Looks up the endpoints of all paths that are not in use, or whose far end is not known.
    fn resolve(&mut self) {
        let uses = self.site.uses();
        for (peer, path) in self.site.view().paths() {
            let link = peer.site.links.get(path.remote_link);
            let endpoint = link.and_then(|link| link.endpoint.as_ref());
            let live = uses.get(&path.id) == Some(&PathUse::Live);
            let lane = self.paths.lane(path.id);
            let remote = lane.and_then(|lane| lane.tunnel.remote());
            if let Some(remote) = remote.filter(|_| live) {
                self.endpoints.handle_sighting(path.id, remote);
            }
            let known = live && remote.is_some();
            if let Some(endpoint) = endpoint.filter(|_| !known) {
                self.endpoints.resolve(path.id, endpoint);
            }
        }
    }

    fn use_endpoint(&mut self, resolved: Resolved) {
        let now = clock::now();
        let (path, learnt) = self.endpoints.take(resolved);
        let Some(lane) = self.paths.lane(path).cloned() else {
            return;
        };
        let before = lane.tunnel.remote();
        if (before.is_none() || learnt == Ok(true)) && self.aim(&lane, None) {
            self.site.handle_endpoint(path, now);
        }
        let why = match (before, learnt) {
            (Some(last), Err(why)) => format!("{why}; dialling {last}, where it was last"),
            (None, Err(why)) => why,
            (None, Ok(_)) if lane.tunnel.remote().is_none() => {
                "no address of the endpoint can be reached from the link".to_owned()
            }
            (_, Ok(_)) => return,
        };
        // Without a socket there is a better reason already.
        if lane.sockets.load().is_open() {
            let obstacle = Obstacle::Unresolved(why);
            self.site.handle_obstacle(path, Some(obstacle), now);
        }
    }

    /// Sends to the next of the addresses that the far end may have, if any is known.
    fn aim(&mut self, lane: &Lane, current: Option<SocketAddr>) -> bool {
        let sockets = lane.sockets.load();
        let reaches = |address| sockets.reaches(address);
        let next = self.endpoints.next(lane.tunnel.path(), current, reaches);
        if next.is_some() {
            lane.tunnel.set_remote(next);
        }
        next.is_some()
    }

    fn handle_event(&mut self, event: Event) {
        let paths = Healed {
            addresses: &self.addresses,
            live: &self.live,
        };
        self.healer
            .handle_event(event, &self.host, paths, clock::now());
    }

    fn answer(&mut self, ask: Ask) {
        let unheard = match ask {
            Ask::Status(reply) => reply.send(self.status()).is_err(),
            Ask::Flows(reply) => reply.send(self.flows()).is_err(),
            Ask::Tunnel { interface, reply } => reply.send(self.tunnel(&interface)).is_err(),
            Ask::Reload { wish, reply } => reply.send(self.reload(wish.dry_run)).is_err(),
            Ask::TryOut { wish, reply } => reply.send(self.try_out(wish)).is_err(),
            Ask::Trial(reply) => reply.send(self.trial()).is_err(),
            Ask::SetAdmin {
                peer,
                path,
                wish,
                reply,
            } => {
                let found = self.site.find(&peer, path);
                if let Ok(path) = &found {
                    tracing::info!(%path, ?wish, "operator");
                    self.site.handle_admin(*path, wish, clock::now());
                }
                reply
                    .send(found.map(|_| ()).map_err(|unknown| unknown.to_string()))
                    .is_err()
            }
        };
        if unheard {
            tracing::debug!("the one who asked did not wait for the answer");
        }
    }

    fn flows(&self) -> Result<Flows, String> {
        let sockets = self.host.sockets().map_err(|error| error.to_string())?;
        let ages = self.healer.ages(clock::now());
        Ok(self.site.flows(&sockets, &self.addresses, &ages))
    }
}
