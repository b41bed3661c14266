//! What the kernel has of ours now, and what stands in our places.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::plan::{Guard, KernelState, Lifetime, PROTOCOL, RouteKey, Rule};

use super::address::Local;
use super::device::Device;
use super::mptcp::{Endpoint, Limits};
use super::route::KernelRoute;
use super::{Host, HostError};

#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// Those that the plan or the journal names, as far as this kernel has them.
    pub(super) sysctls: BTreeMap<String, String>,
    /// All addresses of `lo`.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Those among them that are ours to remove.
    pub(super) own_addresses: BTreeSet<IpAddr>,
    pub(super) routes: BTreeMap<RouteKey, KernelRoute>,
    pub(super) rules: Vec<Rule>,
    /// Those with overlay addresses.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) limits: Option<Limits>,
    pub(super) guard: Loaded,
    /// Index of every device, by name.
    pub(super) devices: BTreeMap<String, u32>,
    /// Those with our mark.
    pub(super) own_devices: Vec<Device>,
}

/// The nft table of our name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Loaded {
    #[default]
    Nothing,
    /// Left by a former process, or changed by somebody.
    Unknown,
    /// As we loaded it.
    Whole(Guard),
}

impl Host {
    pub(super) fn observe(&mut self, desired: &KernelState) -> Result<Observed, HostError> {
        let ours: Vec<_> = desired
            .ours
            .iter()
            .chain(self.journal.overlay())
            .copied()
            .collect();
        let locals = self.locals()?;
        let own_addresses = own(&locals, &ours);
        let is_ours = |address| lies_in(&ours, address) || own_addresses.contains(&address);
        let names = desired.sysctls.iter().map(|sysctl| sysctl.name.as_str());
        let unannounced = self.observe_mptcp(names.chain(self.journal.sysctls()), is_ours)?;
        let devices = self.devices()?;
        Ok(Observed {
            addresses: locals.iter().map(|local| local.address).collect(),
            own_addresses,
            routes: self
                .routes()?
                .into_iter()
                .map(|route| (route.key, route))
                .collect(),
            rules: self.rules()?,
            guard: self.nft.observe(),
            own_devices: devices.iter().filter(|d| d.is_ours()).cloned().collect(),
            devices: devices.into_iter().map(|d| (d.name, d.index)).collect(),
            ..unannounced
        })
    }

    /// What the kernel does not announce changes of: the machine's sysctls, endpoints, limits.
    pub(super) fn observe_unannounced(&self, desired: &KernelState) -> Result<Observed, HostError> {
        let machine = desired.sysctls.iter();
        let machine = machine.filter(|sysctl| sysctl.lifetime == Lifetime::Machine);
        let names = machine.map(|sysctl| sysctl.name.as_str());
        self.observe_mptcp(names, |address| lies_in(&desired.ours, address))
    }

    fn observe_mptcp<'n>(
        &self,
        sysctls: impl Iterator<Item = &'n str>,
        is_ours: impl Fn(IpAddr) -> bool,
    ) -> Result<Observed, HostError> {
        let endpoints = self
            .netlink
            .endpoints()
            .map_err(HostError::object("MPTCP endpoints"))?;
        let limits = self
            .netlink
            .limits()
            .map_err(HostError::object("MPTCP limits"))?;
        let value = |name: &str| Some((name.to_owned(), super::sysctl::read(name).ok()?));
        Ok(Observed {
            sysctls: sysctls.filter_map(value).collect(),
            endpoints: endpoints
                .into_iter()
                .filter(|endpoint| is_ours(endpoint.address))
                .collect(),
            limits: Some(limits),
            ..Observed::default()
        })
    }
}

fn lies_in(networks: &[IpNetwork], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// Addresses say who put them there, unless the kernel is too old; then the overlay says so.
fn own(locals: &[Local], ours: &[IpNetwork]) -> BTreeSet<IpAddr> {
    let kernel_knows = locals.iter().any(|local| local.protocol.is_some());
    let is_own = |local: &&Local| {
        local.protocol == Some(PROTOCOL) || (!kernel_knows && lies_in(ours, local.address))
    };
    locals
        .iter()
        .filter(is_own)
        .map(|local| local.address)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(address: &str, protocol: Option<u8>) -> Local {
        Local {
            address: address.parse().unwrap(),
            protocol,
        }
    }

    #[test]
    fn an_address_that_an_operator_put_into_the_overlay_is_not_ours_to_remove() {
        let overlay = ["10.213.0.0/16".parse().unwrap()];
        let by_hand = local("10.213.1.77", None);
        let ours = local("10.213.1.1", Some(PROTOCOL));
        let found = own(&[by_hand, ours, local("127.0.0.1", Some(1))], &overlay);
        assert_eq!(found, [ours.address].into());
        let old_kernel = own(&[by_hand, local("127.0.0.1", None)], &overlay);
        assert_eq!(old_kernel, [by_hand.address].into(), "kernels before 5.18");
    }
}
