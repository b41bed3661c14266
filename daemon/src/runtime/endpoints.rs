//! From a configured endpoint to an address: DNS without holding anybody up, and of several
//! addresses one after the other, in turns of both families, until the path is up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnetwork::IpNetwork;
use tokio::sync::mpsc;

use crate::config::{Endpoint, Host};
use crate::names::PathId;

/// Addresses of one name that are tried; a name server may tell thousands.
const MOST: usize = 16;
/// A name server that has not answered by then is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWERS: usize = 64;

/// What became of a look-up.
#[derive(Debug)]
pub struct Resolved {
    pub path: PathId,
    addresses: Result<Vec<SocketAddr>, String>,
}

/// The look-ups of all paths.
#[derive(Debug)]
pub struct Endpoints {
    overlay: Vec<IpNetwork>,
    answers: mpsc::Sender<Resolved>,
    /// Whose name server was asked and has not answered: nobody is asked twice at once.
    asked: BTreeSet<PathId>,
    candidates: BTreeMap<PathId, Candidates>,
}

impl Endpoints {
    /// Answers come out of the receiver, and are to be given to [`Endpoints::take`].
    pub fn new(overlay: impl Iterator<Item = IpNetwork>) -> (Self, mpsc::Receiver<Resolved>) {
        let (answers, receiver) = mpsc::channel(ANSWERS);
        let endpoints = Self {
            overlay: overlay.collect(),
            answers,
            asked: BTreeSet::new(),
            candidates: BTreeMap::new(),
        };
        (endpoints, receiver)
    }

    /// Asks for the addresses of a path's far end.
    pub fn resolve(&mut self, path: PathId, endpoint: &Endpoint) {
        if !self.asked.insert(path) {
            return;
        }
        let (answers, port) = (self.answers.clone(), endpoint.port);
        match endpoint.host.clone() {
            Host::Address(address) => {
                let addresses = Ok(vec![SocketAddr::new(address, port)]);
                if answers.try_send(Resolved { path, addresses }).is_err() {
                    self.asked.remove(&path);
                }
            }
            Host::Name(name) => {
                tokio::spawn(async move {
                    let addresses = look_up(&name, port).await;
                    // The supervisor is gone only at the very end.
                    drop(answers.send(Resolved { path, addresses }).await);
                });
            }
        }
    }

    /// A far end may be there at all.
    pub fn is_usable(&self, address: SocketAddr) -> bool {
        is_usable(address.ip(), &self.overlay)
    }

    /// What was known of a path's far end holds no longer.
    pub fn forget(&mut self, path: PathId) {
        let candidates = Candidates {
            forgotten: true,
            ..Candidates::default()
        };
        self.candidates.insert(path, candidates);
    }

    /// Learns what an answer says. `true`: one that was waited for, because what was known before
    /// holds no longer. `Err`: why there is nothing to learn.
    pub fn take(&mut self, resolved: Resolved) -> (PathId, Result<bool, String>) {
        let path = resolved.path;
        self.asked.remove(&path);
        let found = match resolved.addresses {
            Ok(found) => found,
            Err(error) => return (path, Err(error)),
        };
        let is_usable = |address: &&SocketAddr| self.is_usable(**address);
        let usable: BTreeSet<_> = found.iter().filter(is_usable).take(MOST).copied().collect();
        if usable.is_empty() {
            return (path, Err(leads_nowhere(&found)));
        }
        let candidates = self.candidates.entry(path).or_default();
        candidates.addresses = usable;
        (path, Ok(std::mem::take(&mut candidates.forgotten)))
    }

    /// The path's far end is at this address, or was seen there: it is the next to be tried.
    pub fn handle_sighting(&mut self, path: PathId, remote: SocketAddr) {
        let candidates = self.candidates.entry(path).or_default();
        if !candidates.forgotten {
            candidates.see(remote);
        }
    }

    /// The address to try now, of those that are known. `current`: where the path sends to; it
    /// follows the far end by itself.
    pub fn next(
        &mut self,
        path: PathId,
        current: Option<SocketAddr>,
        reaches: impl Fn(SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let candidates = self.candidates.get_mut(&path)?;
        let moved = current.filter(|_| current != candidates.aimed && !candidates.forgotten);
        if let Some(remote) = moved {
            candidates.see(remote);
        }
        candidates.next(reaches)
    }
}

/// Names servers of hotels and of half-configured routers say such things.
fn leads_nowhere(found: &[SocketAddr]) -> String {
    let told: Vec<_> = found.iter().take(3).map(|at| at.ip().to_string()).collect();
    match told.as_slice() {
        [] => "the endpoint's name has no address".to_owned(),
        told => format!(
            "nobody can be at the endpoint's address: {}",
            told.join(", ")
        ),
    }
}

async fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let asking = tokio::net::lookup_host((name, port));
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("{name} cannot be resolved: {error}")),
        Err(_) => Err(format!(
            "{name} cannot be resolved: the name server does not answer"
        )),
    }
}

/// Where a far end can be at all. An address of the overlay would lead the tunnel into itself.
fn is_usable(address: IpAddr, overlay: &[IpNetwork]) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && !broadcast
        && !overlay.iter().any(|network| network.contains(address))
}

/// The addresses of one far end.
#[derive(Debug, Default)]
struct Candidates {
    /// The last answer that led anywhere.
    addresses: BTreeSet<SocketAddr>,
    /// Where it was last.
    seen: Option<SocketAddr>,
    /// How many were tried since.
    tried: usize,
    /// The one that was tried last.
    aimed: Option<SocketAddr>,
    /// It is being looked up anew; where it is now does not count.
    forgotten: bool,
}

impl Candidates {
    /// One after the other, in a circle.
    fn next(&mut self, reaches: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
        let mut order = self.order();
        order.retain(|address| reaches(*address));
        let next = order.get(self.tried.checked_rem(order.len())?).copied();
        self.tried = self.tried.wrapping_add(1);
        self.aimed = next;
        next
    }

    fn see(&mut self, remote: SocketAddr) {
        (self.seen, self.tried, self.aimed) = (Some(remote), 0, Some(remote));
    }

    /// Where it was last, then the two families in turns (RFC 8305 section 4): where one of them
    /// is dead, the other is tried next, however many addresses there are.
    fn order(&self) -> Vec<SocketAddr> {
        let Some(first) = self.seen.or(self.addresses.first().copied()) else {
            return Vec::new();
        };
        let others = self.addresses.iter().filter(|address| **address != first);
        let (alike, others): (Vec<SocketAddr>, Vec<_>) =
            others.partition(|address| address.is_ipv6() == first.is_ipv6());
        let mut order = vec![first];
        for place in 0..alike.len().max(others.len()) {
            order.extend(others.get(place));
            order.extend(alike.get(place));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{PathNumber, SiteId};

    fn path() -> PathId {
        let (peer, number) = (SiteId::new(2).unwrap(), PathNumber::new(1).unwrap());
        PathId { peer, number }
    }

    fn endpoints() -> Endpoints {
        Endpoints::new(["10.213.0.0/16".parse().unwrap()].into_iter()).0
    }

    fn answer(endpoints: &mut Endpoints, found: &[&str]) -> Option<String> {
        let addresses = Ok(found.iter().map(|text| text.parse().unwrap()).collect());
        let resolved = Resolved {
            path: path(),
            addresses,
        };
        endpoints.take(resolved).1.err()
    }

    fn tries(endpoints: &mut Endpoints, count: usize) -> Vec<String> {
        let mut next = || endpoints.next(path(), None, |_| true);
        let tried = (0..count).filter_map(|_| next());
        tried.map(|at| at.to_string()).collect()
    }

    #[test]
    fn of_several_addresses_one_after_the_other_is_tried_that_the_link_reaches() {
        let mut endpoints = endpoints();
        let found = [
            "192.0.2.9:1",
            "[2001:db8::1]:1",
            "192.0.2.5:1",
            "192.0.2.5:1",
        ];
        let mut tried = Vec::new();
        for _ in 0..4 {
            assert_eq!(answer(&mut endpoints, &found), None);
            let next = endpoints.next(path(), None, |address| address.is_ipv4());
            tried.push(next.unwrap().to_string());
        }
        assert_eq!(
            tried,
            ["192.0.2.5:1", "192.0.2.9:1", "192.0.2.5:1", "192.0.2.9:1"]
        );
        assert_eq!(endpoints.next(path(), None, |_| false), None);
    }

    #[test]
    fn where_it_was_last_is_tried_first_and_the_other_family_next() {
        let mut endpoints = endpoints();
        let found = [
            "192.0.2.1:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
            "[2001:db8::1]:1",
        ];
        answer(&mut endpoints, &found);
        let in_turns = [
            "192.0.2.1:1",
            "[2001:db8::1]:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
        ];
        assert_eq!(tries(&mut endpoints, 4), in_turns);
        endpoints.handle_sighting(path(), "[2001:db8::1]:1".parse().unwrap());
        assert_eq!(
            tries(&mut endpoints, 3),
            ["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1"]
        );
        // It moved while the path was up, and no name knows yet.
        endpoints.handle_sighting(path(), "192.0.2.77:4444".parse().unwrap());
        assert_eq!(
            tries(&mut endpoints, 3),
            ["192.0.2.77:4444", "[2001:db8::1]:1", "192.0.2.1:1"]
        );
    }

    #[test]
    fn a_far_end_that_moved_is_not_sought_where_it_was_before() {
        let mut endpoints = endpoints();
        let [old, new] = ["192.0.2.1:1", "192.0.2.1:2"].map(|at| at.parse().ok());
        endpoints.handle_sighting(path(), old.unwrap());
        assert_eq!(endpoints.next(path(), old, |_| true), old);
        assert_eq!(
            endpoints.next(path(), new, |_| true),
            new,
            "its data came from there"
        );
        assert_eq!(endpoints.next(path(), new, |_| true), new);
    }

    #[test]
    fn when_the_file_says_another_place_where_it_was_does_not_count() {
        let mut endpoints = endpoints();
        answer(&mut endpoints, &["192.0.2.1:1"]);
        endpoints.forget(path());
        endpoints.handle_sighting(path(), "192.0.2.1:1".parse().unwrap());
        assert_eq!(tries(&mut endpoints, 1), Vec::<String>::new());
        let resolved = |at: &str| Resolved {
            path: path(),
            addresses: Ok(vec![at.parse().unwrap()]),
        };
        assert_eq!(endpoints.take(resolved("192.0.2.7:1")).1, Ok(true));
        assert_eq!(endpoints.take(resolved("192.0.2.7:1")).1, Ok(false));
        assert_eq!(tries(&mut endpoints, 1), ["192.0.2.7:1"]);
    }

    #[test]
    fn an_answer_that_leads_nowhere_leaves_the_last_good_address_and_says_why() {
        let mut endpoints = endpoints();
        let lies = ["0.0.0.0:1", "127.0.0.1:1", "10.213.1.1:1"];
        assert_eq!(
            answer(&mut endpoints, &lies).as_deref(),
            Some("nobody can be at the endpoint's address: 0.0.0.0, 127.0.0.1, 10.213.1.1")
        );
        assert_eq!(tries(&mut endpoints, 1), Vec::<String>::new());
        let good = answer(&mut endpoints, &["192.0.2.9:1", "255.255.255.255:1"]);
        assert_eq!(good, None);
        for nothing in [&[][..], &["0.0.0.0:1"], &["224.0.0.1:1"], &["[::]:1"]] {
            assert!(answer(&mut endpoints, nothing).is_some());
            assert_eq!(tries(&mut endpoints, 1), ["192.0.2.9:1"]);
        }
        let failed = Resolved {
            path: path(),
            addresses: Err("SERVFAIL".into()),
        };
        assert_eq!(endpoints.take(failed).1, Err("SERVFAIL".into()));
        assert_eq!(tries(&mut endpoints, 1), ["192.0.2.9:1"]);
    }

    #[test]
    fn a_thousand_addresses_are_a_few() {
        let mut endpoints = endpoints();
        let found: Vec<_> = (0..1000)
            .map(|n| format!("192.0.{}.{}:1", n / 250, n % 250))
            .collect();
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(answer(&mut endpoints, &found), None);
        assert_eq!(endpoints.candidates[&path()].addresses.len(), MOST);
    }
}
