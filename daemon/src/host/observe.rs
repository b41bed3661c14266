//! What the kernel has of ours now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::plan::{Guard, RouteKey, Rule};

use super::mptcp::{Endpoint, Limits};
use super::route::KernelRoute;
use super::{Host, HostError};

#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) routes: BTreeMap<RouteKey, KernelRoute>,
    pub(super) rules: Vec<Rule>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) limits: Option<Limits>,
    pub(super) guard: Option<Guard>,
    /// Index of every device, by name.
    pub(super) devices: BTreeMap<String, u32>,
}

impl Host {
    pub(super) fn observe(&self, ours: &[IpNetwork]) -> Result<Observed, HostError> {
        let netlink = &self.netlink;
        Ok(Observed {
            addresses: self.addresses(ours)?.into_iter().collect(),
            routes: self
                .routes()?
                .into_iter()
                .map(|route| (route.key, route))
                .collect(),
            rules: self.rules()?,
            endpoints: netlink
                .endpoints(ours)
                .map_err(HostError::object("MPTCP endpoints"))?,
            limits: Some(
                netlink
                    .limits()
                    .map_err(HostError::object("MPTCP limits"))?,
            ),
            guard: self.nft.observe().cloned(),
            devices: self
                .devices()?
                .into_iter()
                .map(|d| (d.name, d.index))
                .collect(),
        })
    }
}
