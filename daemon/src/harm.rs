//! Do no harm: a path whose use makes the whole slower is put in reserve, and tried again later.
//!
//! MPTCP's sender fills a slow path's queue with bytes that the far end's program waits for, and
//! its buffer with what may not be forgotten until they arrive: the fast path stands still
//! meanwhile. Whether it does is not guessed but measured, by the bytes of all connections to a
//! peer that were acknowledged (each counted once), on the connections of the user themselves:
//! ```text
//!  Quiet ⇄ Busy ── a suspect ──> Without ── clearly more ──> With ── clearly less ──> sentence
//!            ^                      │ no more                  │ not less                 │
//!            └──────────────────────┴── acquitted ─────────────┘ <──── its time is over ──┘
//! ```
//! A suspect is a path that is much slower or more lossy than the best one. One that is acquitted
//! is not tried again soon. One at a time, never the last path. What is measured while a path
//! falls silent, dies or returns says nothing of what it is worth, and is measured again. A pure
//! machine, time is an argument; one for each peer.

mod meter;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::names::PathNumber;
use meter::Meter;

/// Less than this is no load by which paths could be judged: 0.5 Mbit/s.
const BUSY: f64 = 62_500.0;
/// What came of a change is not looked at before...
const SETTLES: Duration = Duration::from_millis(500);
/// ... nor, once a path is no more used, before so many of its round trips: what lies in its queue,
/// and what of it is lost, holds up all the others until it has come.
const ROUND_TRIPS: u32 = 4;
const LONGEST_SETTLING: Duration = Duration::from_secs(3);
/// Before the first trial, and to measure the whole as it is.
const PATIENCE: Duration = Duration::from_millis(2500);
const MEASURED: Duration = Duration::from_secs(2);
/// Counted from then: a path that is missed is back in use after this...
const GLANCE: Duration = Duration::from_secs(1);
/// ... and after this it is decided.
const TRIAL: Duration = Duration::from_secs(3);
/// Rates differ by chance; so much is more than chance.
const MORE: f64 = 1.05;
const LESS: f64 = 0.95;
/// The path is missed: nobody needs to measure longer. What is between has to wait: a fast path
/// that has been held up by a slow one needs seconds to show what it can do.
const MISSED: f64 = 0.9;
const MUCH_LESS: f64 = 0.7;
const FIRST_SENTENCE: Duration = Duration::from_secs(120);
/// Short: who is acquitted by mistake does harm until then.
const FIRST_ACQUITTAL: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3600);
/// Lost probes of a path that is not suspected for it.
const LOSS: f64 = 0.01;
/// A round trip that is not suspicious however short the best one is.
const NEAR: Duration = Duration::from_millis(30);

/// More than this is no rest of a program's that has said all: it waits to be moved.
const WAITING: u64 = 64 << 10;

/// The bytes of all connections to the peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    /// Acknowledged by it since the last look.
    pub acked: u64,
    /// Written, and not acknowledged.
    pub waiting: u64,
}

/// A live path as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    pub path: PathNumber,
    pub round_trip: Option<Duration>,
    /// Share of probes lost lately, the worse direction's.
    pub loss: f64,
    /// Nothing has been heard on it for longer than there should be.
    pub silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Quiet,
    Busy {
        since: Instant,
    },
    /// The path is in reserve, to see what the others carry.
    Without {
        path: PathNumber,
        since: Instant,
        with: f64,
    },
    /// It is used again, to see whether it was that.
    With {
        path: PathNumber,
        since: Instant,
        without: f64,
    },
}

impl State {
    /// What was measured so far does not count.
    fn anew(self, now: Instant) -> Self {
        let since = now;
        match self {
            Self::Quiet => Self::Quiet,
            Self::Busy { .. } => Self::Busy { since },
            Self::Without { path, with, .. } => Self::Without { path, since, with },
            Self::With { path, without, .. } => Self::With {
                path,
                since,
                without,
            },
        }
    }
}

/// In reserve until then.
#[derive(Clone, Copy, Debug)]
struct Sentence {
    until: Instant,
    wait: Duration,
    /// Bytes per second.
    with: f64,
    without: f64,
}

/// Not suspected until then, unless it gets worse than it was.
#[derive(Clone, Copy, Debug)]
struct Acquittal {
    until: Instant,
    wait: Duration,
    round_trip: Option<Duration>,
    loss: f64,
}

#[derive(Debug)]
pub struct Harm {
    state: State,
    meter: Meter,
    /// As of the last look.
    live: BTreeSet<PathNumber>,
    sentences: BTreeMap<PathNumber, Sentence>,
    acquittals: BTreeMap<PathNumber, Acquittal>,
}

impl Default for Harm {
    fn default() -> Self {
        Self {
            state: State::Quiet,
            meter: Meter::default(),
            live: BTreeSet::new(),
            sentences: BTreeMap::new(),
            acquittals: BTreeMap::new(),
        }
    }
}

impl Harm {
    /// To be called a few times a second; `paths`: those that are live.
    pub fn handle_look(&mut self, moved: Moved, paths: &[Condition], now: Instant) {
        self.meter.add(moved.acked, now);
        let live: BTreeSet<_> = paths.iter().map(|one| one.path).collect();
        if live != self.live {
            self.state = State::Quiet;
        } else if paths.iter().any(|one| one.silent) {
            self.state = self.state.anew(now);
        }
        self.live = live;
        self.state = self.next(paths, moved.waiting >= WAITING, now);
        // Never the last one: what is in reserve is better than nothing.
        let reserve = self.reserve();
        if !paths.is_empty() && paths.iter().all(|one| reserve.contains(&one.path)) {
            self.sentences.clear();
            self.state = State::Quiet;
        }
    }

    /// The paths that connections shall use only when no other one can be used.
    pub fn reserve(&self) -> BTreeSet<PathNumber> {
        let mut reserve: BTreeSet<_> = self.sentences.keys().copied().collect();
        match self.state {
            State::Quiet | State::Busy { .. } => {}
            State::Without { path, .. } => drop(reserve.insert(path)),
            State::With { path, .. } => drop(reserve.remove(&path)),
        }
        reserve
    }

    /// Why a path is in reserve, in words that an administrator can act on.
    pub fn reason(&self, path: PathNumber, now: Instant) -> Option<String> {
        let mbit = |rate: f64| rate * 8.0 / 1e6;
        match (self.state, self.sentences.get(&path)) {
            (State::Without { path: tried, .. }, _) if tried == path => {
                Some("in reserve for seconds, to see whether all are faster without it".to_owned())
            }
            (State::With { path: tried, .. }, _) if tried == path => None,
            (_, Some(sentence)) => {
                let left = sentence.until.saturating_duration_since(now).as_secs();
                let (with, without) = (mbit(sentence.with), mbit(sentence.without));
                Some(format!(
                    "in reserve: with it all paths together moved {with:.1} Mbit/s, without it \
                     {without:.1}; tried again in {left} s, under load"
                ))
            }
            (State::Quiet | State::Busy { .. }, None)
            | (State::Without { .. } | State::With { .. }, None) => None,
        }
    }

    /// What a path holds up altogether is no less of a load for it.
    fn next(&mut self, paths: &[Condition], waits: bool, now: Instant) -> State {
        let moves = self.meter.rate(now - SETTLES * 2, now) >= BUSY;
        let loaded = moves || (waits && self.state != State::Quiet);
        let since = |at: Instant| now.saturating_duration_since(at);
        match self.state {
            _ if !loaded => State::Quiet,
            State::Quiet => State::Busy { since: now },
            State::Busy { since: at } if since(at) < PATIENCE => self.state,
            State::Busy { .. } => self.begin_trial(paths, now),
            State::Without { path, since, with } => {
                let settled = since + settling(path, paths);
                self.weigh_without(path, (settled, with), paths, now)
            }
            State::With {
                path,
                since,
                without,
            } => self.weigh_with(path, (since + SETTLES, without), paths, now),
        }
    }

    /// What all move without the path, against what they moved with it.
    fn weigh_without(
        &mut self,
        path: PathNumber,
        (settled, with): (Instant, f64),
        paths: &[Condition],
        now: Instant,
    ) -> State {
        let time = now.saturating_duration_since(settled);
        let without = self.meter.rate(settled, now);
        let enough = if time < TRIAL { MISSED } else { MORE };
        if time < GLANCE {
            self.state
        } else if without < with * enough {
            self.acquit(path, paths, now)
        } else if time < TRIAL {
            self.state
        } else {
            State::With {
                path,
                since: now,
                without,
            }
        }
    }

    /// The same the other way round.
    fn weigh_with(
        &mut self,
        path: PathNumber,
        (settled, without): (Instant, f64),
        paths: &[Condition],
        now: Instant,
    ) -> State {
        let time = now.saturating_duration_since(settled);
        let with = self.meter.rate(settled + SETTLES, now);
        if time < GLANCE || (time < TRIAL && with >= without * MUCH_LESS) {
            self.state
        } else if with < without * LESS {
            self.sentence(path, with, without, now)
        } else {
            self.acquit(path, paths, now)
        }
    }

    /// One whose time is over first, then the worst suspect.
    fn begin_trial(&self, paths: &[Condition], now: Instant) -> State {
        let rate = self.meter.rate(now - MEASURED, now);
        let served = |path: &&Condition| {
            let sentence = self.sentences.get(&path.path);
            sentence.is_some_and(|sentence| sentence.until <= now)
        };
        if let Some(path) = paths.iter().find(served) {
            return State::With {
                path: path.path,
                since: now,
                without: rate,
            };
        }
        let used = || {
            paths
                .iter()
                .filter(|one| !self.sentences.contains_key(&one.path))
        };
        let suspects = used().filter(|one| self.is_suspect(one, used(), now));
        let worst = suspects.max_by(|a, b| {
            let by_loss = a.loss.total_cmp(&b.loss);
            by_loss.then(a.round_trip.cmp(&b.round_trip))
        });
        match worst.filter(|_| used().count() > 1) {
            Some(worst) => State::Without {
                path: worst.path,
                since: now,
                with: rate,
            },
            None => self.state,
        }
    }

    fn is_suspect<'p>(
        &self,
        path: &Condition,
        used: impl Iterator<Item = &'p Condition>,
        now: Instant,
    ) -> bool {
        let best = used
            .filter_map(|one| one.round_trip)
            .min()
            .unwrap_or_default();
        let far = path.round_trip.is_some_and(|time| time >= best * 2 + NEAR);
        let acquitted = self.acquittals.get(&path.path).is_some_and(|acquittal| {
            let slower = path.round_trip > acquittal.round_trip.map(|time| time * 2 + NEAR);
            let worse = path.loss > acquittal.loss * 3.0 + LOSS;
            now < acquittal.until && !slower && !worse
        });
        (far || path.loss >= LOSS) && !acquitted
    }

    fn acquit(&mut self, path: PathNumber, paths: &[Condition], now: Instant) -> State {
        let wait = self
            .acquittals
            .get(&path)
            .map(|before| (before.wait * 2).min(LONGEST));
        let wait = wait.unwrap_or(FIRST_ACQUITTAL);
        self.sentences.remove(&path);
        if let Some(one) = paths.iter().find(|one| one.path == path) {
            let acquittal = Acquittal {
                until: now + wait,
                wait,
                round_trip: one.round_trip,
                loss: one.loss,
            };
            self.acquittals.insert(path, acquittal);
        }
        State::Busy { since: now }
    }

    fn sentence(&mut self, path: PathNumber, with: f64, without: f64, now: Instant) -> State {
        let wait = self
            .sentences
            .get(&path)
            .map(|before| (before.wait * 2).min(LONGEST));
        let wait = wait.unwrap_or(FIRST_SENTENCE);
        let sentence = Sentence {
            until: now + wait,
            wait,
            with,
            without,
        };
        self.acquittals.remove(&path);
        self.sentences.insert(path, sentence);
        State::Busy { since: now }
    }
}

/// How long the others feel it when a path is no more used.
fn settling(path: PathNumber, paths: &[Condition]) -> Duration {
    let one = paths.iter().find(|one| one.path == path);
    let round_trip = one.and_then(|one| one.round_trip).unwrap_or_default();
    (round_trip * ROUND_TRIPS).clamp(SETTLES, LONGEST_SETTLING)
}

#[cfg(test)]
mod tests;
