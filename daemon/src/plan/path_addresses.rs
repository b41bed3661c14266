//! Which subflows travel on a path, told by what opener and acceptor use as addresses.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::config::{Path, Peer, View};
use crate::names::{PathId, PathNumber};

/// Recognises the subflows of one path.
#[derive(Clone, Debug)]
pub struct PathAddresses {
    pub path: PathId,
    ends: Vec<Ends>,
    /// Behind the peer: reached like its site address.
    subnets: Vec<IpNetwork>,
}

/// One family's addresses of a path.
#[derive(Clone, Copy, Debug)]
struct Ends {
    own: IpAddr,
    own_site: IpAddr,
    theirs: IpAddr,
    their_site: IpAddr,
}

impl PathAddresses {
    /// Those of every path of the site.
    pub fn of(view: &View) -> Vec<Self> {
        view.paths()
            .map(|(peer, path)| Self::new(view, peer, path))
            .collect()
    }

    fn new(view: &View, peer: &Peer, path: &Path) -> Self {
        let of = |site, number| view.overlay.addresses(site, number);
        let (site, number) = (view.site.id, path.id.number);
        let ours = of(site, number)
            .into_iter()
            .zip(of(site, PathNumber::FIRST));
        let theirs = of(peer.site.id, number)
            .into_iter()
            .zip(of(peer.site.id, PathNumber::FIRST));
        let ends = ours
            .zip(theirs)
            .map(|((own, own_site), (theirs, their_site))| Ends {
                own,
                own_site,
                theirs,
                their_site,
            });
        Self {
            path: path.id,
            ends: ends.collect(),
            subnets: peer.site.subnets.clone(),
        }
    }

    /// The address at this end of a subflow that we open towards `destination`, and its id: 0 of
    /// the first path, for its address is that of each connection's first subflow.
    pub fn end_towards(&self, destination: IpAddr) -> Option<(IpAddr, u8)> {
        let ends = self
            .ends
            .iter()
            .find(|ends| ends.own.is_ipv4() == destination.is_ipv4())?;
        let number = self.path.number;
        let first = number == PathNumber::FIRST;
        Some((ends.own, if first { 0 } else { number.value() }))
    }

    /// A connection with that far end is one to the path's peer.
    pub fn reaches(&self, destination: IpAddr) -> bool {
        let of_peer = |ends: &Ends| destination == ends.theirs || destination == ends.their_site;
        let mut subnets = self.subnets.iter();
        self.ends.iter().any(of_peer) || subnets.any(|network| network.contains(destination))
    }

    /// We opened it (A_k → P_1 or a host behind it), or the peer did (A_1 ← P_k).
    pub fn carries(&self, source: IpAddr, destination: IpAddr) -> bool {
        let behind = || {
            self.subnets
                .iter()
                .any(|network| network.contains(destination))
        };
        self.ends.iter().any(|ends| {
            let opened = source == ends.own && (destination == ends.their_site || behind());
            opened || (source == ends.own_site && destination == ends.theirs)
        })
    }
}
