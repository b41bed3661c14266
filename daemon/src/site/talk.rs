//! What we and one peer say to each other about the paths between us, on each of them.
//!
//! The peer's word biases, within bounds: it can make us give up a path that is silent sooner,
//! never one that is heard, and never the last; and it can choose among paths that are up here.

use std::time::Instant;

use crate::names::{PathNumber, SiteId};
use crate::packet::probe::{Release, Word};

use super::choice::{Candidate, Choice, LossClass, Rank, RoundTripClass, Standing};
use super::entry::Entry;

/// Of two words with stamps so near to each other, the older one was overtaken on the way; one
/// that is older still is of a peer that was started anew.
const OVERTAKEN_MS: u32 = 10_000;

#[derive(Debug)]
pub(super) struct Talk {
    born: Instant,
    choice: Choice,
    /// The site with the lower id decides.
    they_decide: bool,
    heard: Option<Word>,
    /// Without its stamp.
    said: Word,
}

impl Talk {
    pub(super) fn new(ours: SiteId, theirs: SiteId, now: Instant) -> Self {
        Self {
            born: now,
            choice: Choice::new(now),
            they_decide: theirs < ours,
            heard: None,
            said: Word::default(),
        }
    }

    /// The path that carried the site addresses before we were started.
    pub(super) fn adopt(&mut self, path: PathNumber, now: Instant) {
        self.choice.adopt(path, now);
    }

    pub(super) fn handle_word(&mut self, word: Word) {
        let newest = self.heard.map_or(word.at_ms, |heard| heard.at_ms);
        if !(1..OVERTAKEN_MS).contains(&newest.wrapping_sub(word.at_ms)) {
            self.heard = Some(word);
        }
    }

    /// What our probes say at `now`.
    pub(super) fn word(&self, now: Instant) -> Word {
        let age = now.saturating_duration_since(self.born).as_millis();
        Word {
            // Wraps after 49 days; only differences are looked at.
            at_ms: u32::try_from(age & u128::from(u32::MAX)).unwrap_or(0),
            release: Some(Release::ours()),
            ..self.said
        }
    }

    /// The daemon's there.
    pub(super) fn release(&self) -> Option<Release> {
        self.heard?.release
    }

    /// The path that carries the site addresses.
    pub(super) fn site_path(&self) -> Option<PathNumber> {
        self.choice.current()
    }

    /// Draws the conclusions of whatever was just heard or seen, for all paths to the peer.
    pub(super) fn settle(&mut self, paths: &mut [(PathNumber, &mut Entry)], now: Instant) {
        let live = paths.iter().filter(|(_, entry)| entry.is_live()).count();
        let says_down = |number: PathNumber| {
            self.heard
                .is_some_and(|heard| heard.is_down(number.value()))
        };
        for (number, entry) in paths.iter_mut() {
            let others = live - usize::from(entry.is_live());
            entry.handle_company(others == 0);
            entry.handle_word(others > 0 && says_down(*number), now);
        }
        let candidates: Vec<_> = paths
            .iter()
            .map(|(number, entry)| candidate(*number, entry, says_down(*number), now))
            .collect();
        let theirs = self.heard.filter(|_| self.they_decide);
        let theirs = theirs.and_then(|heard| PathNumber::new(heard.site_path));
        self.choice.decide(&candidates, theirs, now);
        self.say(paths, now);
    }

    fn say(&mut self, paths: &mut [(PathNumber, &mut Entry)], now: Instant) {
        let mut word = Word {
            site_path: self.choice.current().map_or(0, PathNumber::value),
            ..Word::default()
        };
        for (number, _) in paths.iter().filter(|(_, entry)| entry.is_down()) {
            word.set_down(number.value());
        }
        if word != self.said {
            self.said = word;
            let live = paths.iter_mut().filter(|(_, entry)| entry.is_live());
            live.for_each(|(_, entry)| entry.handle_news(now));
        }
    }
}

fn candidate(number: PathNumber, entry: &Entry, down_there: bool, now: Instant) -> Candidate {
    let standing = match (entry.is_live(), down_there) {
        (true, false) => Standing::Up,
        (true, true) => Standing::UpHereOnly,
        (false, _) => Standing::Down,
    };
    let health = entry.health();
    let age = health.age(now);
    Candidate {
        rank: Rank {
            standing,
            cost: entry.cost(),
            loss: LossClass::of(health.steady_loss()),
            round_trip: RoundTripClass::of(health.shortest_round_trip()),
            number,
        },
        since: now.checked_sub(age).unwrap_or(now),
    }
}
