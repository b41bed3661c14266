//! One path as the site sees it: its health, what is in its way at this end, its operator's wish.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::config::{Cost, Path, Peer, SiteKind, View};
use crate::control::{AdminState, PathState, Trouble};
use crate::health::{Cause, Health, State};
use crate::mtu::Verdict;
use crate::names::{InterfaceName, PathId};
use crate::packet::echo;
use crate::packet::probe::{Probe, Word};
use crate::plan::PathUse;

use super::Action;
use super::reason;
use super::sizing::Sizing;
use super::trouble;

/// First wait before a handshake is tried again; doubles up to [`HANDSHAKE_LONGEST`].
const HANDSHAKE_FIRST: Duration = Duration::from_secs(1);
/// A path carries data this long after its last packet.
const BUSY: Duration = Duration::from_secs(1);
/// A far end that hears us says so sooner.
const UNHEARD: Duration = Duration::from_secs(2);
/// WireGuard's own retry interval (`REKEY_TIMEOUT`, whitepaper section 6.1).
const HANDSHAKE_LONGEST: Duration = Duration::from_secs(5);

/// What keeps a path from working at this end. The text is the reason in `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    DeviceMissing(InterfaceName),
    NoCarrier(InterfaceName),
    /// The TUN cannot be had; no route may name it.
    NoTun(String),
    NoSocket(String),
    NoEndpoint {
        remote_link: String,
    },
    Unresolved(String),
}

impl Obstacle {
    /// Nothing can be sent or received while it lasts. The other ones end when the peer dials.
    fn hinders(&self) -> bool {
        match self {
            Self::DeviceMissing(_) | Self::NoCarrier(_) | Self::NoTun(_) | Self::NoSocket(_) => {
                true
            }
            Self::NoEndpoint { .. } | Self::Unresolved(_) => false,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceMissing(name) => write!(f, "device {name} does not exist"),
            Self::NoCarrier(name) => write!(f, "device {name} has no carrier"),
            Self::NoTun(why) | Self::NoSocket(why) | Self::Unresolved(why) => f.write_str(why),
            Self::NoEndpoint { remote_link } => {
                write!(
                    f,
                    "waiting: {remote_link} has no endpoint and has to dial us"
                )
            }
        }
    }
}

/// Counters of the data plane, since the path was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Authenticated packets received, of any kind.
    pub heard: u64,
    /// The user's bytes in both directions.
    pub data_bytes: u64,
    /// There is a session to seal with.
    pub session: bool,
    /// Datagrams that the kernel refused to send: no route, no device, no address.
    pub refused: u64,
    /// The largest inner packet that is sent now.
    pub mtu: u16,
    /// Where the far end is.
    pub remote: Option<SocketAddr>,
}

#[derive(Debug)]
pub(super) struct Entry {
    kind: SiteKind,
    cost: Cost,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    health: Health,
    sizing: Sizing,
    last_data: Option<Instant>,
    obstacle: Option<Obstacle>,
    traffic: Traffic,
    /// We hear the far end, and it does not hear us: it may have to be dialled elsewhere.
    unheard: bool,
    next_handshake: Instant,
    handshake_wait: Duration,
}

/// What the dearer of its two links costs.
fn cost(view: &View, peer: &Peer, path: &Path) -> Cost {
    let links = [
        view.site.links.get(path.link),
        peer.site.links.get(path.remote_link),
    ];
    let costs = links.into_iter().flatten().map(|link| link.cost);
    costs.max().unwrap_or_default()
}

impl Entry {
    pub(super) fn new(view: &View, peer: &Peer, path: &Path, now: Instant) -> Self {
        let number = path.id.number;
        let address = |site| view.overlay.addresses(site, number).first().copied();
        let ends = address(view.site.id).zip(address(peer.site.id));
        Self {
            sizing: Sizing::new(peer.site.kind, ends, path.mtu),
            last_data: None,
            kind: peer.site.kind,
            cost: cost(view, peer, path),
            source: address(view.site.id),
            destination: address(peer.site.id),
            health: Health::new(number.value(), now),
            obstacle: None,
            traffic: Traffic::default(),
            unheard: false,
            next_handshake: now,
            handshake_wait: HANDSHAKE_FIRST,
        }
    }

    /// A former daemon left it in use.
    pub(super) fn adopt(&mut self, now: Instant) {
        self.health.adopt(now);
    }

    /// The same path, described anew.
    pub(super) fn follow(mut self, view: &View, peer: &Peer, path: &Path) -> Self {
        self.cost = cost(view, peer, path);
        self
    }

    /// The operator's wish outlives the lane.
    pub(super) fn instead_of(mut self, old: &Self, now: Instant) -> Self {
        if old.health.state() == State::AdminDown {
            self.handle_admin(AdminState::Down, now);
        }
        self
    }

    pub(super) fn handle_traffic(&mut self, traffic: Traffic, now: Instant) {
        if traffic.heard != self.traffic.heard {
            self.health.handle_heard(now);
        }
        if traffic.data_bytes != self.traffic.data_bytes {
            self.health.handle_data(now);
            self.last_data = Some(now);
        }
        if traffic.refused != self.traffic.refused {
            self.health.handle_refused(now);
        }
        if traffic.session && !self.traffic.session {
            self.health.handle_session(now);
        }
        self.traffic = traffic;
        self.health.handle_timeout(now);
        let held = self.health.held_for(now).is_some() || self.health.is_held_there();
        let waits = self.health.state() == State::Init && !held;
        self.unheard = waits && self.health.age(now) >= UNHEARD;
    }

    /// Gives back the peer's word, if there is one in the packet.
    pub(super) fn handle_control(&mut self, packet: &[u8], now: Instant) -> Option<Word> {
        if self.sizing.handle_control(packet, now) {
            return None;
        }
        match self.kind {
            SiteKind::Pathweave => {
                let probe = Probe::from_packet(packet)?;
                self.health.handle_probe(&probe, now);
                probe.word
            }
            SiteKind::WireGuard => {
                let (sequence, stamp_us) = echo::reply(packet)?;
                self.health.handle_echo_reply(sequence, stamp_us, now);
                None
            }
        }
    }

    pub(super) fn handle_obstacle(&mut self, obstacle: Option<Obstacle>, now: Instant) {
        let hinders =
            |obstacle: &Option<Obstacle>| obstacle.as_ref().is_some_and(Obstacle::hinders);
        let (before, after) = (hinders(&self.obstacle), hinders(&obstacle));
        self.obstacle = obstacle;
        if before != after {
            self.health.handle_fault(after, now);
        }
    }

    pub(super) fn handle_company(&mut self, alone: bool) {
        self.health.handle_company(alone);
    }

    pub(super) fn handle_word(&mut self, down: bool, now: Instant) {
        self.health.handle_word(down, now);
    }

    pub(super) fn handle_news(&mut self, now: Instant) {
        self.health.handle_news(now);
    }

    pub(super) fn handle_endpoint(&mut self, now: Instant) {
        self.next_handshake = now;
        self.handshake_wait = HANDSHAKE_FIRST;
    }

    pub(super) fn handle_admin(&mut self, wish: AdminState, now: Instant) {
        self.health.handle_admin(wish == AdminState::Up, now);
    }

    pub(super) fn poll_action(
        &mut self,
        path: PathId,
        word: Option<Word>,
        now: Instant,
    ) -> Option<Action> {
        self.health.handle_timeout(now);
        if self.wants_handshake(now) {
            self.next_handshake = now + self.handshake_wait;
            self.handshake_wait = (self.handshake_wait * 2).min(HANDSHAKE_LONGEST);
            return Some(Action::StartHandshake { path });
        }
        if let Some(action) = self.poll_size(path, now) {
            return Some(action);
        }
        let mut probe = self.health.poll_probe(now)?;
        probe.word = word;
        if !self.traffic.session {
            return None;
        }
        let packet = match self.kind {
            SiteKind::Pathweave => probe.to_packet(self.source?, self.destination?),
            SiteKind::WireGuard => {
                let [.., high, low] = probe.sequence.to_be_bytes();
                let sequence = u16::from_be_bytes([high, low]);
                echo::request(self.source?, self.destination?, sequence, probe.stamp_us)
            }
        }?;
        Some(Action::Send { path, packet })
    }

    /// What is to be done about the size of packets.
    fn poll_size(&mut self, path: PathId, now: Instant) -> Option<Action> {
        let since = |at: Instant| now.saturating_duration_since(at);
        let busy = self.last_data.is_some_and(|at| since(at) < BUSY);
        let up = self.health.state() == State::Up && self.traffic.session;
        let round_trip = self.health.round_trip();
        self.sizing.handle_health(up, round_trip, busy, now);
        match self.sizing.verdict() {
            Verdict::Passes(mtu) if mtu != self.traffic.mtu => {
                self.traffic.mtu = mtu;
                return Some(Action::SetMtu { path, mtu });
            }
            Verdict::Passes(_) | Verdict::Unknown | Verdict::TooSmall => {}
        }
        let packet = self.sizing.poll_packet(now)?;
        Some(Action::Send { path, packet })
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let health = self.health.poll_timeout();
        let health = self
            .sizing
            .poll_timeout()
            .map_or(health, |at| at.min(health));
        if self.is_settled() {
            health
        } else {
            health.min(self.next_handshake)
        }
    }

    pub(super) fn path_use(&self) -> PathUse {
        match (self.health.state(), &self.obstacle) {
            (State::AdminDown, _) | (_, Some(Obstacle::NoTun(_))) => PathUse::Absent,
            _ if self.is_live() => PathUse::Live,
            (State::Up | State::Init | State::Down(_), _) => PathUse::Idle,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.health.state() == State::Up && !self.is_hindered() && !self.is_too_small()
    }

    fn is_too_small(&self) -> bool {
        self.sizing.verdict() == Verdict::TooSmall
    }

    /// Not even on its way up.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.health.state(), State::Down(_) | State::AdminDown) || self.is_hindered()
    }

    /// It is not up, and a far end that answered could bring it up.
    pub(super) fn may_be_dialled(&self) -> bool {
        self.is_only_down() || (self.unheard && !self.is_hindered())
    }

    /// Neither hindered nor taken down.
    fn is_only_down(&self) -> bool {
        matches!(self.health.state(), State::Down(_)) && !self.is_hindered()
    }

    /// It has no far end that could be dialled.
    pub(super) fn waits_to_be_dialled(&self) -> bool {
        let waits = matches!(self.obstacle, Some(Obstacle::NoEndpoint { .. }));
        waits && self.is_only_down()
    }

    /// Nothing is in its way but that the far end does not answer.
    pub(super) fn waits_for_handshake(&self) -> bool {
        self.obstacle.is_none() && self.is_only_down() && !self.traffic.session
    }

    /// Where the far end is, as far as is known.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.traffic.remote
    }

    /// Our address inside the path, and the far end's.
    pub(super) fn ends(&self) -> Option<(IpAddr, IpAddr)> {
        self.source.zip(self.destination)
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// As the data plane last told it.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// State and reason, in words that an administrator can act on.
    pub(super) fn state(&self, now: Instant) -> (PathState, Option<String>) {
        let by = |obstacle: &Obstacle| (PathState::Down, Some(obstacle.to_string()));
        match (self.health.state(), &self.obstacle) {
            (State::AdminDown, _) => {
                let why = "taken down by `pathweave path down`".to_owned();
                (PathState::AdminDown, Some(why))
            }
            (_, Some(obstacle)) if obstacle.hinders() => by(obstacle),
            (State::Up, _) if self.is_too_small() => (PathState::Down, Some(reason::too_small())),
            (State::Up, _) => (PathState::Up, None),
            (State::Init, _) => (PathState::Init, Some(reason::not_yet(&self.health, now))),
            (State::Down(_), Some(obstacle)) => by(obstacle),
            (State::Down(cause), None) => {
                let why = reason::down(cause, &self.health, self.traffic.session, now);
                (PathState::Down, Some(why))
            }
        }
    }

    /// The same as [`Entry::state`], for programs.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let state = self.health.state();
        if state == State::Up && !self.is_hindered() {
            return self.is_too_small().then_some(Trouble::TooSmall);
        }
        Some(trouble::of(state, self.obstacle.as_ref(), &self.traffic))
    }

    fn is_hindered(&self) -> bool {
        self.obstacle.as_ref().is_some_and(Obstacle::hinders)
    }

    /// A path with a session and a far end that hears us needs no handshake of ours: boringtun
    /// renews keys by itself.
    fn is_settled(&self) -> bool {
        match self.health.state() {
            State::AdminDown => true,
            State::Init | State::Up => self.traffic.session && !self.unheard,
            State::Down(Cause::PeerAdminDown) => self.traffic.session,
            State::Down(
                Cause::NeverHeard
                | Cause::Silence
                | Cause::Fault
                | Cause::PeerWord
                | Cause::PeerDoesNotHear,
            ) => false,
        }
    }

    fn wants_handshake(&mut self, now: Instant) -> bool {
        if self.is_settled() {
            self.handshake_wait = HANDSHAKE_FIRST;
            return false;
        }
        now >= self.next_handshake
    }
}
