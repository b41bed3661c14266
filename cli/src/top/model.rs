//! What `top` knows and decides. Pure: news and keys go in, [`draw`](super::draw) reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pathweaved::control::{AdminState, PathState, PathStatus, PeerStatus, Status};

use super::history::History;
use crate::flows::{Rates, Seen};

/// So many paths a page.
const PAGE: usize = 10;

/// What the daemon said.
#[derive(Debug)]
pub(super) enum News {
    Look(Box<Look>, Instant),
    /// It did not answer, and why.
    Silence(String),
    /// A wish was not granted, and why.
    Refused(String),
}

#[derive(Debug)]
pub(super) struct Look {
    pub(super) status: Status,
    /// `None`: a daemon that does not tell of connections.
    pub(super) connections: Option<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Previous,
    Following,
    PageBack,
    PageOn,
    TakeDown,
    BringUp,
    Yes,
    No,
    Quit,
}

/// For the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) peer: String,
    pub(super) path: u8,
    pub(super) state: AdminState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Quit,
    Ask(Wish),
}

/// The line above the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Remark {
    #[default]
    Nothing,
    /// The daemon is silent: what is shown is old.
    Silence(String),
    Refused(String),
    /// To be answered before anything else.
    Question(String, Wish),
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) status: Option<Status>,
    pub(super) connections: Option<Seen>,
    pub(super) rates: Rates,
    /// Paths that shall go down, until a look shows that they are no longer up.
    falling: BTreeSet<(String, u8)>,
    histories: BTreeMap<(String, u8), History>,
    /// In the order of the status.
    pub(super) selected: usize,
    pub(super) remark: Remark,
}

impl Model {
    pub(super) fn handle_news(&mut self, news: News) {
        match news {
            News::Look(look, now) => {
                if let Some(seen) = &look.connections {
                    self.rates.take(seen, now);
                }
                self.connections = look.connections;
                self.handle_status(look.status, now);
            }
            News::Silence(why) => self.remark = Remark::Silence(why),
            News::Refused(why) => {
                self.falling.clear();
                self.remark = Remark::Refused(why);
            }
        }
    }

    fn handle_status(&mut self, status: Status, now: Instant) {
        let mut before = std::mem::take(&mut self.histories);
        for (peer, path) in paths(&status) {
            let key = (peer.site.clone(), path.path);
            let mut history = before.remove(&key).unwrap_or_default();
            history.handle_look(path, now);
            if path.state != PathState::Up {
                self.falling.remove(&key);
            }
            self.histories.insert(key, history);
        }
        let last = self.histories.len().saturating_sub(1);
        self.selected = self.selected.min(last);
        self.status = Some(status);
        if matches!(self.remark, Remark::Silence(_)) {
            self.remark = Remark::Nothing;
        }
    }

    pub(super) fn handle_key(&mut self, key: Key) -> Next {
        let remark = std::mem::take(&mut self.remark);
        match (key, remark) {
            (Key::Quit, _) => return Next::Quit,
            (Key::Yes, Remark::Question(_, wish)) => return self.ask(wish),
            // Any other key is a no.
            (_, Remark::Question(..)) => return Next::Stay,
            (_, silence @ Remark::Silence(_)) => {
                self.remark = silence;
                // It would be carried out when nobody thinks of it any more.
                if matches!(key, Key::TakeDown | Key::BringUp) {
                    return Next::Stay;
                }
            }
            (_, Remark::Nothing | Remark::Refused(_)) => {}
        }
        match key {
            Key::Previous => self.select(self.selected.saturating_sub(1)),
            Key::Following => self.select(self.selected + 1),
            Key::PageBack => self.select(self.selected.saturating_sub(PAGE)),
            Key::PageOn => self.select(self.selected + PAGE),
            Key::TakeDown => return self.wish(AdminState::Down),
            Key::BringUp => return self.wish(AdminState::Up),
            Key::Yes | Key::No | Key::Quit => {}
        }
        Next::Stay
    }

    fn select(&mut self, at: usize) {
        self.selected = at.min(self.histories.len().saturating_sub(1));
    }

    /// Taking the last path down is asked about first.
    fn wish(&mut self, state: AdminState) -> Next {
        let Some((peer, path)) = self.status.as_ref().and_then(|status| {
            let mut paths = paths(status);
            paths.nth(self.selected)
        }) else {
            return Next::Stay;
        };
        let wish = Wish {
            peer: peer.site.clone(),
            path: path.path,
            state,
        };
        let is_up = |path: &&PathStatus| {
            let key = (peer.site.clone(), path.path);
            path.state == PathState::Up && !self.falling.contains(&key)
        };
        let is_last = is_up(&path) && peer.paths.iter().filter(is_up).count() == 1;
        if state == AdminState::Down && is_last {
            let question = format!(
                "take path {} down? y/n: it is the last one up to {}, and connections will stand \
                 still",
                path.path, peer.site
            );
            self.remark = Remark::Question(question, wish);
            return Next::Stay;
        }
        self.ask(wish)
    }

    fn ask(&mut self, wish: Wish) -> Next {
        let key = (wish.peer.clone(), wish.path);
        match wish.state {
            AdminState::Down => self.falling.insert(key),
            AdminState::Up => self.falling.remove(&key),
        };
        Next::Ask(wish)
    }

    pub(super) fn history(&self, peer: &PeerStatus, path: &PathStatus) -> Option<&History> {
        self.histories.get(&(peer.site.clone(), path.path))
    }

    /// Of what all paths to the peer carry now; `None` when they carry nothing.
    pub(super) fn share(&self, peer: &PeerStatus, path: &PathStatus) -> Option<f64> {
        let total = |path| self.history(peer, path).map_or(0.0, History::total);
        let all: f64 = peer.paths.iter().map(total).sum();
        (all > 0.0).then(|| total(path) / all)
    }

    /// Sent and received on all paths, in bit/s.
    pub(super) fn totals(&self) -> (f64, f64) {
        let rates = self.histories.values().filter_map(|history| history.rates);
        rates.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

pub(super) fn paths(status: &Status) -> impl Iterator<Item = (&PeerStatus, &PathStatus)> {
    let of_peer = |peer| {
        let peer: &PeerStatus = peer;
        peer.paths.iter().map(move |path| (peer, path))
    };
    status.peers.iter().flat_map(of_peer)
}

#[cfg(test)]
mod tests;
