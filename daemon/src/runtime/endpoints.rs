//! From a configured endpoint to an address: DNS without holding anybody up, and of several
//! addresses one after the other, until the path is up.

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

    /// What was known of a path's far end holds no longer.
    pub fn forget(&mut self, path: PathId) {
        self.candidates.remove(&path);
    }

    /// The address to try now, of those that an answer has or an earlier one had. `Err`: why
    /// there is none.
    pub fn take(
        &mut self,
        resolved: Resolved,
        reaches: impl Fn(SocketAddr) -> bool,
    ) -> (PathId, Result<SocketAddr, String>) {
        let path = resolved.path;
        self.asked.remove(&path);
        let candidates = self.candidates.entry(path).or_default();
        let mut why = "no address of the endpoint can be reached from the link".to_owned();
        match resolved.addresses {
            Ok(found) => {
                let overlay = &self.overlay;
                let usable = |address: &SocketAddr| is_usable(address.ip(), overlay);
                candidates.learn(found.into_iter().filter(usable));
            }
            Err(error) => why = error,
        }
        (path, candidates.next(reaches).ok_or(why))
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

/// The addresses of one far end, and which of them was tried last.
#[derive(Debug, Default)]
struct Candidates {
    addresses: Vec<SocketAddr>,
    last: Option<SocketAddr>,
}

impl Candidates {
    /// What was known stays when there is nothing better.
    fn learn(&mut self, found: impl Iterator<Item = SocketAddr>) {
        let found: BTreeSet<_> = found.take(MOST).collect();
        if !found.is_empty() {
            self.addresses = found.into_iter().collect();
        }
    }

    /// The one after the last, in a circle.
    fn next(&mut self, reaches: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
        let usable = || self.addresses.iter().filter(|address| reaches(**address));
        let after = usable().find(|address| Some(**address) > self.last);
        let next = after.or_else(|| usable().next()).copied();
        self.last = next.or(self.last);
        next
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

    fn answer(endpoints: &mut Endpoints, found: &[&str]) -> Result<SocketAddr, String> {
        let addresses = Ok(found.iter().map(|text| text.parse().unwrap()).collect());
        let resolved = Resolved {
            path: path(),
            addresses,
        };
        endpoints.take(resolved, |address| address.is_ipv4()).1
    }

    #[test]
    fn of_several_addresses_one_after_the_other_is_tried() {
        let mut endpoints = endpoints();
        let found = [
            "192.0.2.9:1",
            "[2001:db8::1]:1",
            "192.0.2.5:1",
            "192.0.2.5:1",
        ];
        let tried: Vec<_> = (0..4)
            .map(|_| answer(&mut endpoints, &found).unwrap().to_string())
            .collect();
        assert_eq!(
            tried,
            ["192.0.2.5:1", "192.0.2.9:1", "192.0.2.5:1", "192.0.2.9:1"]
        );
    }

    #[test]
    fn an_answer_that_leads_nowhere_leaves_the_last_good_address() {
        let mut endpoints = endpoints();
        assert!(
            answer(
                &mut endpoints,
                &["0.0.0.0:1", "127.0.0.1:1", "10.213.1.1:1"]
            )
            .is_err()
        );
        let good = answer(&mut endpoints, &["192.0.2.9:1", "255.255.255.255:1"]);
        assert_eq!(good.unwrap().to_string(), "192.0.2.9:1");
        for nothing in [&[][..], &["0.0.0.0:1"], &["224.0.0.1:1"]] {
            assert_eq!(
                answer(&mut endpoints, nothing).unwrap().to_string(),
                "192.0.2.9:1"
            );
        }
        let failed = Resolved {
            path: path(),
            addresses: Err("SERVFAIL".into()),
        };
        assert!(endpoints.take(failed, |_| true).1.is_ok());
    }

    #[test]
    fn a_thousand_addresses_are_a_few() {
        let mut endpoints = endpoints();
        let found: Vec<_> = (0..1000)
            .map(|n| format!("192.0.{}.{}:1", n / 250, n % 250))
            .collect();
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        answer(&mut endpoints, &found).unwrap();
        assert_eq!(endpoints.candidates[&path()].addresses.len(), MOST);
    }

    #[test]
    fn a_failure_says_why_while_nothing_is_known() {
        let failed = Resolved {
            path: path(),
            addresses: Err("no such name".into()),
        };
        assert_eq!(
            endpoints().take(failed, |_| true).1,
            Err("no such name".into())
        );
    }
}
