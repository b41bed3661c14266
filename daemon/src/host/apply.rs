//! One step, done; and told.

use std::fmt;

use super::verdict::{Change, Object, Step};
use super::{Host, HostError, sysctl};

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sysctl => "sysctl",
            Self::Guard => "leak guard",
            Self::Address => "address",
            Self::Route => "route",
            Self::Rule => "rule",
            Self::Limits => "MPTCP limits",
            Self::Endpoint => "MPTCP endpoint",
            Self::Device => "interface",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dotted = |name: &str| name.replace('/', ".");
        match &self.0 {
            Step::SetSysctl { name, value } => write!(f, "set sysctl {} = {value}", dotted(name)),
            Step::LoadGuard(_) => f.write_str("load leak guard"),
            Step::UnloadGuard => f.write_str("unload leak guard"),
            Step::AddAddress(address) => write!(f, "add address {address}"),
            Step::RemoveAddress(address) => write!(f, "remove address {address}"),
            Step::AddRoute(route) => write!(f, "add {route}"),
            Step::ReplaceRoute(route) => write!(f, "replace {route}"),
            Step::RemoveRoute(route) => write!(f, "remove {route}"),
            Step::AddRule(rule) => write!(f, "add rule from {}", rule.from),
            Step::RemoveRule(rule) => write!(f, "remove rule from {}", rule.from),
            Step::RaiseLimits(limits) => write!(f, "raise MPTCP subflows to {}", limits.subflows),
            Step::AddEndpoint(address) => write!(f, "add MPTCP endpoint {address}"),
            Step::RemoveEndpoint(old) => write!(f, "remove MPTCP endpoint {}", old.address),
            Step::RemoveDevice(device) => write!(f, "remove device {}", device.name),
            Step::RestoreSysctl { name, value } => {
                write!(f, "put back sysctl {} = {value}", dotted(name))
            }
            Step::RestoreLimits(limits) => {
                write!(f, "put back MPTCP subflows to {}", limits.subflows)
            }
        }
    }
}

impl Host {
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), HostError> {
        let object = || HostError::object(change);
        match &change.0 {
            Step::SetSysctl { name, value } | Step::RestoreSysctl { name, value } => {
                sysctl::write(name, value)
            }
            Step::LoadGuard(guard) => self.nft.load(guard),
            Step::UnloadGuard => self.nft.unload(),
            Step::AddAddress(address) => self.add_address(*address),
            Step::RemoveAddress(address) => self.remove_address(*address),
            Step::AddRoute(route) => self.add_route(route),
            Step::ReplaceRoute(route) => self.replace_route(route),
            Step::RemoveRoute(route) => self.remove_route(route),
            Step::AddRule(rule) => self.add_rule(*rule),
            Step::RemoveRule(rule) => self.remove_rule(*rule),
            Step::RaiseLimits(limits) | Step::RestoreLimits(limits) => {
                self.netlink.set_limits(*limits).map_err(object())
            }
            Step::AddEndpoint(address) => self.netlink.add_endpoint(*address).map_err(object()),
            Step::RemoveEndpoint(old) => self.netlink.remove_endpoint(*old).map_err(object()),
            Step::RemoveDevice(device) => self.remove_device(device),
        }
    }
}
