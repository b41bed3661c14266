//! One path as the site sees it: its health, what is in its way at this end, its operator's wish.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::{Path, Peer, SiteKind, View};
use crate::control::{AdminState, PathState};
use crate::health::{Cause, Health, State};
use crate::names::{InterfaceName, PathId};
use crate::packet::echo;
use crate::packet::probe::Probe;
use crate::plan::PathUse;

use super::Action;

/// First wait before a handshake is tried again; doubles up to [`HANDSHAKE_LONGEST`].
const HANDSHAKE_FIRST: Duration = Duration::from_secs(1);
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
}

#[derive(Debug)]
pub(super) struct Entry {
    kind: SiteKind,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    health: Health,
    obstacle: Option<Obstacle>,
    traffic: Traffic,
    next_handshake: Instant,
    handshake_wait: Duration,
}

impl Entry {
    pub(super) fn new(view: &View, peer: &Peer, path: &Path, now: Instant) -> Self {
        let number = path.id.number;
        let address = |site| view.overlay.addresses(site, number).first().copied();
        Self {
            kind: peer.site.kind,
            source: address(view.site.id),
            destination: address(peer.site.id),
            health: Health::new(number.value(), now),
            obstacle: None,
            traffic: Traffic::default(),
            next_handshake: now,
            handshake_wait: HANDSHAKE_FIRST,
        }
    }

    pub(super) fn handle_traffic(&mut self, traffic: Traffic, now: Instant) {
        if traffic.heard != self.traffic.heard {
            self.health.handle_heard(now);
        }
        if traffic.data_bytes != self.traffic.data_bytes {
            self.health.handle_data(now);
        }
        self.traffic = traffic;
        self.health.handle_timeout(now);
    }

    pub(super) fn handle_control(&mut self, packet: &[u8], now: Instant) {
        match self.kind {
            SiteKind::Pathweave => {
                if let Some(probe) = Probe::from_packet(packet) {
                    self.health.handle_probe(&probe, now);
                }
            }
            SiteKind::WireGuard => {
                if let Some((sequence, stamp_us)) = echo::reply(packet) {
                    self.health.handle_echo_reply(sequence, stamp_us, now);
                }
            }
        }
    }

    pub(super) fn handle_obstacle(&mut self, obstacle: Option<Obstacle>) {
        self.obstacle = obstacle;
    }

    pub(super) fn handle_admin(&mut self, wish: AdminState, now: Instant) {
        self.health.handle_admin(wish == AdminState::Up, now);
    }

    pub(super) fn poll_action(&mut self, path: PathId, now: Instant) -> Option<Action> {
        self.health.handle_timeout(now);
        if self.wants_handshake(now) {
            self.next_handshake = now + self.handshake_wait;
            self.handshake_wait = (self.handshake_wait * 2).min(HANDSHAKE_LONGEST);
            return Some(Action::StartHandshake { path });
        }
        let probe = self.health.poll_probe(now)?;
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

    pub(super) fn poll_timeout(&self) -> Instant {
        let health = self.health.poll_timeout();
        if self.is_settled() {
            health
        } else {
            health.min(self.next_handshake)
        }
    }

    pub(super) fn path_use(&self) -> PathUse {
        match (self.health.state(), &self.obstacle) {
            (State::AdminDown, _) | (_, Some(Obstacle::NoTun(_))) => PathUse::Absent,
            // No endpoint of its own hinders a path only until the other end has dialled.
            (State::Up, None | Some(Obstacle::NoEndpoint { .. })) => PathUse::Live,
            (State::Up | State::Init | State::Down(_), _) => PathUse::Idle,
        }
    }

    /// State and reason, in words that an administrator can act on.
    pub(super) fn state(&self) -> (PathState, Option<String>) {
        let cause = match (self.health.state(), &self.obstacle) {
            (State::AdminDown, _) => {
                return (
                    PathState::AdminDown,
                    Some("taken down by `pathweave path down`".into()),
                );
            }
            (State::Up, None | Some(Obstacle::NoEndpoint { .. })) => return (PathState::Up, None),
            (State::Init, None) => {
                return (
                    PathState::Init,
                    Some("we hear the peer; it does not hear us yet".into()),
                );
            }
            (State::Up | State::Init | State::Down(_), Some(obstacle)) => {
                return (PathState::Down, Some(obstacle.to_string()));
            }
            (State::Down(cause), None) => cause,
        };
        (PathState::Down, Some(self.why_down(cause)))
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.health.round_trip()
    }

    pub(super) fn loss(&self) -> Option<f64> {
        self.health.loss()
    }

    fn why_down(&self, cause: Cause) -> String {
        let text = match cause {
            Cause::NeverHeard if !self.traffic.session => "no answer to our handshake yet",
            Cause::NeverHeard => "session made, nothing heard inside it yet",
            Cause::Silence => "the path fell silent",
            Cause::PeerDoesNotHear => "the peer does not hear us",
            Cause::PeerAdminDown => "taken down at the other site",
        };
        text.to_owned()
    }

    /// A path with a session and an answering far end needs no handshake of ours: boringtun
    /// renews keys by itself.
    fn is_settled(&self) -> bool {
        match self.health.state() {
            State::AdminDown => true,
            State::Init | State::Up => self.traffic.session,
            State::Down(Cause::PeerAdminDown | Cause::PeerDoesNotHear) => self.traffic.session,
            State::Down(Cause::NeverHeard | Cause::Silence) => false,
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
