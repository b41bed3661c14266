//! What is to be done, object by object: the plan compared with what the kernel has. What needs
//! no change is not listed. The order is that of a start, and for removals that of a stop:
//! nothing overlay may leave in clear at any moment in between.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::plan::{ENDPOINTS, Guard, KernelState, RouteKey, Rule, Target};

use super::device::Device;
use super::mptcp::{Endpoint, Limits};
use super::observe::{Loaded, Observed};
use super::route::KernelRoute;

/// One step towards the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(pub(super) Step);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SetSysctl { name: String, value: String },
    LoadGuard(Guard),
    UnloadGuard,
    AddAddress(IpAddr),
    RemoveAddress(IpAddr),
    AddRoute(KernelRoute),
    ReplaceRoute(KernelRoute),
    RemoveRoute(KernelRoute),
    AddRule(Rule),
    RemoveRule(Rule),
    RaiseLimits(Limits),
    AddEndpoint(IpAddr),
    RemoveEndpoint(Endpoint),
    RemoveDevice(Device),
    RestoreSysctl { name: String, value: String },
    RestoreLimits(Limits),
}

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Sysctl,
    Guard,
    Address,
    Route,
    Rule,
    Limits,
    Endpoint,
    Device,
}

impl Change {
    pub fn object(&self) -> Object {
        match &self.0 {
            Step::SetSysctl { .. } | Step::RestoreSysctl { .. } => Object::Sysctl,
            Step::LoadGuard(_) | Step::UnloadGuard => Object::Guard,
            Step::AddAddress(_) | Step::RemoveAddress(_) => Object::Address,
            Step::AddRoute(_) | Step::ReplaceRoute(_) | Step::RemoveRoute(_) => Object::Route,
            Step::AddRule(_) | Step::RemoveRule(_) => Object::Rule,
            Step::RaiseLimits(_) | Step::RestoreLimits(_) => Object::Limits,
            Step::AddEndpoint(_) | Step::RemoveEndpoint(_) => Object::Endpoint,
            Step::RemoveDevice(_) => Object::Device,
        }
    }
}

pub(super) fn changes(desired: &KernelState, observed: &Observed) -> Vec<Change> {
    let mut steps = Vec::new();
    sysctls(desired, observed, &mut steps);
    if let Some(guard) = &desired.guard
        && observed.guard != Loaded::Whole(guard.clone())
    {
        steps.push(Step::LoadGuard(guard.clone()));
    }
    additions(desired, observed, &mut steps);
    removals(desired, observed, &mut steps);
    if desired.guard.is_none() && observed.guard != Loaded::Nothing {
        steps.push(Step::UnloadGuard);
    }
    steps.into_iter().map(Change).collect()
}

/// Of what the kernel does not announce, something is not as planned.
pub(super) fn is_disturbed(desired: &KernelState, observed: &Observed) -> bool {
    let mut steps = Vec::new();
    sysctls(desired, observed, &mut steps);
    endpoints(desired, observed, &mut steps);
    !steps.is_empty() || raised(desired, observed).is_some()
}

fn sysctls(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    for sysctl in &desired.sysctls {
        let now = observed.sysctls.get(&sysctl.name);
        let wanted = now.and_then(|now| sysctl.value.wanted(now));
        steps.extend(wanted.map(|value| Step::SetSysctl {
            name: sysctl.name.clone(),
            value,
        }));
    }
}

/// Addresses, then refusing routes, then the rest: a packet of A_k never finds a table without
/// its refusing route.
fn additions(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    let missing = desired.addresses.difference(&observed.addresses);
    steps.extend(missing.map(|address| Step::AddAddress(*address)));
    let wanted = desired
        .routes
        .iter()
        .filter_map(|(key, to)| kernel_route(*key, to, observed));
    let (by_device, refusing): (Vec<_>, Vec<_>) = wanted.partition(|route| route.device.is_some());
    steps.extend(
        refusing
            .into_iter()
            .filter_map(|route| set(route, observed)),
    );
    let standing: BTreeSet<_> = observed.rules.iter().collect();
    let rules = desired.rules.iter().filter(|rule| !standing.contains(rule));
    steps.extend(rules.map(|rule| Step::AddRule(*rule)));
    steps.extend(
        by_device
            .into_iter()
            .filter_map(|route| set(route, observed)),
    );
    steps.extend(raised(desired, observed).map(Step::RaiseLimits));
    endpoints(desired, observed, steps);
}

/// One of ours is replaced in one step; where none of ours is, nobody else's is overwritten.
fn set(route: KernelRoute, observed: &Observed) -> Option<Step> {
    match observed.routes.get(&route.key) {
        Some(there) if *there == route => None,
        Some(_) => Some(Step::ReplaceRoute(route)),
        None => Some(Step::AddRoute(route)),
    }
}

/// An endpoint of another kind on our address is in the way: the kernel takes an address once.
fn endpoints(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    let (good, bad): (Vec<&Endpoint>, Vec<_>) = observed
        .endpoints
        .iter()
        .partition(|there| there.plain && desired.endpoints.contains(&there.address));
    steps.extend(bad.into_iter().map(|old| Step::RemoveEndpoint(*old)));
    let has = |address: &IpAddr| good.iter().any(|there| there.address == *address);
    let missing = desired.endpoints.iter().filter(|address| !has(address));
    steps.extend(missing.map(|address| Step::AddEndpoint(*address)));
}

/// The limits that a plan with paths needs; `None` when those of now are enough.
pub(super) fn raised(desired: &KernelState, observed: &Observed) -> Option<Limits> {
    let enough = u32::try_from(ENDPOINTS).unwrap_or(u32::MAX);
    let now = observed.limits?;
    let wanted = !desired.addresses.is_empty() && now.subflows < enough;
    wanted.then_some(Limits {
        subflows: enough,
        ..now
    })
}

/// In the order of a stop: the endpoints are gone already; refusing routes, addresses and devices
/// go last.
fn removals(desired: &KernelState, observed: &Observed, steps: &mut Vec<Step>) {
    let wanted = |route: &KernelRoute| {
        let target = desired.routes.get(&route.key);
        target.is_some_and(|to| kernel_route(route.key, to, observed).is_some())
    };
    let surplus = observed
        .routes
        .values()
        .filter(|route| !wanted(route))
        .cloned();
    let (by_device, refusing): (Vec<_>, Vec<_>) = surplus.partition(|route| route.device.is_some());
    steps.extend(by_device.into_iter().map(Step::RemoveRoute));
    let mut kept = BTreeSet::new();
    // A rule may stand twice in the kernel; one of them is enough.
    let surplus = observed
        .rules
        .iter()
        .filter(|rule| !desired.rules.contains(rule) || !kept.insert(**rule));
    steps.extend(surplus.map(|rule| Step::RemoveRule(*rule)));
    steps.extend(refusing.into_iter().map(Step::RemoveRoute));
    let surplus = observed.own_addresses.difference(&desired.addresses);
    steps.extend(surplus.map(|address| Step::RemoveAddress(*address)));
    let wanted = |device: &&Device| {
        let mut names = desired.devices.iter();
        names.any(|name| name.as_str() == device.name)
    };
    let surplus = observed.own_devices.iter().filter(|device| !wanted(device));
    steps.extend(surplus.cloned().map(Step::RemoveDevice));
}

/// The route as the kernel would tell it; `None` while its device is missing.
fn kernel_route(key: RouteKey, target: &Target, observed: &Observed) -> Option<KernelRoute> {
    let (device, source) = match target {
        Target::Unreachable => (None, None),
        Target::Device { name, source } => (Some(*observed.devices.get(name.as_str())?), *source),
    };
    Some(KernelRoute {
        key,
        device,
        source,
    })
}

#[cfg(test)]
mod tests;
