//! The largest packet that a path carries: packetization-layer path MTU discovery for datagrams
//! (RFC 8899). ICMP has no say in it. A pure machine, time is an argument.
//!
//! ```text
//!              up                    found                    ten minutes, if
//! ┌─────────┐ ────► ┌───────────┐ ─────────► ┌──────────┐     more may pass
//! │ Waiting │       │ Searching │            │ Complete │ ──┐
//! └─────────┘       └───────────┘ ◄───────── └──────────┘   │
//!      ▲              │  ▲   ▲      the size fell silent    │
//!      │ down         │  │   └──────────────────────────────┘
//!      │ (from all)   ▼  │ again after a while
//!                  ┌──────────┐
//!                  │ TooSmall │  not even the least passes
//!                  └──────────┘
//! ```
//!
//! A probe is an inner packet of the size in question; the far end says that it came. The size
//! that one hopes for is asked first, alone: mostly that is all. Else several sizes are asked at
//! once, and those between the largest that passed and the smallest that did not, until they meet;
//! and with them a size that passes if anything does: a try without its answer says nothing of
//! sizes, for the path itself was silent (RFC 8899 section 4.3).
//!
//! Doors: `handle_*` in; then drain `poll_probe`; sleep until `poll_timeout`.

use std::time::{Duration, Instant};

/// IPv6 needs it (RFC 8200 section 5); with less Linux takes IPv6 off the interface.
pub const LEAST: u16 = 1280;
/// A size fails when it was asked this often without an answer (RFC 8899 section 5.1.2).
const TRIES: u8 = 3;
/// Passes if anything does: the witness of each try.
const SMALL: u16 = 128;
/// Sizes asked at once.
const AT_ONCE: u16 = 8;
/// Sizes nearer to one another than this are not told apart.
const STEP: u16 = 4;
/// The size in use is asked for again: a path that carries data may have begun to swallow large
/// packets without a word.
const CONFIRM_BUSY: Duration = Duration::from_secs(1);
const CONFIRM_IDLE: Duration = Duration::from_secs(120);
/// Whether more passes by now (PMTU_RAISE_TIMER).
const RAISE: Duration = Duration::from_secs(600);
/// A path too small for anything is asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// Bounds of the wait for an answer.
const WAIT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Searching(Round),
    Complete {
        /// When the size in use is asked for next, and how often it was in vain.
        confirm: Instant,
        tries: u8,
        raise: Instant,
    },
    TooSmall {
        again: Instant,
    },
}

/// Sizes that are asked at once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Round {
    /// The largest size that passed in this search.
    passes: Option<u16>,
    /// The smallest that is known to fail; one more than what one hopes for.
    fails: u16,
    /// Largest first; those not larger than `passes` are asked no more.
    sizes: Vec<u16>,
    /// Of `sizes`, those of this try that are not yet sent.
    unsent: Vec<u16>,
    /// Those that count: the path was not silent.
    tries: u8,
    /// There was a try, and something passed in it.
    asked: bool,
    alive: bool,
    /// The next try, or the end.
    due: Instant,
}

/// What is in the way of using a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known yet.
    Unknown,
    /// Inner packets up to this size pass.
    Passes(u16),
    /// Not even [`LEAST`] passes.
    TooSmall,
}

#[derive(Debug)]
pub struct MtuSearch {
    /// What the link should carry.
    most: u16,
    verdict: Verdict,
    state: State,
    wait: Duration,
    busy: bool,
}

impl MtuSearch {
    /// `most`: the inner MTU that one hopes for, at least [`LEAST`].
    pub fn new(most: u16) -> Self {
        Self {
            most: most.max(LEAST),
            verdict: Verdict::Unknown,
            state: State::Waiting,
            wait: *WAIT.start(),
            busy: false,
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The path hears and is heard: small packets pass.
    pub fn handle_up(&mut self, now: Instant) {
        if self.state == State::Waiting {
            self.search(Round::hoping(self.most, now));
        }
    }

    /// The path is not up: what was known of it may be so no more.
    pub fn handle_down(&mut self) {
        self.state = State::Waiting;
        self.verdict = Verdict::Unknown;
    }

    /// The path's round trip, and whether it carries the user's data now.
    pub fn handle_traffic(&mut self, round_trip: Option<Duration>, busy: bool, now: Instant) {
        let wait = round_trip.unwrap_or_default() * 2 + Duration::from_millis(50);
        self.wait = wait.clamp(*WAIT.start(), *WAIT.end());
        if busy
            && !self.busy
            && let State::Complete { confirm, .. } = &mut self.state
        {
            *confirm = (*confirm).min(now + CONFIRM_BUSY);
        }
        self.busy = busy;
    }

    /// The far end has had a probe of this size.
    pub fn handle_answer(&mut self, size: u16, now: Instant) {
        match &mut self.state {
            State::Searching(round) if size == SMALL => round.alive = true,
            State::Searching(round) if round.sizes.contains(&size) => {
                round.alive = true;
                round.passes = round.passes.max(Some(size));
                round.unsent.retain(|unsent| *unsent > size);
                if round.sizes.first() == Some(&size) {
                    self.conclude(now);
                }
            }
            State::Complete { confirm, tries, .. } if self.verdict == Verdict::Passes(size) => {
                *tries = 0;
                *confirm = now
                    + if self.busy {
                        CONFIRM_BUSY
                    } else {
                        CONFIRM_IDLE
                    };
            }
            State::Waiting
            | State::Searching(_)
            | State::Complete { .. }
            | State::TooSmall { .. } => {}
        }
    }

    /// The size of the probe that is to be sent now; call until `None`.
    pub fn poll_probe(&mut self, now: Instant) -> Option<u16> {
        match &mut self.state {
            State::Waiting => None,
            State::Searching(round) => {
                if round.due <= now {
                    round.end_try();
                    if round.tries == TRIES {
                        self.conclude(now);
                        return self.poll_probe(now);
                    }
                    round.try_again(now + self.wait);
                }
                round.unsent.pop()
            }
            State::TooSmall { again } => {
                if *again > now {
                    return None;
                }
                self.search(Round::hoping(self.most, now));
                self.poll_probe(now)
            }
            State::Complete { .. } => self.confirm_or_raise(now),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting => None,
            State::Searching(round) => Some(round.due),
            State::Complete { confirm, raise, .. } => Some(*confirm.min(raise)),
            State::TooSmall { again } => Some(*again),
        }
    }

    fn confirm_or_raise(&mut self, now: Instant) -> Option<u16> {
        let Verdict::Passes(current) = self.verdict else {
            return None;
        };
        let State::Complete {
            confirm,
            tries,
            raise,
        } = &mut self.state
        else {
            return None;
        };
        if *raise <= now {
            *raise = now + RAISE;
            if current < self.most {
                self.search(Round::between(Some(current), self.most + 1, now));
                return self.poll_probe(now);
            }
        }
        if *confirm > now {
            return None;
        }
        if *tries == TRIES {
            // The size in use is asked once more, along with smaller ones: a lossy path is not
            // to lose its MTU by three bad throws.
            self.search(Round::between(None, current + 1, now));
            return self.poll_probe(now);
        }
        *tries += 1;
        *confirm = now + self.wait;
        Some(current)
    }

    fn search(&mut self, round: Round) {
        self.state = State::Searching(round);
    }

    /// The round is over: the next one, or the end.
    fn conclude(&mut self, now: Instant) {
        let State::Searching(round) = &self.state else {
            return;
        };
        let failed = round.sizes.iter().copied();
        let failed = failed.filter(|size| Some(*size) > round.passes).min();
        let fails = failed.unwrap_or(round.fails);
        let passes = round.passes;
        if let Some(size) = passes {
            self.verdict = Verdict::Passes(size);
        }
        let next = Round::between(passes, fails, now);
        self.state = match passes {
            None if fails <= LEAST => {
                self.verdict = Verdict::TooSmall;
                State::TooSmall { again: now + AGAIN }
            }
            Some(_) if next.sizes.is_empty() => State::Complete {
                confirm: now
                    + if self.busy {
                        CONFIRM_BUSY
                    } else {
                        CONFIRM_IDLE
                    },
                tries: 0,
                raise: now + RAISE,
            },
            None | Some(_) => State::Searching(next),
        };
    }
}

impl Round {
    /// One size alone.
    fn hoping(size: u16, now: Instant) -> Self {
        Self {
            sizes: vec![size],
            ..Self::between(None, size + 1, now)
        }
    }

    /// Sizes spread evenly over what is not known; without any when that is less than a step.
    /// The least is among them as long as nothing is known to pass.
    fn between(passes: Option<u16>, fails: u16, now: Instant) -> Self {
        let least = passes.map_or(LEAST, |size| size + STEP);
        let most = fails - 1;
        let sizes = match most.checked_sub(least) {
            None => Vec::new(),
            Some(span) => {
                let steps = (span / STEP).clamp(1, AT_ONCE - 1);
                let place = |n: u16| {
                    most - u16::try_from(u32::from(span) * u32::from(n) / u32::from(steps))
                        .unwrap_or(span)
                };
                let mut sizes: Vec<_> = (0..=steps).map(place).collect();
                sizes.dedup();
                sizes
            }
        };
        Self {
            passes,
            fails,
            sizes,
            unsent: Vec::new(),
            tries: 0,
            asked: false,
            alive: false,
            due: now,
        }
    }

    /// What one hopes for is asked alone: its failure leads to a round of several.
    fn needs_witness(&self) -> bool {
        self.sizes.len() > 1 || self.sizes.contains(&LEAST)
    }

    fn end_try(&mut self) {
        let counts = self.alive || !self.needs_witness();
        self.tries += u8::from(counts && self.asked);
    }

    fn try_again(&mut self, due: Instant) {
        (self.asked, self.alive, self.due) = (true, false, due);
        let sizes = self.sizes.iter().copied();
        let sizes = sizes.filter(|size| Some(*size) > self.passes);
        let witness = self.needs_witness().then_some(SMALL);
        self.unsent = witness.into_iter().chain(sizes).collect();
    }
}

#[cfg(test)]
mod tests;
