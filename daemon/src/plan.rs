//! Configuration + live paths → the kernel state that we want, as a value.
//!
//! For a peer with paths 1..n and our addresses A_k (`B_1` is the peer's site address):
//! ```text
//! main table     B_1 and the peer's subnets  dev pw-<peer>-<best live>  src A_1
//!                B_k                         dev pw-<peer>-k            src A_1     k ≥ 2
//!                the whole overlay           unreachable
//! from A_k       table 51800+k               k ≥ 2, once for all peers
//!   51800+k      B_1 and the peer's subnets  dev pw-<peer>-k, else unreachable
//! lo             every A_k
//! MPTCP          endpoint A_k subflow        k ≥ 2
//! ```
//! The kernel then opens one subflow per A_k towards B_1, and each leaves by its own tunnel.

mod guard;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use crate::config::{OverlayPrefixes, Path, Peer, View};
use crate::names::{InterfaceName, PathId, PathNumber};

pub use guard::Guard;

/// Marks our routes and rules (`/etc/iproute2/rt_protos` leaves it free).
pub const PROTOCOL: u8 = 183;
pub const MAIN_TABLE: u32 = 254;
/// Table of path k: this plus k.
pub const FIRST_TABLE: u32 = 51_800;
/// Priority of path k's rule: this plus k.
pub const FIRST_PRIORITY: u32 = 5_180;
/// Of our `unreachable` routes: behind everything that anyone may want to put before them.
pub const LAST_METRIC: u32 = 4_278_198_272;
/// The kernel takes no more endpoints, and no more extra subflows, in both families together.
pub const ENDPOINTS: usize = 8;
/// `tcp_rmem` and `tcp_wmem` grow to at least this: 1 Gbit/s at 60 ms, twice.
const TCP_BUFFER: u64 = 16 << 20;

/// What the kernel may use a path for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathUse {
    /// No TUN, or taken down by its operator: no route may name it.
    Absent,
    /// The TUN is there; the path is not up. Its own table keeps its route: a subflow that
    /// waits there goes on by itself when the path is back.
    Idle,
    Live,
}

/// The kernel state we want. Everything that is not ours is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    pub sysctls: Vec<Sysctl>,
    /// On `lo`, each as a host route.
    pub addresses: BTreeSet<IpAddr>,
    pub routes: BTreeMap<RouteKey, Target>,
    pub rules: BTreeSet<Rule>,
    /// MPTCP endpoints with the flag `subflow`.
    pub endpoints: BTreeSet<IpAddr>,
    pub guard: Option<Guard>,
    /// The networks by which our addresses and endpoints are told from others.
    pub ours: Vec<IpNetwork>,
    /// What could not be planned, in words for the operator.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// Below `/proc/sys`, for example `net/mptcp/enabled`.
    pub name: &'static str,
    pub value: SysctlValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlValue {
    Exactly(&'static str),
    /// The third word is raised to this, never lowered.
    ThirdAtLeast(u64),
}

/// In one table there is one route of ours for one destination and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    pub table: u32,
    pub destination: IpNetwork,
    /// Behind all others ([`LAST_METRIC`]).
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub from: IpAddr,
    pub table: u32,
    pub priority: u32,
}

/// Which subflows travel on a path: what opener and acceptor use as addresses.
#[derive(Clone, Debug)]
pub struct PathAddresses {
    pub path: PathId,
    /// A_k, A_1, P_k, P_1 in each family.
    ends: Vec<[IpAddr; 4]>,
}

impl PathAddresses {
    pub fn of(view: &View) -> Vec<Self> {
        let site = view.site.id;
        let ends = |path: &Path| {
            let of = |site, number| view.overlay.addresses(site, number);
            let number = path.id.number;
            let own = of(site, number)
                .into_iter()
                .zip(of(site, PathNumber::FIRST));
            let peer = path.id.peer;
            let theirs = of(peer, number)
                .into_iter()
                .zip(of(peer, PathNumber::FIRST));
            own.zip(theirs)
                .map(|((ak, a1), (pk, p1))| [ak, a1, pk, p1])
                .collect()
        };
        view.paths()
            .map(|(_, path)| Self {
                path: path.id,
                ends: ends(path),
            })
            .collect()
    }

    /// We opened it (A_k → P_1), or the peer did (A_1 ← P_k).
    pub fn carries(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.ends.iter().any(|[ak, a1, pk, p1]| {
            (source, destination) == (*ak, *p1) || (source, destination) == (*a1, *pk)
        })
    }
}

/// The whole state for a site. A path that is not in `paths` is [`PathUse::Absent`].
pub fn desired(view: &View, paths: &BTreeMap<PathId, PathUse>) -> KernelState {
    let mut state = KernelState {
        sysctls: sysctls(),
        ours: view.overlay.networks().collect(),
        guard: view.leak_guard.then(|| Guard::of(view)),
        ..KernelState::default()
    };
    refuse_overlay(&mut state, view.overlay);
    for number in numbers(view) {
        own_address(&mut state, view, number);
    }
    for peer in &view.peers {
        peer_routes(&mut state, view, peer, paths);
    }
    state.endpoints = endpoints(view, &mut state.warnings);
    state
}

fn sysctls() -> Vec<Sysctl> {
    let exactly = |name, value| Sysctl {
        name,
        value: SysctlValue::Exactly(value),
    };
    let grow = |name| Sysctl {
        name,
        value: SysctlValue::ThirdAtLeast(TCP_BUFFER),
    };
    vec![
        exactly("net/mptcp/enabled", "1"),
        // One bad SYN would switch MPTCP off for the whole namespace for an hour.
        exactly("net/mptcp/blackhole_timeout", "0"),
        // A connection opened during an outage would be plain TCP for life.
        exactly("net/mptcp/syn_retrans_before_tcp_fallback", "255"),
        grow("net/ipv4/tcp_rmem"),
        grow("net/ipv4/tcp_wmem"),
    ]
}

/// All path numbers that any peer has.
fn numbers(view: &View) -> BTreeSet<PathNumber> {
    view.paths().map(|(_, path)| path.id.number).collect()
}

fn table(number: PathNumber) -> u32 {
    FIRST_TABLE + u32::from(number.value())
}

fn host(address: IpAddr) -> IpNetwork {
    IpNetwork::from(address)
}

fn everything(v6: bool) -> IpNetwork {
    let (any, length): (IpAddr, u8) = if v6 {
        (Ipv6Addr::UNSPECIFIED.into(), 0)
    } else {
        (Ipv4Addr::UNSPECIFIED.into(), 0)
    };
    IpNetwork::new(any, length).unwrap_or_else(|_| any.into())
}

fn refuse(state: &mut KernelState, table: u32, destination: IpNetwork) {
    state.routes.insert(
        RouteKey {
            table,
            destination,
            last: true,
        },
        Target::Unreachable,
    );
}

fn refuse_overlay(state: &mut KernelState, overlay: OverlayPrefixes) {
    for network in overlay.networks() {
        refuse(state, MAIN_TABLE, network);
    }
}

fn own_address(state: &mut KernelState, view: &View, number: PathNumber) {
    for address in view.overlay.addresses(view.site.id, number) {
        state.addresses.insert(address);
        if number == PathNumber::FIRST {
            continue;
        }
        let priority = FIRST_PRIORITY + u32::from(number.value());
        state.rules.insert(Rule {
            from: address,
            table: table(number),
            priority,
        });
        refuse(state, table(number), everything(address.is_ipv6()));
    }
}

fn peer_routes(
    state: &mut KernelState,
    view: &View,
    peer: &Peer,
    paths: &BTreeMap<PathId, PathUse>,
) {
    let usage = |path: &Path| paths.get(&path.id).copied().unwrap_or(PathUse::Absent);
    let best = best_live(view, peer, paths);
    for subnet in &peer.site.subnets {
        refuse(state, MAIN_TABLE, *subnet);
    }
    for destination in site_destinations(view, peer) {
        if let Some(best) = best {
            via(state, view, MAIN_TABLE, destination, best);
        }
        let others = peer
            .paths
            .iter()
            .filter(|path| path.id.number != PathNumber::FIRST);
        for path in others.filter(|path| usage(path) != PathUse::Absent) {
            via(state, view, table(path.id.number), destination, path);
        }
    }
    let present = peer
        .paths
        .iter()
        .filter(|path| usage(path) != PathUse::Absent);
    for path in present.filter(|path| path.id.number != PathNumber::FIRST) {
        for address in view.overlay.addresses(peer.site.id, path.id.number) {
            via(state, view, MAIN_TABLE, host(address), path);
        }
    }
}

/// What is routed over whichever path is best: the peer's site address and its subnets.
fn site_destinations(view: &View, peer: &Peer) -> Vec<IpNetwork> {
    let addresses = view.overlay.addresses(peer.site.id, PathNumber::FIRST);
    addresses
        .into_iter()
        .map(host)
        .chain(peer.site.subnets.iter().copied())
        .collect()
}

fn via(state: &mut KernelState, view: &View, table: u32, destination: IpNetwork, path: &Path) {
    let own = view.overlay.addresses(view.site.id, PathNumber::FIRST);
    let same = own
        .into_iter()
        .find(|address| address.is_ipv6() == destination.is_ipv6());
    // In a path's own table the source is given already: it is what the rule looks at.
    let source = if table == MAIN_TABLE { same } else { None };
    let target = Target::Device {
        name: path.interface.clone(),
        source,
    };
    state.routes.insert(
        RouteKey {
            table,
            destination,
            last: false,
        },
        target,
    );
}

/// The path that carries the site address: a live one, the cheapest, then the lowest number.
fn best_live<'a>(
    view: &View,
    peer: &'a Peer,
    paths: &BTreeMap<PathId, PathUse>,
) -> Option<&'a Path> {
    let live = peer
        .paths
        .iter()
        .filter(|path| paths.get(&path.id) == Some(&PathUse::Live));
    live.min_by_key(|path| {
        let ours = view.site.links.get(path.link).map(|link| link.cost);
        let theirs = peer.site.links.get(path.remote_link).map(|link| link.cost);
        (ours.max(theirs), path.id.number)
    })
}

/// A_k for k ≥ 2, IPv4 first, as far as the kernel has places.
fn endpoints(view: &View, warnings: &mut Vec<String>) -> BTreeSet<IpAddr> {
    let others = || {
        numbers(view)
            .into_iter()
            .filter(|number| *number != PathNumber::FIRST)
    };
    let site = view.site.id;
    let v4 = others()
        .filter_map(|number| view.overlay.address_v4(site, number))
        .map(IpAddr::V4);
    let v6 = others()
        .filter_map(|number| view.overlay.address_v6(site, number))
        .map(IpAddr::V6);
    let all: Vec<IpAddr> = v4.chain(v6).collect();
    if all.len() > ENDPOINTS {
        let left_out: Vec<_> = all
            .iter()
            .skip(ENDPOINTS)
            .map(ToString::to_string)
            .collect();
        warnings.push(format!(
            "the kernel has places for {ENDPOINTS} MPTCP endpoints in both families together: \
             connections get no subflow from {}",
            left_out.join(", ")
        ));
    }
    all.into_iter().take(ENDPOINTS).collect()
}

#[cfg(test)]
mod tests;
