//! Every open connection keeps exactly one subflow per live path: what the kernel does when a
//! connection begins, and never again. A pure machine, time is an argument.
//!
//! Of one connection and a path that is not live:
//! - its subflow there is abandoned as soon as another one is alive: what lies on it is then sent
//!   again at once, and its slow awakening does not stall the connection later;
//! - else it is left alone, *marked*: the last subflow is what lets a connection survive.
//!
//! Of one that we opened, and a path that is live (the acceptor creates none: nobody listens at
//! the opener's port):
//! - without a subflow it gets one;
//! - with a marked one that does not move (its retransmission timer may sleep for a minute) it
//!   gets a new one first, and loses the marked one when that is established: one path at a time,
//!   for all of them renewed at once lose what the far end had acknowledged (`NoDSSInWindow`);
//! - of several established ones the busiest stays.
//!
//! What fails is tried again after 0.25, 0.5, 1 … 60 s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::names::PathId;
use crate::plan::{Join, PathAddresses, Subflow};

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Between two renewals of one connection.
const RENEW: Duration = Duration::from_secs(1);

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create(Join),
    /// The path is dead: the other subflows shall carry what lies on this one, before all else.
    Abandon(Subflow),
    /// This very socket; the peer is told.
    Destroy(Subflow),
}

/// What healing has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub created: u64,
    pub destroyed: u64,
    pub duplicates: u64,
    /// Joins that came to nothing, by reason.
    pub failed: BTreeMap<String, u64>,
}

/// Where the paths are, and which of them can be used.
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    pub addresses: &'a [PathAddresses],
    pub live: &'a BTreeSet<PathId>,
}

impl Paths<'_> {
    fn of(&self, subflow: &Subflow) -> Option<PathId> {
        let carries = |path: &&PathAddresses| path.carries(subflow.source, subflow.destination);
        self.addresses.iter().find(carries).map(|path| path.path)
    }

    /// Live paths to the peer of `path`.
    fn beside(&self, path: PathId) -> impl Iterator<Item = &PathAddresses> {
        let peer = path.peer;
        self.addresses
            .iter()
            .filter(move |other| other.path.peer == peer && self.live.contains(&other.path))
    }
}

/// A try to open a subflow.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    wait: Duration,
    not_before: Instant,
}

/// How far a marked subflow had come.
type Progress = (u64, u64);
type Token = u32;

#[derive(Debug, Default)]
pub struct Healing {
    marked: BTreeMap<(Token, u16), Progress>,
    attempts: BTreeMap<(Token, PathId), Attempt>,
    renewed: BTreeMap<Token, Instant>,
    pub counts: Counts,
}

/// One connection's subflows, each with its path.
type Members<'a> = Vec<(PathId, &'a Subflow)>;

impl Healing {
    /// All subflows, established or under way → what is to be done. Call it when paths or
    /// connections changed, again soon after it gave something to do, and now and then.
    pub fn look(&mut self, subflows: &[Subflow], paths: Paths<'_>, now: Instant) -> Vec<Action> {
        let mut connections: BTreeMap<Token, Members<'_>> = BTreeMap::new();
        for subflow in subflows.iter().filter(|subflow| subflow.token != 0) {
            if let Some(path) = paths.of(subflow) {
                let members = connections.entry(subflow.token).or_default();
                members.push((path, subflow));
            }
        }
        self.forget(&connections);
        let mut actions = Vec::new();
        for (token, members) in &connections {
            self.mark(members, paths);
            self.leave_dead_paths(members, paths, &mut actions);
            if members.iter().any(|(_, subflow)| subflow.opened_here) {
                self.fill(*token, members, paths, now, &mut actions);
            }
        }
        actions
    }

    /// A connection that this end opened takes joins from now on: `first` is its first subflow.
    pub fn handle_established(
        &mut self,
        first: &Subflow,
        paths: Paths<'_>,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(path) = paths.of(first) {
            self.fill(first.token, &[(path, first)], paths, now, &mut actions);
        }
        actions
    }

    pub fn handle_failure(&mut self, reason: String) {
        *self.counts.failed.entry(reason).or_default() += 1;
    }

    fn forget(&mut self, connections: &BTreeMap<Token, Members<'_>>) {
        let there = |token: &Token| connections.contains_key(token);
        self.attempts.retain(|(token, _), _| there(token));
        self.renewed.retain(|token, _| there(token));
        self.marked.retain(|(token, port), _| {
            let members = connections.get(token);
            members.is_some_and(|all| all.iter().any(|(_, s)| s.source_port == *port))
        });
    }

    /// Marks what hangs on a path that is not live, and takes the mark from what moves again.
    fn mark(&mut self, members: &[(PathId, &Subflow)], paths: Paths<'_>) {
        for (path, subflow) in members {
            let key = (subflow.token, subflow.source_port);
            let progress = (subflow.bytes_acked, subflow.bytes_received);
            if !paths.live.contains(path) {
                self.marked.insert(key, progress);
            } else if self.marked.get(&key).is_some_and(|then| *then != progress) {
                self.marked.remove(&key);
            }
        }
    }

    fn is_marked(&self, subflow: &Subflow) -> bool {
        let key = (subflow.token, subflow.source_port);
        self.marked.contains_key(&key)
    }

    /// Established, and not known to hang.
    fn is_alive(&self, subflow: &Subflow) -> bool {
        subflow.established && !self.is_marked(subflow)
    }

    fn leave_dead_paths(
        &mut self,
        members: &[(PathId, &Subflow)],
        paths: Paths<'_>,
        actions: &mut Vec<Action>,
    ) {
        let alive = |(_, subflow): &(PathId, &Subflow)| self.is_alive(subflow);
        if !members.iter().any(alive) {
            return;
        }
        for (_, subflow) in members
            .iter()
            .filter(|(path, _)| !paths.live.contains(path))
        {
            self.counts.destroyed += 1;
            actions.push(Action::Abandon(**subflow));
        }
    }

    /// Sees to one subflow on each live path of a connection that we opened.
    fn fill(
        &mut self,
        token: Token,
        members: &[(PathId, &Subflow)],
        paths: Paths<'_>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let takes_joins = members.iter().any(|(_, subflow)| subflow.takes_joins);
        let Some((first, model)) = members.first().filter(|_| takes_joins) else {
            return;
        };
        for path in paths.beside(*first) {
            let on_path = members.iter().filter(|(id, _)| *id == path.path);
            let (marked, good): (Vec<&Subflow>, Vec<&Subflow>) = on_path
                .map(|(_, subflow)| *subflow)
                .partition(|subflow| self.is_marked(subflow));
            if good.is_empty() {
                if !marked.is_empty() && !self.may_renew(token, members, now) {
                    continue;
                }
                let join = path
                    .end_towards(model.destination)
                    .map(|(source, id)| Join {
                        token,
                        source,
                        id,
                        destination: model.destination,
                        port: model.destination_port,
                    });
                if let Some(join) = join.filter(|_| self.may_try(token, path.path, now)) {
                    actions.push(Action::Create(join));
                }
            } else if good.iter().any(|subflow| subflow.established) {
                self.attempts.remove(&(token, path.path));
                self.thin_out(&good, &marked, actions);
            }
        }
    }

    /// One established subflow of a path stays, the busiest.
    fn thin_out(&mut self, good: &[&Subflow], marked: &[&Subflow], actions: &mut Vec<Action>) {
        let established = good.iter().filter(|subflow| subflow.established);
        let moved = |subflow: &&&Subflow| subflow.bytes_acked + subflow.bytes_received;
        let stays = established.clone().max_by_key(moved);
        for subflow in established.filter(|subflow| Some(*subflow) != stays) {
            self.counts.duplicates += 1;
            actions.push(Action::Destroy(**subflow));
        }
        for subflow in marked {
            self.counts.destroyed += 1;
            actions.push(Action::Destroy(**subflow));
        }
    }

    /// One after the other, and not while another one is under way.
    fn may_renew(&mut self, token: Token, members: &[(PathId, &Subflow)], now: Instant) -> bool {
        let under_way = members.iter().any(|(_, subflow)| !subflow.established);
        let renewed = self.renewed.get(&token);
        let waits = renewed.is_some_and(|at| now.saturating_duration_since(*at) < RENEW);
        if under_way || waits {
            return false;
        }
        self.renewed.insert(token, now);
        true
    }

    /// Counts the try, and when it may be repeated if nothing comes of it.
    fn may_try(&mut self, token: Token, path: PathId, now: Instant) -> bool {
        let before = self.attempts.get(&(token, path)).copied();
        if before.is_some_and(|before| now < before.not_before) {
            return false;
        }
        if before.is_some() {
            self.handle_failure("the join was not answered, or refused".to_owned());
        }
        let wait = before.map_or(FIRST_WAIT, |before| (before.wait * 2).min(LONGEST_WAIT));
        let attempt = Attempt {
            wait,
            not_before: now + wait,
        };
        self.attempts.insert((token, path), attempt);
        self.counts.created += 1;
        true
    }
}

#[cfg(test)]
mod tests;
