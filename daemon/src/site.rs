//! The deciding machine, one per daemon: which paths are usable, what to say on them, when to
//! shake hands. Pure: the supervisor feeds it and carries out what it asks for.
//!
//! Doors: `handle_*` in; then drain `poll_action`; sleep until `poll_timeout`. After any of them
//! [`Site::uses`] and [`Site::site_paths`] are what the kernel's plan should be built from.

mod choice;
mod entry;
mod flows;
mod meeting;
mod reason;
mod report;
mod sizing;
mod talk;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::change::{Changes, Fate};
use crate::config::View;
use crate::control::{AdminState, PathState};
use crate::harm::Condition;
use crate::names::{PathId, PathNumber, SiteId};
use crate::packet::sighting::Sighting;
use crate::plan::PathUse;

use entry::Entry;
pub use entry::{Obstacle, Traffic};
use meeting::Meeting;
pub use meeting::{Caller, Whom};
pub use report::PathFacts;
use talk::Talk;

/// What the supervisor shall do for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Seal this inner packet and send it on the path.
    Send { path: PathId, packet: Vec<u8> },
    /// Send a handshake initiation, also when one is under way.
    StartHandshake { path: PathId },
    /// Let no inner packet be larger from now on; or let them be as large again.
    SetMtu { path: PathId, mtu: u16 },
    /// The far end was seen there: the path's next handshake goes there.
    Dial { path: PathId, at: SocketAddr },
    /// Knock from the path's link, about the path at the peer's door or about the link at our own.
    Knock {
        path: PathId,
        at: SocketAddr,
        whom: Whom,
    },
}

/// A request named a path that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPath {
    #[error("no site is called {asked:?}; this site's peers are: {known}")]
    Peer { asked: String, known: String },
    #[error("{peer} has no path {asked}; its paths are 1 to {last}")]
    Number {
        peer: String,
        asked: u8,
        last: usize,
    },
}

#[derive(Debug)]
pub struct Site {
    view: View,
    paths: BTreeMap<PathId, Entry>,
    talks: BTreeMap<SiteId, Talk>,
    meeting: Meeting,
    /// What this machine takes the year for, if that cannot be.
    wrong_year: Option<u64>,
    /// When the machine was last told the time.
    now: Instant,
}

impl Site {
    pub fn new(view: View, now: Instant) -> Self {
        let paths = view
            .paths()
            .map(|(peer, path)| (path.id, Entry::new(&view, peer, path, now)))
            .collect();
        let ours = view.site.id;
        let theirs = view.peers.iter().map(|peer| peer.site.id);
        let talks = theirs
            .map(|theirs| (theirs, Talk::new(ours, theirs, now)))
            .collect();
        Self {
            meeting: Meeting::new(&view, now),
            wrong_year: None,
            view,
            paths,
            talks,
            now,
        }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// Goes on with a new view: paths that are kept do not notice.
    pub fn change(&mut self, view: View, changes: &Changes, now: Instant) {
        let mut old = std::mem::take(&mut self.paths);
        for (peer, path) in view.paths() {
            let before = old.remove(&path.id);
            let is_kept = changes.fates.get(&path.id) == Some(&Fate::Kept);
            let entry = match before {
                Some(entry) if is_kept => entry.follow(&view, peer, path),
                Some(entry) => Entry::new(&view, peer, path, now).instead_of(&entry, now),
                None => Entry::new(&view, peer, path, now),
            };
            self.paths.insert(path.id, entry);
        }
        self.talks.retain(|peer, _| view.peer(*peer).is_some());
        for peer in view.peers.iter().map(|peer| peer.site.id) {
            let talk = || Talk::new(view.site.id, peer, now);
            self.talks.entry(peer).or_insert_with(talk);
        }
        self.meeting = Meeting::new(&view, now);
        self.view = view;
        let peers: Vec<_> = self.talks.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.settle(peer, now));
    }

    /// Paths that a former daemon left in use are used further, until they turn out to be dead;
    /// `carries` are those that carry the site addresses.
    pub fn adopt(&mut self, paths: &BTreeSet<PathId>, carries: &BTreeMap<SiteId, PathNumber>) {
        for path in paths {
            if let Some(entry) = self.paths.get_mut(path) {
                entry.adopt(self.now);
            }
        }
        for (peer, path) in carries {
            if let Some(talk) = self.talks.get_mut(peer) {
                talk.adopt(*path, self.now);
            }
        }
    }

    /// What the data plane counted on a path since it was made.
    pub fn handle_traffic(&mut self, path: PathId, traffic: Traffic, now: Instant) {
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.handle_traffic(traffic, now);
        }
        self.settle(path.peer, now);
    }

    /// An inner packet that the data plane took out of a path's tunnel: a probe, an echo, or what
    /// the peer tells of another path.
    pub fn handle_control(&mut self, path: PathId, packet: &[u8], now: Instant) {
        if let Some(sighting) = Sighting::from_packet(packet) {
            self.handle_sighting(path.peer, sighting, now);
            return;
        }
        let entry = self.paths.get_mut(&path);
        let word = entry.and_then(|entry| entry.handle_control(packet, now));
        if let (Some(word), Some(talk)) = (word, self.talks.get_mut(&path.peer)) {
            talk.handle_word(word);
        }
        self.settle(path.peer, now);
    }

    /// Somebody proved who it is, and was seen at `source`: see `meeting`.
    pub fn handle_knock(&mut self, caller: Caller, about: u8, source: SocketAddr, now: Instant) {
        match caller {
            Caller::Ourselves => {
                let link = usize::from(about);
                self.meeting.handle_own_knock(link, source, &self.paths);
            }
            Caller::Peer(peer) => {
                if let Some(number) = PathNumber::new(about) {
                    let path = PathId { peer, number };
                    self.meeting
                        .handle_knock(path, source, &mut self.paths, now);
                }
            }
        }
    }

    fn handle_sighting(&mut self, peer: SiteId, sighting: Sighting, now: Instant) {
        if let Some(number) = PathNumber::new(sighting.path) {
            let path = PathId { peer, number };
            let entry = self.paths.get_mut(&path);
            self.meeting.handle_sighting(path, sighting, entry, now);
        }
    }

    /// What keeps a path from working at this end; `None` when nothing does.
    pub fn handle_obstacle(&mut self, path: PathId, obstacle: Option<Obstacle>, now: Instant) {
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.handle_obstacle(obstacle, now);
        }
        self.settle(path.peer, now);
    }

    /// It is known now where a path's far end is: what was to be said before was not sent.
    pub fn handle_endpoint(&mut self, path: PathId, now: Instant) {
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.handle_endpoint(now);
        }
    }

    /// The year that this machine's clock says, if it cannot be.
    pub fn handle_wrong_clock(&mut self, year: Option<u64>) {
        self.wrong_year = year;
    }

    pub fn handle_admin(&mut self, path: PathId, wish: AdminState, now: Instant) {
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.handle_admin(wish, now);
        }
        self.settle(path.peer, now);
    }

    /// The next thing to do at `now`; call until `None`.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.next_action(now).or_else(|| {
            let peers: Vec<_> = self.talks.keys().copied().collect();
            peers.into_iter().for_each(|peer| self.settle(peer, now));
            self.next_action(now)
        })
    }

    /// When the machine wants to look again, and which path wants it.
    pub fn poll_timeout(&self) -> Option<(Instant, PathId)> {
        self.paths
            .iter()
            .map(|(path, entry)| (entry.poll_timeout(), *path))
            .min()
    }

    /// What the kernel may use each path for.
    pub fn uses(&self) -> BTreeMap<PathId, PathUse> {
        self.paths
            .iter()
            .map(|(path, entry)| (*path, entry.path_use()))
            .collect()
    }

    /// How the live paths to each peer are.
    pub fn conditions(&self, now: Instant) -> BTreeMap<SiteId, Vec<Condition>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, entry) in self.paths.iter().filter(|(_, entry)| entry.is_live()) {
            let health = entry.health();
            found.entry(path.peer).or_default().push(Condition {
                path: path.number,
                round_trip: health.shortest_round_trip(),
                loss: health.loss_there().or(health.loss()).unwrap_or(0.0),
                silent: health.is_silent(now),
            });
        }
        found
    }

    /// Why a path is not up; `None` when it is.
    pub fn reason(&self, path: PathId) -> Option<String> {
        self.state(path)?.1
    }

    fn state(&self, path: PathId) -> Option<(PathState, Option<String>)> {
        let entry = self.paths.get(&path)?;
        let (state, why) = entry.state(self.now);
        let better = if entry.waits_to_be_dialled() {
            self.meeting.reason(path, &self.view, &self.paths)
        } else {
            let year = self.wrong_year.filter(|_| entry.waits_for_handshake());
            year.map(reason::wrong_clock)
        };
        Some((state, better.or(why)))
    }

    /// For each peer that can be reached, the path that carries the site addresses.
    pub fn site_paths(&self) -> BTreeMap<SiteId, PathNumber> {
        self.talks
            .iter()
            .filter_map(|(peer, talk)| Some((*peer, talk.site_path()?)))
            .collect()
    }

    fn next_action(&mut self, now: Instant) -> Option<Action> {
        let meeting = self.meeting.poll_action(&self.view, &self.paths, now);
        if meeting.is_some() {
            return meeting;
        }
        self.paths.iter_mut().find_map(|(path, entry)| {
            let word = self.talks.get(&path.peer).map(|talk| talk.word(now));
            entry.poll_action(*path, word, now)
        })
    }

    /// What one path says may change what is thought of the others.
    fn settle(&mut self, peer: SiteId, now: Instant) {
        self.now = self.now.max(now);
        if let Some(talk) = self.talks.get_mut(&peer) {
            let path = |number| PathId { peer, number };
            let all = path(PathNumber::FIRST)..=path(PathNumber::LAST);
            let paths = self.paths.range_mut(all);
            let mut paths: Vec<_> = paths.map(|(id, entry)| (id.number, entry)).collect();
            talk.settle(&mut paths, now);
        }
    }

    /// The path that a person named.
    pub fn find(&self, peer: &str, number: u8) -> Result<PathId, UnknownPath> {
        let names = || {
            self.view
                .peers
                .iter()
                .map(|peer| peer.site.name.to_string())
        };
        let found = self
            .view
            .peers
            .iter()
            .find(|candidate| candidate.site.name.as_str() == peer);
        let Some(found) = found else {
            let known = names().collect::<Vec<_>>().join(", ");
            return Err(UnknownPath::Peer {
                asked: peer.to_owned(),
                known,
            });
        };
        let path = found
            .paths
            .iter()
            .find(|path| path.id.number.value() == number);
        path.map(|path| path.id).ok_or_else(|| UnknownPath::Number {
            peer: peer.to_owned(),
            asked: number,
            last: found.paths.len(),
        })
    }
}

#[cfg(test)]
mod tests;
