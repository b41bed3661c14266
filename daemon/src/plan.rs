//! Configuration + live paths → the kernel state that we want, as a value.
//!
//! For a peer with paths 1..n and our addresses A_k (`B_1` is the peer's site address):
//! ```text
//! main table     B_1 and the peer's subnets  dev pw-<peer>-<site path>  src A_1
//!                B_k                         dev pw-<peer>-k            src A_1     k ≥ 2
//!                the whole overlay           unreachable
//! from A_k       table 51800+k               k ≥ 2, once for all peers
//!   51800+k      B_1 and the peer's subnets  dev pw-<peer>-k, else unreachable
//! lo             every A_k
//! MPTCP          endpoint A_k subflow        k ≥ 2
//! ```
//! The kernel then opens one subflow per A_k towards B_1, and each leaves by its own tunnel.

mod guard;
mod path_addresses;
mod routes;
mod socket;
mod subflow;
mod sysctls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::config::View;
use crate::names::{InterfaceName, PathId, PathNumber, SiteId};

pub use guard::Guard;
pub use path_addresses::PathAddresses;
pub use routes::{RouteKey, Target};
pub use socket::{Listener, MptcpSocket, Sockets, TcpSocket};
pub use subflow::{Join, Progress, Subflow};
pub use sysctls::{Lifetime, PATH_MANAGER, Sysctl, SysctlValue, of_device};

/// Marks our addresses, routes and rules (`/etc/iproute2/rt_protos` leaves it free).
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

/// Who opens the subflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathManager {
    /// The kernel, once, when a connection begins; also while no daemon runs.
    Kernel,
    /// We, exactly, for as long as we live.
    UserSpace,
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
    /// The paths' interfaces; another one with our mark is of a path that is no more.
    pub devices: BTreeSet<InterfaceName>,
    /// The networks by which our endpoints are told from others.
    pub ours: Vec<IpNetwork>,
    /// What could not be planned, in words for the operator.
    pub warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub from: IpAddr,
    pub table: u32,
    pub priority: u32,
}

/// The whole state for a site. A path that is not in `paths` is [`PathUse::Absent`]. A peer that
/// is not in `site_paths` is reached by its cheapest live path.
pub fn desired(
    view: &View,
    paths: &BTreeMap<PathId, PathUse>,
    site_paths: &BTreeMap<SiteId, PathNumber>,
) -> KernelState {
    let (endpoints, left_out) = endpoints(view);
    KernelState {
        sysctls: sysctls::all(view, paths),
        addresses: addresses(view),
        routes: routes::all(view, paths, site_paths),
        rules: rules(view),
        endpoints,
        guard: guard(view),
        devices: view
            .paths()
            .map(|(_, path)| path.interface.clone())
            .collect(),
        ours: view.overlay.networks().collect(),
        warnings: left_out.into_iter().collect(),
    }
}

impl KernelState {
    /// The same, with subflows opened by whom it shall be: the kernel wants endpoints for it.
    #[must_use]
    pub fn managed_by(mut self, manager: PathManager) -> Self {
        match manager {
            PathManager::Kernel => {}
            PathManager::UserSpace => {
                self.endpoints.clear();
                self.warnings.clear();
                self.sysctls.push(sysctls::user_space_path_manager());
            }
        }
        self
    }
}

/// The leak guard, unless the operator does without.
pub fn guard(view: &View) -> Option<Guard> {
    view.leak_guard.then(|| Guard::of(view))
}

/// What a stop leads to.
pub fn nothing() -> KernelState {
    KernelState::default()
}

/// All path numbers that any peer has.
fn numbers(view: &View) -> BTreeSet<PathNumber> {
    view.paths().map(|(_, path)| path.id.number).collect()
}

/// The numbers of the paths whose subflows join a connection: all but the first.
fn joining(view: &View) -> BTreeSet<PathNumber> {
    let mut numbers = numbers(view);
    numbers.remove(&PathNumber::FIRST);
    numbers
}

fn table(number: PathNumber) -> u32 {
    FIRST_TABLE + u32::from(number.value())
}

fn addresses(view: &View) -> BTreeSet<IpAddr> {
    numbers(view)
        .into_iter()
        .flat_map(|number| view.overlay.addresses(view.site.id, number))
        .collect()
}

/// Once per path number and family, however many peers there are.
fn rules(view: &View) -> BTreeSet<Rule> {
    let of = |number: PathNumber| {
        let addresses = view.overlay.addresses(view.site.id, number);
        addresses.into_iter().map(move |from| Rule {
            from,
            table: table(number),
            priority: FIRST_PRIORITY + u32::from(number.value()),
        })
    };
    joining(view).into_iter().flat_map(of).collect()
}

/// A_k for k ≥ 2, IPv4 first, as far as the kernel has places; and a word on the others. Never
/// A_1: the kernel would open a second subflow on path 1 beside every connection's first one.
fn endpoints(view: &View) -> (BTreeSet<IpAddr>, Option<String>) {
    let (site, joining) = (view.site.id, joining(view));
    let v4 = |number: &PathNumber| view.overlay.address_v4(site, *number).map(IpAddr::V4);
    let v6 = |number: &PathNumber| view.overlay.address_v6(site, *number).map(IpAddr::V6);
    let mut all: Vec<_> = joining.iter().filter_map(v4).collect();
    all.extend(joining.iter().filter_map(v6));
    let left_out = all.split_off(all.len().min(ENDPOINTS));
    let warning = (!left_out.is_empty()).then(|| {
        let names: Vec<_> = left_out.iter().map(ToString::to_string).collect();
        format!(
            "connections get no subflow from {}: the kernel holds {ENDPOINTS} MPTCP endpoints in \
             both families together; use an IPv4 `overlay` alone, or fewer links",
            names.join(", ")
        )
    });
    (all.into_iter().collect(), warning)
}

#[cfg(test)]
mod tests;
