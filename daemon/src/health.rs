//! One path's health: a pure machine, time is an argument.
//!
//! The shape is BFD's (RFC 5880 section 6.2): a path is up only when both ends hear each other.
//! `states` holds the diagram and the table, `silence` says when a path is dead, `pace` how
//! often we probe, `damping` how long a path that came back is held back.
//!
//! A path comes up for the first time as soon as both ends hear each other; after an outage,
//! when three of the probes sent since were answered and the hold is over. Only then do we say
//! Init without the mark "held", so both ends come up together, at the later one's time. The
//! last hope of reaching a peer is not held back.
//!
//! The far end of an idle path probes every 2.5 s. When data begins to flow, or its probe is
//! overdue, we ask it to hurry, and count silence from when its answer should have come.
//!
//! Doors: `handle_*` in; then `poll_probe`; sleep until `poll_timeout`.

mod damping;
mod delay;
mod loss;
mod pace;
mod recovery;
mod silence;
mod states;

use std::time::{Duration, Instant};

use crate::packet::probe::{Probe, ProbeState};
use delay::Delay;
use loss::LossWindow;
use pace::{BUSY_FOR, DOWN_INTERVAL, Demand, PATIENT_INTERVAL, Pace};
use recovery::Recovery;
use silence::{AT_FIRST, Ear};
use states::{Input, next, same_kind};

pub use pace::{BUSY_INTERVAL, IDLE_INTERVAL};
pub use states::{Cause, State};

/// An idle far end's probe is asked after when it is this late.
const OVERDUE: Duration = Duration::from_millis(300);
/// So many intervals without a word are more than chance.
const MISSING: u32 = 3;
/// What a far end needs, beside two round trips, to answer faster once it is asked to.
const WAKING: Duration = Duration::from_millis(200);
/// A far end may announce intervals within these bounds only, whatever it says.
const ANNOUNCED: std::ops::RangeInclusive<Duration> = BUSY_INTERVAL..=IDLE_INTERVAL;
/// A handshake that was lost is repeated within this time.
const ADOPTED: Duration = Duration::from_secs(3);
/// A stamp that is older than the newest one by less was overtaken on the way; by more, it is of
/// a far end that was started anew.
const OVERTAKEN_US: u64 = 3_000_000;
/// A path that is down, or dead in one direction, is probed often for so long.
const HOPEFUL: Duration = Duration::from_secs(60);
/// Loss in a probe is given in so many parts.
const LOSS_PARTS: f64 = 254.0;
/// Weight of one probe in the mean of what the far end misses, which is a mean already.
const THEIR_WEIGHT: f64 = 1.0 / 256.0;

#[derive(Debug)]
pub struct Health {
    path: u8,
    state: State,
    since: Instant,
    /// The origin of our stamps.
    born: Instant,
    ear: Ear,
    pace: Pace,
    sequence: u32,
    /// Probes sent since something was last heard.
    unanswered: u32,
    data: Demand,
    /// The far end's wish to be probed fast.
    asked: Demand,
    /// Its probe is overdue since then.
    doubt: Option<Instant>,
    /// It speaks our dialect: it answers faster when it is asked to.
    hurries: bool,
    /// The far end's last stamp and when it came.
    to_echo: Option<(u64, Instant)>,
    delay: Delay,
    loss: LossWindow,
    /// What the far end misses of our probes, lately and over a longer time.
    their_loss: Option<f64>,
    their_mean: f64,
    /// The far end holds the path back.
    held_there: bool,
    recovery: Recovery,
    /// The peer said over another path that this one is down there.
    peer_says_down: bool,
}

impl Health {
    pub fn new(path: u8, now: Instant) -> Self {
        Self {
            path,
            state: State::Down(Cause::NeverHeard),
            since: now,
            born: now,
            ear: Ear::new(IDLE_INTERVAL, now),
            pace: Pace::new(now),
            sequence: 0,
            unanswered: 0,
            data: Demand::default(),
            asked: Demand::default(),
            doubt: None,
            hurries: false,
            to_echo: None,
            delay: Delay::default(),
            loss: LossWindow::default(),
            their_loss: None,
            their_mean: 0.0,
            held_there: false,
            recovery: Recovery::default(),
            peer_says_down: false,
        }
    }

    /// A former daemon left the path up: it is up until the silence has lasted for `ADOPTED`.
    /// The far end then need not notice that there was another daemon (as BFD's C bit allows,
    /// RFC 5882 section 3.3).
    pub fn adopt(&mut self, now: Instant) {
        (self.state, self.since) = (State::Up, now);
        self.ear = Ear::new(ADOPTED / AT_FIRST, now);
        self.ear.handle_heard(true, now);
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// How long it has been in this state.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub fn round_trip(&self) -> Option<Duration> {
        self.delay.smoothed()
    }

    /// The least round trip of the last minutes: the way itself, without queues.
    pub fn shortest_round_trip(&self) -> Option<Duration> {
        self.delay.floor()
    }

    pub fn jitter(&self) -> Option<Duration> {
        self.delay.jitter()
    }

    /// Share of the far end's latest probes that did not arrive; `None` before there are enough.
    pub fn loss(&self) -> Option<f64> {
        self.loss.share()
    }

    /// Share of our latest probes that the far end missed, as it says.
    pub fn loss_there(&self) -> Option<f64> {
        self.their_loss
    }

    /// The loss over hundreds of probes, of the worse way.
    pub fn steady_loss(&self) -> f64 {
        self.loss.mean().max(self.their_mean)
    }

    /// Outages since the start.
    pub fn flaps(&self) -> u32 {
        self.recovery.damping.total()
    }

    /// Outages in the last minute.
    pub fn flaps_lately(&self, now: Instant) -> usize {
        self.recovery.damping.lately(now)
    }

    /// How long the path will still be held back; `None` while it is not.
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        let until = self.hold_ends_at()?;
        Some(until.saturating_duration_since(now))
    }

    /// We would take it up; the far end does not yet.
    pub fn is_held_there(&self) -> bool {
        self.state == State::Init && self.recovery.is_ready() && self.held_there
    }

    /// When something was last heard, and how many probes were sent since.
    pub fn silence(&self, now: Instant) -> Option<(Duration, u32)> {
        let heard = self.ear.heard()?;
        Some((now.saturating_duration_since(heard), self.unanswered))
    }

    /// Some of the far end's probes are missing in a row, though not yet enough to give it up.
    pub fn is_silent(&self, now: Instant) -> bool {
        let since = |heard| now.saturating_duration_since(heard);
        self.ear
            .heard()
            .is_none_or(|heard| since(heard) >= self.ear.interval * MISSING)
    }

    /// Any authenticated packet came in.
    pub fn handle_heard(&mut self, now: Instant) {
        self.ear.handle_heard(self.state == State::Up, now);
        self.doubt = None;
        self.unanswered = 0;
    }

    /// The path carried data of the user. A busy path is probed more often.
    pub fn handle_data(&mut self, now: Instant) {
        if self.data.renew(now) {
            self.pace.at_once(now);
        }
    }

    /// There is a session to probe in now.
    pub fn handle_session(&mut self, now: Instant) {
        self.pace.at_once(now);
    }

    pub fn handle_probe(&mut self, probe: &Probe, now: Instant) {
        self.handle_heard(now);
        self.loss.arrived(probe.sequence);
        self.delay.handle_transit(probe.stamp_us, self.stamp(now));
        let newest = self.to_echo.map_or(0, |(stamp, _)| stamp);
        let behind = newest.saturating_sub(probe.stamp_us);
        if (1..OVERTAKEN_US).contains(&behind) {
            return;
        }
        let announced = Duration::from_micros(u64::from(probe.interval_us));
        self.ear.interval = announced.clamp(*ANNOUNCED.start(), *ANNOUNCED.end());
        self.to_echo = Some((probe.stamp_us, now));
        self.take_their_loss(probe.loss);
        self.held_there = probe.held;
        self.hurries = probe.word.is_some();
        if probe.hurry && self.asked.renew(now) {
            self.pace.at_once(now);
        }
        if probe.echo_us != 0 {
            let hold = Duration::from_micros(u64::from(probe.hold_us));
            self.take_echo(probe.echo_us, hold, now);
        }
        let holds = probe.held && probe.state == ProbeState::Init;
        let said = if holds { ProbeState::Down } else { probe.state };
        self.hear(said, now);
    }

    /// A plain `wg` peer answered our echo: it hears us and we hear it.
    pub fn handle_echo_reply(&mut self, sequence: u16, stamp_us: u64, now: Instant) {
        self.handle_heard(now);
        self.ear.interval = self.wanted_interval(now).max(BUSY_INTERVAL);
        self.hurries = true;
        self.loss.arrived(u32::from(sequence));
        self.take_echo(stamp_us, Duration::ZERO, now);
        self.hear(ProbeState::Init, now);
    }

    pub fn handle_admin(&mut self, up: bool, now: Instant) {
        if up {
            self.recovery.trust();
        }
        self.step(if up { Input::AdminUp } else { Input::AdminDown }, now);
    }

    /// This machine cannot send on the path, or can again.
    pub fn handle_fault(&mut self, fault: bool, now: Instant) {
        self.recovery.handle_fault(fault);
        if fault {
            self.step(Input::Fault, now);
        }
    }

    /// The kernel refused to send: there is no route or no device at this moment.
    pub fn handle_refused(&mut self, now: Instant) {
        if matches!(self.state, State::Init | State::Up) {
            self.step(Input::Fault, now);
        }
    }

    /// The peer's word over another path: this one is down there. It shortens the silence that
    /// is waited for, and no more: a path that is heard stays up, whatever the peer says.
    pub fn handle_word(&mut self, down: bool, now: Instant) {
        if down && !self.peer_says_down && self.state == State::Up {
            self.doubt.get_or_insert(now);
            self.pace.at_once(now);
        }
        self.peer_says_down = down;
    }

    /// Whether any other path to the peer lives. The last one is not held back.
    pub fn handle_company(&mut self, alone: bool) {
        self.recovery.handle_company(alone);
    }

    /// What we have to say has changed: say it now.
    pub fn handle_news(&mut self, now: Instant) {
        self.pace.at_once(now);
    }

    /// Looks at the clock. Call it when `poll_timeout` is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ear.handle_look(self.pace.next(), now);
        if self.silent_at(now).is_none_or(|at| at <= now) {
            let by_word = self.peer_says_down && matches!(self.state, State::Init | State::Up);
            let input = if by_word {
                Input::PeerWord
            } else {
                Input::Silence
            };
            self.step(input, now);
        }
        if self.overdue_at().is_some_and(|at| at <= now) {
            self.doubt = Some(now);
            self.pace.at_once(now);
        }
        self.look_at_hold(now);
    }

    /// The probe that is due now, if one is. The caller adds the site's word.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        if now < self.pace.next() {
            return None;
        }
        let interval = self.pace.take(self.wanted_interval(now), now);
        self.sequence = self.sequence.wrapping_add(1);
        self.unanswered = self.unanswered.saturating_add(1);
        let (echo_us, hold) = self.to_echo.map_or((0, Duration::ZERO), |(stamp, at)| {
            (stamp, now.saturating_duration_since(at))
        });
        Some(Probe {
            state: self.said_state(),
            path: self.path,
            hurry: self.data.lasts(now) || self.doubt.is_some(),
            held: self.state == State::Init && !self.recovery.is_ready(),
            sequence: self.sequence,
            interval_us: micros32(interval),
            hold_us: micros32(hold),
            stamp_us: self.stamp(now),
            echo_us,
            loss: self.loss.share().map(parts),
            word: None,
        })
    }

    /// When to look again: the next probe, the moment at which silence makes the path down, at
    /// which a probe is overdue, or at which a hold is over.
    pub fn poll_timeout(&self) -> Instant {
        let silent_at = match self.state {
            State::Init | State::Up => self.silent_at(self.ear.looked()),
            State::Down(_) | State::AdminDown => None,
        };
        [silent_at, self.overdue_at(), self.hold_ends_at()]
            .into_iter()
            .flatten()
            .fold(self.pace.next(), Instant::min)
    }

    fn hear(&mut self, said: ProbeState, now: Instant) {
        self.look_at_hold(now);
        let said = match (self.state, said) {
            (State::Down(_) | State::Init, ProbeState::Init) if !self.recovery.may_rise() => {
                ProbeState::Down
            }
            (State::Init, ProbeState::Up) if !self.recovery.may_rise() => ProbeState::Down,
            (_, said) => said,
        };
        self.step(Input::Hears(said), now);
    }

    fn step(&mut self, input: Input, now: Instant) {
        let before = self.state;
        self.state = next(before, input);
        if same_kind(before, self.state) {
            return;
        }
        if before == State::Up {
            self.handle_end_of_up(now);
        }
        if !matches!(self.state, State::Up) {
            self.recovery.start();
        }
        self.doubt = None;
        self.since = now;
        self.look_at_hold(now);
        // The far end should know soon; RFC 5880 section 6.8.7 allows it at a change.
        self.pace.at_once(now);
    }

    fn handle_end_of_up(&mut self, now: Instant) {
        match self.state {
            State::AdminDown | State::Down(Cause::PeerAdminDown) => {}
            State::Down(_) | State::Init | State::Up => {
                let up = now.saturating_duration_since(self.since);
                self.recovery.handle_outage(up, now);
            }
        }
        self.loss.pause();
    }

    /// Decides whether the path may come up, as soon as it may.
    fn look_at_hold(&mut self, now: Instant) {
        if self.state == State::Init && self.recovery.becomes_ready(now) {
            self.pace.at_once(now);
        }
    }

    fn hold_ends_at(&self) -> Option<Instant> {
        let waits = self.state == State::Init;
        self.recovery.hold_ends_at().filter(|_| waits)
    }

    fn wanted_interval(&self, now: Instant) -> Duration {
        let urgent = self.data.lasts(now) || self.asked.lasts(now) || self.doubt.is_some();
        match self.state {
            State::Up if urgent => BUSY_INTERVAL,
            State::Up => IDLE_INTERVAL,
            State::Init if self.recovery.is_holding() => PATIENT_INTERVAL,
            State::Init if self.age(now) < HOPEFUL => BUSY_INTERVAL,
            State::Down(_) if self.age(now) < HOPEFUL => DOWN_INTERVAL,
            State::Init | State::Down(_) | State::AdminDown => PATIENT_INTERVAL,
        }
    }

    fn silent_at(&self, now: Instant) -> Option<Instant> {
        let patience = self.ear.patience(self.loss.odds(), self.peer_says_down);
        let silent_at = self.ear.silent_at(patience);
        let began = [self.data.began(now), self.doubt]
            .into_iter()
            .flatten()
            .min();
        let began = began.filter(|_| self.hurries && self.state == State::Up);
        let unanswered_at = began.and_then(|began| {
            let round_trips = self.delay.smoothed().map(|time| time * 2 + WAKING);
            let from = began + round_trips.unwrap_or(BUSY_FOR);
            self.ear.unanswered_at(from, patience)
        });
        [silent_at, unanswered_at].into_iter().flatten().min()
    }

    fn overdue_at(&self) -> Option<Instant> {
        let asks = self.state == State::Up && self.hurries && self.doubt.is_none();
        let slow = self.ear.interval > OVERDUE;
        self.ear.overdue_at(OVERDUE).filter(|_| asks && slow)
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

    fn take_their_loss(&mut self, parts: Option<u8>) {
        self.their_loss = parts.map(|parts| f64::from(parts) / LOSS_PARTS);
        if let Some(share) = self.their_loss {
            self.their_mean += (share - self.their_mean) * THEIR_WEIGHT;
        }
    }

    /// One of our stamps came back.
    fn take_echo(&mut self, echo_us: u64, hold: Duration, now: Instant) {
        let whole = self
            .stamp(now)
            .checked_sub(echo_us)
            .map(Duration::from_micros);
        let Some(sample) = whole.and_then(|whole| whole.checked_sub(hold)) else {
            return;
        };
        self.delay.handle_round_trip(sample, now);
        if self.state == State::Init && echo_us >= self.stamp(self.since) {
            self.recovery.handle_echo(now);
        }
    }
}

fn micros32(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// A share as a probe carries it.
fn parts(share: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of a u8"
    )]
    let parts = (share * LOSS_PARTS).round().clamp(0.0, LOSS_PARTS) as u8;
    parts
}

#[cfg(test)]
mod tests;
