//! What is to be done, object by object: the plan compared with what the kernel has. What needs
//! no change is not listed. The order is that of a start, and for removals that of a stop:
//! nothing overlay may leave in clear at any moment in between.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::plan::{ENDPOINTS, Guard, KernelState, RouteKey, Rule, Sysctl, Target};

use super::mptcp::{Endpoint, Limits};
use super::observe::Observed;
use super::route::KernelRoute;
use super::{Host, HostError, sysctl};

/// One step towards the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(pub(super) Step);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SetSysctl(Sysctl, String),
    LoadGuard(Guard),
    UnloadGuard,
    AddAddress(IpAddr),
    RemoveAddress(IpAddr),
    SetRoute(KernelRoute),
    RemoveRoute(KernelRoute),
    AddRule(Rule),
    RemoveRule(Rule),
    RaiseLimits(Limits),
    AddEndpoint(IpAddr),
    RemoveEndpoint(Endpoint),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = |key: &RouteKey| format!("route {} table {}", key.destination, key.table);
        match &self.0 {
            Step::SetSysctl(sysctl, value) => {
                write!(f, "sysctl {} = {value}", sysctl.name.replace('/', "."))
            }
            Step::LoadGuard(_) => f.write_str("load leak guard"),
            Step::UnloadGuard => f.write_str("unload leak guard"),
            Step::AddAddress(address) => write!(f, "add address {address}"),
            Step::RemoveAddress(address) => write!(f, "remove address {address}"),
            Step::SetRoute(wanted) => write!(f, "set {}", route(&wanted.key)),
            Step::RemoveRoute(old) => write!(f, "remove {}", route(&old.key)),
            Step::AddRule(rule) => write!(f, "add rule from {}", rule.from),
            Step::RemoveRule(rule) => write!(f, "remove rule from {}", rule.from),
            Step::RaiseLimits(limits) => write!(f, "raise MPTCP subflows to {}", limits.subflows),
            Step::AddEndpoint(address) => write!(f, "add MPTCP endpoint {address}"),
            Step::RemoveEndpoint(old) => write!(f, "remove MPTCP endpoint {}", old.address),
        }
    }
}

pub(super) fn changes(desired: &KernelState, observed: &Observed) -> Vec<Change> {
    let mut steps = Vec::new();
    guard_on(desired, observed, &mut steps);
    additions(desired, observed, &mut steps);
    removals(desired, observed, &mut steps);
    if desired.guard.is_none() && observed.guard.is_some() {
        steps.push(Step::UnloadGuard);
    }
    steps.into_iter().map(Change).collect()
}

fn guard_on(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    for sysctl in &desired.sysctls {
        steps.extend(sysctl::wanted(sysctl).map(|value| Step::SetSysctl(sysctl.clone(), value)));
    }
    if let Some(guard) = desired.guard.as_ref()
        && observed.guard.as_ref() != Some(guard)
    {
        steps.push(Step::LoadGuard(guard.clone()));
    }
}

/// Addresses, then refusing routes, then the rest: a packet of A_k never finds a table without
/// its refusing route.
fn additions(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    let missing = desired.addresses.difference(&observed.addresses);
    steps.extend(missing.map(|address| Step::AddAddress(*address)));
    let routes = || {
        desired
            .routes
            .iter()
            .filter_map(|(key, to)| kernel_route(*key, to, observed))
    };
    let wrong = |route: &KernelRoute| observed.routes.get(&route.key) != Some(route);
    steps.extend(
        routes()
            .filter(|r| r.device.is_none() && wrong(r))
            .map(Step::SetRoute),
    );
    let rules = desired
        .rules
        .iter()
        .filter(|rule| !observed.rules.contains(rule));
    steps.extend(rules.map(|rule| Step::AddRule(*rule)));
    steps.extend(
        routes()
            .filter(|r| r.device.is_some() && wrong(r))
            .map(Step::SetRoute),
    );
    let enough = u32::try_from(ENDPOINTS).unwrap_or(u32::MAX);
    if let Some(limits) = observed.limits
        && !desired.addresses.is_empty()
        && limits.subflows < enough
    {
        steps.push(Step::RaiseLimits(Limits {
            subflows: enough,
            ..limits
        }));
    }
    let has = |address: &IpAddr| observed.endpoints.iter().any(|e| e.address == *address);
    let endpoints = desired.endpoints.iter().filter(|address| !has(address));
    steps.extend(endpoints.map(|address| Step::AddEndpoint(*address)));
}

/// In the order of a stop: no new subflow first, the refusing routes last but addresses.
fn removals(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    let endpoints = observed.endpoints.iter();
    let surplus = endpoints.filter(|endpoint| !desired.endpoints.contains(&endpoint.address));
    steps.extend(surplus.map(|endpoint| Step::RemoveEndpoint(*endpoint)));
    let wanted = |route: &&KernelRoute| {
        let target = desired.routes.get(&route.key);
        target.is_some_and(|to| kernel_route(route.key, to, observed).is_some())
    };
    let surplus: Vec<_> = observed
        .routes
        .values()
        .filter(|route| !wanted(route))
        .collect();
    let to = |device: bool| {
        surplus
            .iter()
            .filter(move |route| route.device.is_some() == device)
    };
    steps.extend(to(true).map(|route| Step::RemoveRoute((*route).clone())));
    let mut kept = BTreeSet::new();
    // A rule may stand twice in the kernel; one of them is enough.
    let rules = observed.rules.iter();
    let surplus = rules.filter(|rule| !desired.rules.contains(rule) || !kept.insert(**rule));
    steps.extend(surplus.map(|rule| Step::RemoveRule(*rule)));
    steps.extend(to(false).map(|route| Step::RemoveRoute((*route).clone())));
    let surplus = observed.addresses.difference(&desired.addresses);
    steps.extend(surplus.map(|address| Step::RemoveAddress(*address)));
}

/// The route as the kernel would tell it; `None` while its device is missing.
fn kernel_route(key: RouteKey, target: &Target, observed: &Observed) -> Option<KernelRoute> {
    match target {
        Target::Unreachable => Some(KernelRoute {
            key,
            device: None,
            source: None,
        }),
        Target::Device { name, source } => {
            let device = *observed.devices.get(name.as_str())?;
            Some(KernelRoute {
                key,
                device: Some(device),
                source: *source,
            })
        }
    }
}

impl Host {
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), HostError> {
        let object = || HostError::object(change);
        match &change.0 {
            Step::SetSysctl(sysctl, value) => sysctl::write(sysctl.name, value),
            Step::LoadGuard(guard) => self.nft.load(guard),
            Step::UnloadGuard => self.nft.unload(),
            Step::AddAddress(address) => self.add_address(*address),
            Step::RemoveAddress(address) => self.remove_address(*address),
            Step::SetRoute(route) => self.set_route(route),
            Step::RemoveRoute(route) => self.remove_route(route),
            Step::AddRule(rule) => self.add_rule(*rule),
            Step::RemoveRule(rule) => self.remove_rule(*rule),
            Step::RaiseLimits(limits) => self.netlink.set_limits(*limits).map_err(object()),
            Step::AddEndpoint(address) => self.netlink.add_endpoint(*address).map_err(object()),
            Step::RemoveEndpoint(old) => self.netlink.remove_endpoint(*old).map_err(object()),
        }
    }
}
