//! Two links that are both behind NAT meet: neither has an endpoint that the other could dial, so
//! the two sites tell each other over a path that is up where each of them is seen.
//!
//! From such a link a site *knocks* (the data plane's `knock`) at the endpoints that living paths
//! to the peer have: at the peer's, which sees where the knock comes from, dials there and says so;
//! and at its own, by which it learns itself where it is seen, and says so. Who hears either dials
//! at once. The first datagram of each opens its own NAT, the next of the other comes through.
//! This is ICE with the sites as STUN servers (RFC 8445 section 2). It needs NATs that keep a
//! link's port whatever the destination (endpoint-independent mapping, RFC 4787 section 4.1).
//!
//! What is said here is a place to dial and nothing more: one initiation a second at most, and as
//! ever a path's far end is where an answer to it comes from.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::{Path, Peer, SiteKind, View};
use crate::names::{PathId, SiteId};
use crate::packet::sighting::{Sighting, Whose};

use super::Action;
use super::entry::Entry;

/// How often one knocks for a path that is not up.
const KNOCK: Duration = Duration::from_secs(5);
/// While there is no door, whether there is one now.
const LOOK: Duration = Duration::from_secs(1);
/// What a peer says makes us dial no oftener than this.
const DIAL: Duration = Duration::from_secs(1);
/// Doors at each site that one knocks at.
const DOORS: usize = 2;

/// Whose door a knock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Peer,
    Ourselves,
}

/// Who knocked, as it proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// About the path of this number.
    Peer(SiteId),
    /// About the link at this place.
    Ourselves,
}

#[derive(Debug)]
pub(super) struct Meeting {
    next: Instant,
    /// Where our links are seen at our own doors, by their place.
    outer: BTreeMap<usize, SocketAddr>,
    /// Our doors: where a peer sees our end of a path whose link has an endpoint.
    doors: BTreeMap<PathId, SocketAddr>,
    secluded: BTreeMap<PathId, Secluded>,
    actions: VecDeque<Action>,
}

/// A path between two links without endpoints.
#[derive(Debug, Default)]
struct Secluded {
    /// Our link's place.
    link: usize,
    /// Where the far end was seen last.
    theirs: Option<SocketAddr>,
    /// Where the peer sees our end.
    ours: Option<SocketAddr>,
    dialled: Option<Instant>,
}

type Paths<'a> = &'a BTreeMap<PathId, Entry>;

impl Meeting {
    pub(super) fn new(view: &View, now: Instant) -> Self {
        let mut secluded = BTreeMap::new();
        for (peer, path) in view.paths() {
            let open = has_endpoint(view, path) || peer_has_endpoint(peer, path);
            if peer.site.kind == SiteKind::Pathweave && !open {
                let link = path.link;
                let alone = Secluded {
                    link,
                    ..Secluded::default()
                };
                secluded.insert(path.id, alone);
            }
        }
        Self {
            next: now,
            outer: BTreeMap::new(),
            doors: BTreeMap::new(),
            secluded,
            actions: VecDeque::new(),
        }
    }

    /// What the peer says over a path that is up.
    pub(super) fn handle_sighting(
        &mut self,
        path: PathId,
        sighting: Sighting,
        entry: Option<&mut Entry>,
        now: Instant,
    ) {
        match (self.secluded.get_mut(&path), sighting.whose) {
            (Some(secluded), Whose::Mine) => secluded.theirs = Some(sighting.at),
            (Some(secluded), Whose::Yours) => secluded.ours = Some(sighting.at),
            (None, Whose::Yours) if entry.is_some() => {
                if self.doors.insert(path, sighting.at).is_none() {
                    self.next = now;
                }
            }
            (None, Whose::Yours | Whose::Mine) => {}
        }
        self.dial(path, entry, now);
    }

    /// The peer knocked about a path of ours.
    pub(super) fn handle_knock(
        &mut self,
        path: PathId,
        source: SocketAddr,
        paths: &mut BTreeMap<PathId, Entry>,
        now: Instant,
    ) {
        let Some(secluded) = self.secluded.get_mut(&path) else {
            return;
        };
        secluded.theirs = Some(source);
        let outer = self.outer.get(&secluded.link).copied();
        self.dial(path, paths.get_mut(&path), now);
        self.say(path, Whose::Yours, source, paths);
        if let Some(outer) = outer {
            self.say(path, Whose::Mine, outer, paths);
        }
    }

    /// We knocked at our own door.
    pub(super) fn handle_own_knock(&mut self, link: usize, source: SocketAddr, paths: Paths<'_>) {
        let on_link = self.secluded.iter().filter(|(_, path)| path.link == link);
        let waiting: Vec<_> = on_link
            .map(|(path, _)| *path)
            .filter(|path| paths.get(path).is_some_and(Entry::may_be_dialled))
            .collect();
        if !waiting.is_empty() {
            self.outer.insert(link, source);
        }
        for path in waiting {
            self.say(path, Whose::Mine, source, paths);
        }
    }

    pub(super) fn poll_action(
        &mut self,
        view: &View,
        paths: Paths<'_>,
        now: Instant,
    ) -> Option<Action> {
        if self.next <= now && !self.secluded.is_empty() {
            for peer in &view.peers {
                self.knock(view, peer, paths);
            }
            let idle = self.actions.is_empty();
            self.next = now + if idle { LOOK } else { KNOCK };
        }
        self.actions.pop_front()
    }

    /// Why a path between two links without endpoints is not up.
    pub(super) fn reason(&self, path: PathId, view: &View, paths: Paths<'_>) -> Option<String> {
        let secluded = self.secluded.get(&path)?;
        let peer = view.peer(path.peer)?;
        let described = peer.paths.iter().find(|found| found.id == path)?;
        let link = &view.site.links.get(described.link)?.name;
        let remote = &peer.site.links.get(described.remote_link)?.name;
        let neither = format!("neither {link} here nor {remote} there has an endpoint");
        let outer = self.outer.get(&secluded.link);
        let differ = |(outer, ours): &(&SocketAddr, SocketAddr)| {
            outer.is_ipv4() == ours.is_ipv4() && **outer != *ours
        };
        let fickle = outer.zip(secluded.ours).filter(differ);
        let is_met = living(peer, paths).next().is_some();
        Some(match (is_met, fickle, secluded.theirs) {
            (false, _, _) => {
                format!(
                    "{neither}: they meet once another path to {} is up",
                    peer.site.name
                )
            }
            (true, Some((outer, ours)), _) => format!(
                "{neither}, and the NAT before {link} gives each destination another port \
                 ({outer}, {ours}): such links cannot meet"
            ),
            (true, None, None) => format!(
                "{neither}: it is being found out where they are seen, at the endpoints of paths \
                 that are up"
            ),
            (true, None, Some(theirs)) => format!(
                "{neither}; dialling {theirs}, where {remote} is seen: no answer (a NAT that gives \
                 each destination another port cannot be met)"
            ),
        })
    }

    /// Tells the peer where its doors are, and knocks at all for the paths that are not up.
    fn knock(&mut self, view: &View, peer: &Peer, paths: Paths<'_>) {
        let secluded = peer.paths.iter().filter(|path| {
            let waits = || paths.get(&path.id).is_some_and(Entry::may_be_dialled);
            self.secluded.contains_key(&path.id) && waits()
        });
        let waiting: Vec<_> = secluded.map(|path| path.id).collect();
        if waiting.is_empty() {
            return;
        }
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for (path, entry) in living(peer, paths) {
            if let Some(remote) = entry.remote().filter(|_| peer_has_endpoint(peer, path)) {
                theirs.push(remote);
                self.actions
                    .extend(sighting(path.id, Whose::Yours, remote, path.id, entry));
            }
            if has_endpoint(view, path) {
                ours.extend(self.doors.get(&path.id));
            }
        }
        for path in waiting {
            let at = |whom| {
                move |at: &SocketAddr| Action::Knock {
                    path,
                    at: *at,
                    whom,
                }
            };
            self.actions
                .extend(theirs.iter().take(DOORS).map(at(Whom::Peer)));
            self.actions
                .extend(ours.iter().take(DOORS).map(at(Whom::Ourselves)));
        }
    }

    /// To where the far end of a path that is not up was seen.
    fn dial(&mut self, path: PathId, entry: Option<&mut Entry>, now: Instant) {
        let Some(secluded) = self.secluded.get_mut(&path) else {
            return;
        };
        let lately = |at| now.saturating_duration_since(at) < DIAL;
        let (Some(at), false) = (secluded.theirs, secluded.dialled.is_some_and(lately)) else {
            return;
        };
        if let Some(entry) = entry.filter(|entry| entry.may_be_dialled()) {
            secluded.dialled = Some(now);
            entry.handle_endpoint(now);
            self.actions.push_back(Action::Dial { path, at });
        }
    }

    /// Over the first path to the peer that is up.
    fn say(&mut self, about: PathId, whose: Whose, at: SocketAddr, paths: Paths<'_>) {
        let mut live = paths
            .iter()
            .filter(|(path, entry)| path.peer == about.peer && entry.is_live());
        if let Some((path, entry)) = live.next() {
            self.actions
                .extend(sighting(about, whose, at, *path, entry));
        }
    }
}

fn sighting(
    about: PathId,
    whose: Whose,
    at: SocketAddr,
    over: PathId,
    entry: &Entry,
) -> Option<Action> {
    let (source, destination) = entry.ends()?;
    let path = about.number.value();
    let packet = Sighting { whose, path, at }.to_packet(source, destination)?;
    Some(Action::Send { path: over, packet })
}

fn living<'a>(peer: &'a Peer, paths: Paths<'a>) -> impl Iterator<Item = (&'a Path, &'a Entry)> {
    let entries = peer
        .paths
        .iter()
        .filter_map(|path| Some((path, paths.get(&path.id)?)));
    entries.filter(|(_, entry)| entry.is_live())
}

fn has_endpoint(view: &View, path: &Path) -> bool {
    let link = view.site.links.get(path.link);
    link.is_some_and(|link| link.endpoint.is_some())
}

fn peer_has_endpoint(peer: &Peer, path: &Path) -> bool {
    let link = peer.site.links.get(path.remote_link);
    link.is_some_and(|link| link.endpoint.is_some())
}
