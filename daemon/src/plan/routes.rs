//! Routes: to each peer by its paths, and the refusing ones behind them, which answer
//! "unreachable" where a default route would carry overlay packets off in clear.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use crate::config::{Path, Peer, View};
use crate::names::{InterfaceName, PathId, PathNumber, SiteId};

use super::{MAIN_TABLE, PathUse, table};

/// In one table there is one route of ours for one destination and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    pub table: u32,
    pub destination: IpNetwork,
    /// Behind all others ([`super::LAST_METRIC`]).
    pub last: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Unreachable,
    Device {
        name: InterfaceName,
        source: Option<IpAddr>,
    },
}

type Routes = BTreeMap<RouteKey, Target>;

pub(super) fn all(
    view: &View,
    paths: &BTreeMap<PathId, PathUse>,
    site_paths: &BTreeMap<SiteId, PathNumber>,
) -> Routes {
    let mut routes = Routes::new();
    let subnets = view.peers.iter().flat_map(|peer| &peer.site.subnets);
    for network in view.overlay.networks().chain(subnets.copied()) {
        refuse(&mut routes, MAIN_TABLE, network);
    }
    for number in super::joining(view) {
        for address in view.overlay.addresses(view.site.id, number) {
            refuse(&mut routes, table(number), everything(address.is_ipv6()));
        }
    }
    for peer in &view.peers {
        let decided = site_paths.get(&peer.site.id).copied();
        let best = best_live(view, peer, paths, decided);
        to_peer(&mut routes, view, peer, paths, best);
    }
    routes
}

fn to_peer(
    routes: &mut Routes,
    view: &View,
    peer: &Peer,
    paths: &BTreeMap<PathId, PathUse>,
    best: Option<&Path>,
) {
    let usage = |path: &Path| paths.get(&path.id).copied().unwrap_or(PathUse::Absent);
    let joining: Vec<_> = peer
        .paths
        .iter()
        .filter(|path| path.id.number != PathNumber::FIRST && usage(path) != PathUse::Absent)
        .collect();
    for destination in site_destinations(view, peer) {
        if let Some(best) = best {
            via(routes, view, MAIN_TABLE, destination, best);
        }
        for path in &joining {
            via(routes, view, table(path.id.number), destination, path);
        }
    }
    // Replies to the subflows that the peer opened go back by their own tunnel.
    for path in joining {
        for address in view.overlay.addresses(peer.site.id, path.id.number) {
            via(routes, view, MAIN_TABLE, IpNetwork::from(address), path);
        }
    }
}

/// What is routed over whichever path is best: the peer's site address and its subnets.
fn site_destinations(view: &View, peer: &Peer) -> Vec<IpNetwork> {
    let addresses = view.overlay.addresses(peer.site.id, PathNumber::FIRST);
    addresses
        .into_iter()
        .map(IpNetwork::from)
        .chain(peer.site.subnets.iter().copied())
        .collect()
}

fn via(routes: &mut Routes, view: &View, table: u32, destination: IpNetwork, path: &Path) {
    let own = view.overlay.addresses(view.site.id, PathNumber::FIRST);
    let same = own
        .into_iter()
        .find(|address| address.is_ipv6() == destination.is_ipv6());
    // In a path's own table the source is given already: it is what the rule looks at.
    let source = if table == MAIN_TABLE { same } else { None };
    let key = RouteKey {
        table,
        destination,
        last: false,
    };
    let name = path.interface.clone();
    routes.insert(key, Target::Device { name, source });
}

fn refuse(routes: &mut Routes, table: u32, destination: IpNetwork) {
    let key = RouteKey {
        table,
        destination,
        last: true,
    };
    routes.insert(key, Target::Unreachable);
}

fn everything(v6: bool) -> IpNetwork {
    let any: IpAddr = if v6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    IpNetwork::new(any, 0).unwrap_or_else(|_| any.into())
}

/// The path that carries the site address: what was decided, if it lives, else the cheapest live
/// one, then the lowest number.
fn best_live<'a>(
    view: &View,
    peer: &'a Peer,
    paths: &BTreeMap<PathId, PathUse>,
    decided: Option<PathNumber>,
) -> Option<&'a Path> {
    let live = peer
        .paths
        .iter()
        .filter(|path| paths.get(&path.id) == Some(&PathUse::Live));
    live.min_by_key(|path| {
        let ours = view.site.links.get(path.link).map(|link| link.cost);
        let theirs = peer.site.links.get(path.remote_link).map(|link| link.cost);
        let number = path.id.number;
        (Some(number) != decided, ours.max(theirs), number)
    })
}
