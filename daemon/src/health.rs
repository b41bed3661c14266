//! One path's health: a pure machine, time is an argument.
//!
//! The shape is BFD's (RFC 5880 section 6.2): a path is up only when both ends hear each other.
//!
//! ```text
//!            hears Down                 hears Init or Up
//!   ┌──────┐ ─────────► ┌──────┐ ──────────────────────► ┌────┐
//!   │ Down │            │ Init │                         │ Up │
//!   └──────┘ ◄───────── └──────┘                         └────┘
//!      ▲  │   silence                                      ▲ │
//!      │  └──────────────── hears Init ────────────────────┘ │
//!      └────────────── silence, hears Down ──────────────────┘
//! ```
//!
//! Silence is the lack of *any* authenticated packet for four of the far end's probe
//! intervals; each probe announces when the next one comes.
//!
//! Doors: `handle_*` in; then `poll_probe`; sleep until `poll_timeout`.

mod loss;
mod round_trip;

use std::time::{Duration, Instant};

use crate::packet::probe::{Probe, ProbeState};
use loss::LossWindow;
use round_trip::RoundTrip;

/// Probe interval while the path carries data: what decides how soon a dead path is seen.
pub const BUSY_INTERVAL: Duration = Duration::from_millis(100);
/// Probe interval of an idle path; with four of them missing it tells the truth within 1.6 s.
pub const IDLE_INTERVAL: Duration = Duration::from_millis(400);
/// A path counts as busy this long after its last data packet.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// This many intervals without any authenticated packet make a path down.
const SILENCE: u32 = 4;
/// A far end may announce intervals within these bounds only, whatever it says.
const ANNOUNCED: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(20)..=Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    AdminDown,
    Down(Cause),
    Init,
    Up,
}

/// Why a path is down: what an operator would look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing was heard since the path was made.
    NeverHeard,
    /// It was heard once and then fell silent, or the other end does not answer.
    Silence,
    /// The other end says that it does not hear us.
    PeerDoesNotHear,
    /// The other end's operator took it down.
    PeerAdminDown,
}

/// What may happen to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Hears(ProbeState),
    Silence,
    AdminDown,
    AdminUp,
}

/// The whole transition table (RFC 5880 section 6.8.6, with administrative state added).
fn next(state: State, input: Input) -> State {
    match (state, input) {
        (_, Input::AdminDown) => State::AdminDown,
        (State::AdminDown, Input::AdminUp) => State::Down(Cause::NeverHeard),
        (State::AdminDown, Input::Hears(_) | Input::Silence) => State::AdminDown,
        (State::Down(_) | State::Init | State::Up, Input::AdminUp) => state,

        (State::Down(_) | State::Init | State::Up, Input::Hears(ProbeState::AdminDown)) => {
            State::Down(Cause::PeerAdminDown)
        }
        (State::Down(_), Input::Hears(ProbeState::Down)) => State::Init,
        (State::Down(_), Input::Hears(ProbeState::Init)) => State::Up,
        (State::Down(_), Input::Hears(ProbeState::Up)) => state,
        (State::Down(cause), Input::Silence) => State::Down(match cause {
            Cause::NeverHeard => Cause::NeverHeard,
            Cause::Silence | Cause::PeerDoesNotHear | Cause::PeerAdminDown => Cause::Silence,
        }),

        (State::Init, Input::Hears(ProbeState::Down)) => State::Init,
        (State::Init, Input::Hears(ProbeState::Init | ProbeState::Up)) => State::Up,
        (State::Init | State::Up, Input::Silence) => State::Down(Cause::Silence),

        (State::Up, Input::Hears(ProbeState::Down)) => State::Down(Cause::PeerDoesNotHear),
        (State::Up, Input::Hears(ProbeState::Init | ProbeState::Up)) => State::Up,
    }
}

#[derive(Debug)]
pub struct Health {
    path: u8,
    state: State,
    /// The origin of our stamps.
    born: Instant,
    last_heard: Option<Instant>,
    last_data: Option<Instant>,
    next_probe: Instant,
    sequence: u32,
    /// The far end's announced interval.
    their_interval: Duration,
    /// The far end's last stamp and when it came.
    to_echo: Option<(u64, Instant)>,
    round_trip: RoundTrip,
    loss: LossWindow,
}

impl Health {
    pub fn new(path: u8, now: Instant) -> Self {
        Self {
            path,
            state: State::Down(Cause::NeverHeard),
            born: now,
            last_heard: None,
            last_data: None,
            next_probe: now,
            sequence: 0,
            their_interval: IDLE_INTERVAL,
            to_echo: None,
            round_trip: RoundTrip::default(),
            loss: LossWindow::default(),
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    /// Share of the far end's latest probes that did not arrive; `None` before there are enough.
    pub fn loss(&self) -> Option<f64> {
        self.loss.share()
    }

    /// Any authenticated packet came in.
    pub fn handle_heard(&mut self, now: Instant) {
        self.last_heard = Some(now);
    }

    /// The path carried data of the user. A busy path is probed more often.
    pub fn handle_data(&mut self, now: Instant) {
        self.last_data = Some(now);
        self.next_probe = self.next_probe.min(now + BUSY_INTERVAL);
    }

    pub fn handle_probe(&mut self, probe: &Probe, now: Instant) {
        self.last_heard = Some(now);
        let announced = Duration::from_micros(u64::from(probe.interval_us));
        self.their_interval = announced.clamp(*ANNOUNCED.start(), *ANNOUNCED.end());
        self.to_echo = Some((probe.stamp_us, now));
        self.loss.arrived(probe.sequence);
        if probe.echo_us != 0 {
            let hold = Duration::from_micros(u64::from(probe.hold_us));
            self.take_round_trip(probe.echo_us, hold, now);
        }
        self.step(Input::Hears(probe.state), now);
    }

    /// A plain `wg` peer answered our echo: it hears us and we hear it.
    pub fn handle_echo_reply(&mut self, sequence: u16, stamp_us: u64, now: Instant) {
        self.last_heard = Some(now);
        self.their_interval = self.interval(now);
        self.loss.arrived(u32::from(sequence));
        self.take_round_trip(stamp_us, Duration::ZERO, now);
        self.step(Input::Hears(ProbeState::Init), now);
    }

    pub fn handle_admin(&mut self, up: bool, now: Instant) {
        self.step(if up { Input::AdminUp } else { Input::AdminDown }, now);
    }

    /// Looks at the clock. Call it when `poll_timeout` is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.silent_at().is_none_or(|at| at <= now) {
            self.step(Input::Silence, now);
        }
    }

    /// The probe that is due now, if one is.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        if now < self.next_probe {
            return None;
        }
        let interval = self.interval(now);
        self.next_probe = now + interval;
        self.sequence = self.sequence.wrapping_add(1);
        let (echo_us, hold) = self.to_echo.map_or((0, Duration::ZERO), |(stamp, at)| {
            (stamp, now.saturating_duration_since(at))
        });
        Some(Probe {
            state: self.said_state(),
            path: self.path,
            sequence: self.sequence,
            interval_us: micros32(interval),
            hold_us: micros32(hold),
            stamp_us: self.stamp(now),
            echo_us,
        })
    }

    /// When to look again: the next probe, or the moment at which silence makes the path down.
    pub fn poll_timeout(&self) -> Instant {
        match (self.state, self.silent_at()) {
            (State::Init | State::Up, Some(at)) => at.min(self.next_probe),
            (State::Init | State::Up | State::Down(_) | State::AdminDown, _) => self.next_probe,
        }
    }

    fn step(&mut self, input: Input, now: Instant) {
        let before = self.state;
        self.state = next(before, input);
        if before != self.state {
            // The far end should know soon; RFC 5880 section 6.8.7 allows it at a change.
            self.next_probe = now;
        }
    }

    fn interval(&self, now: Instant) -> Duration {
        let busy = self
            .last_data
            .is_some_and(|at| now.saturating_duration_since(at) < BUSY_FOR);
        if busy { BUSY_INTERVAL } else { IDLE_INTERVAL }
    }

    fn silent_at(&self) -> Option<Instant> {
        self.last_heard.map(|at| at + self.their_interval * SILENCE)
    }

    fn said_state(&self) -> ProbeState {
        match self.state {
            State::AdminDown => ProbeState::AdminDown,
            State::Down(_) => ProbeState::Down,
            State::Init => ProbeState::Init,
            State::Up => ProbeState::Up,
        }
    }

    /// Microseconds since this machine was made, plus one: 0 means "none" on the wire.
    fn stamp(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born).as_micros();
        u64::try_from(age).unwrap_or(u64::MAX - 1) + 1
    }

    fn take_round_trip(&mut self, echo_us: u64, hold: Duration, now: Instant) {
        let whole = self
            .stamp(now)
            .checked_sub(echo_us)
            .map(Duration::from_micros);
        if let Some(sample) = whole.and_then(|whole| whole.checked_sub(hold)) {
            self.round_trip.sample(sample);
        }
    }
}

fn micros32(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
