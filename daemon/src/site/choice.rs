//! Which path carries the site address, and with it plain TCP and UDP.
//!
//! Paths are ranked by class, not by figures. A path that died is left at once, and one that came
//! up since may be taken at once: its health has held it back long enough. Between paths that
//! both live on, a better class must hold for a while, longer with each such move.
//!
//! Both ends come to the same path within one round trip: the site with the lower id decides,
//! among the paths that both call up, and says so in its probes on every path; the other follows
//! as long as that path is up at its end too, and else takes its own best until it hears more.
//! MPTCP's first subflow travels with the site address (A_1), so the classes are wide: path 1 is
//! left for a clearly better one only.

use std::time::{Duration, Instant};

use crate::config::Cost;
use crate::names::PathNumber;

/// A better class must have held for this long; doubles with each move that it caused.
const HOLD: Duration = Duration::from_secs(10);
/// 10 s doubled nine times: an hour and a half.
const MOST_DOUBLINGS: u32 = 9;
/// One move is forgotten after this long without a further one.
const FORGET: Duration = Duration::from_secs(4 * 3600);

/// Best first, in order of importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) standing: Standing,
    pub(super) cost: Cost,
    pub(super) loss: LossClass,
    pub(super) round_trip: RoundTripClass,
    pub(super) number: PathNumber,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Up,
    /// Up here; the peer says that it is down there.
    UpHereOnly,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LossClass {
    /// Under 2 %.
    Clean,
    /// Under 10 %: one TCP flow is slow.
    Lossy,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RoundTripClass {
    /// Under 150 ms, or not yet known.
    Near,
    /// Under 600 ms.
    Far,
    /// By a satellite.
    Orbit,
}

impl LossClass {
    pub(super) fn of(share: f64) -> Self {
        if share < 0.02 {
            Self::Clean
        } else if share < 0.1 {
            Self::Lossy
        } else {
            Self::Broken
        }
    }
}

impl RoundTripClass {
    pub(super) fn of(time: Option<Duration>) -> Self {
        match time.unwrap_or_default().as_millis() {
            0..150 => Self::Near,
            150..600 => Self::Far,
            600.. => Self::Orbit,
        }
    }
}

/// A path that might be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) rank: Rank,
    /// In its present state since then.
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct Choice {
    current: Option<PathNumber>,
    chosen: Instant,
    /// Another path has been better since then.
    better: Option<Instant>,
    /// Moves from a path that lived on, and the newest of them.
    moves: (u32, Instant),
}

impl Choice {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            current: None,
            chosen: now,
            better: None,
            moves: (0, now),
        }
    }

    pub(super) fn current(&self) -> Option<PathNumber> {
        self.current
    }

    pub(super) fn adopt(&mut self, path: PathNumber, now: Instant) {
        self.take(Some(path), now);
    }

    /// `theirs` is the path that the peer decided for, if it is the one who decides.
    pub(super) fn decide(
        &mut self,
        candidates: &[Candidate],
        theirs: Option<PathNumber>,
        now: Instant,
    ) {
        let living = |candidate: &&Candidate| candidate.rank.standing != Standing::Down;
        let live = || candidates.iter().filter(living);
        let told = live().find(|candidate| Some(candidate.rank.number) == theirs);
        let current = live().find(|candidate| Some(candidate.rank.number) == self.current);
        let best = live().min_by_key(|candidate| candidate.rank);
        match (told.or(best), current) {
            (None, _) => self.take(None, now),
            (Some(best), None) => self.take(Some(best.rank.number), now),
            (Some(best), Some(current)) if best.rank.number == current.rank.number => {
                self.better = None;
            }
            (Some(best), Some(current)) => {
                let lost = current.rank.standing == Standing::UpHereOnly;
                let free = told.is_some() || lost || best.since > self.chosen;
                if free || self.has_held(now) {
                    if !free {
                        let moves = self.recent_moves(now) + 1;
                        self.moves = (moves.min(MOST_DOUBLINGS), now);
                    }
                    self.take(Some(best.rank.number), now);
                }
            }
        }
    }

    fn take(&mut self, path: Option<PathNumber>, now: Instant) {
        if self.current != path {
            (self.current, self.chosen) = (path, now);
        }
        self.better = None;
    }

    fn has_held(&mut self, now: Instant) -> bool {
        let since = *self.better.get_or_insert(now);
        let doublings = self.recent_moves(now);
        now.saturating_duration_since(since) >= HOLD * 2_u32.pow(doublings)
    }

    fn recent_moves(&self, now: Instant) -> u32 {
        let (moves, newest) = self.moves;
        let forgotten = now.saturating_duration_since(newest).as_secs() / FORGET.as_secs();
        moves.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
