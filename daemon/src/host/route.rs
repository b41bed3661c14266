//! Routes ↔ rtnetlink's messages.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::names::PathNumber;
use crate::plan::{FIRST_TABLE, LAST_METRIC, MAIN_TABLE, PROTOCOL, RouteKey};

use super::{Host, HostError};

/// A route of ours as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KernelRoute {
    pub(super) key: RouteKey,
    /// `None`: unreachable.
    pub(super) device: Option<u32>,
    pub(super) source: Option<IpAddr>,
}

impl fmt::Display for KernelRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.device.is_none() {
            "unreachable "
        } else {
            ""
        };
        write!(f, "{kind}route {}", self.key.destination)?;
        if self.key.table != MAIN_TABLE {
            write!(f, " table {}", self.key.table)?;
        }
        Ok(())
    }
}

pub(super) fn family(v6: bool) -> AddressFamily {
    if v6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    }
}

/// One of the tables 51800 + k.
pub(super) fn is_path_table(table: u32) -> bool {
    let number = table.checked_sub(FIRST_TABLE);
    number.is_some_and(|number| (1..=u32::from(PathNumber::MAX)).contains(&number))
}

impl Host {
    /// All routes of ours: by their protocol number, in the tables that we use.
    pub(super) fn routes(&self) -> Result<Vec<KernelRoute>, HostError> {
        let mut routes = Vec::new();
        for v6 in [false, true] {
            let mut message = RouteMessage::default();
            message.header.address_family = family(v6);
            let dump = RouteNetlinkMessage::GetRoute(message);
            let answers = self
                .netlink
                .dump(dump)
                .map_err(HostError::object("routes"))?;
            routes.extend(answers.into_iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(message) => kernel_route(&message, v6),
                _ => None,
            }));
        }
        Ok(routes)
    }

    /// Our routes to single addresses in the main table: address → device.
    pub fn main_routes(&self) -> Result<BTreeMap<IpAddr, String>, HostError> {
        let devices = self.devices()?;
        let name = |index: u32| {
            devices
                .iter()
                .find(|d| d.index == index)
                .map(|d| d.name.clone())
        };
        let routes = self.routes()?.into_iter().filter_map(|route| {
            let RouteKey {
                table, destination, ..
            } = route.key;
            let single = destination.prefix() == if destination.is_ipv6() { 128 } else { 32 };
            let device = route.device.and_then(name);
            (table == MAIN_TABLE && single).then(|| Some((destination.ip(), device?)))?
        });
        Ok(routes.collect())
    }

    /// Refused where another program has a route of the same prefix and rank.
    pub(super) fn add_route(&self, route: &KernelRoute) -> Result<(), HostError> {
        self.new_route(route, NLM_F_EXCL)
    }

    /// Puts the route in the place of ours of the same key, in one step: no packet finds none.
    pub(super) fn replace_route(&self, route: &KernelRoute) -> Result<(), HostError> {
        self.new_route(route, NLM_F_REPLACE)
    }

    fn new_route(&self, route: &KernelRoute, flags: u16) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::NewRoute(route_message(route));
        self.netlink
            .change(message, NLM_F_CREATE | flags)
            .map_err(HostError::object(route))
    }

    pub(super) fn remove_route(&self, route: &KernelRoute) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::DelRoute(route_message(route));
        self.netlink
            .change(message, 0)
            .map_err(HostError::object(route))
    }
}

fn route_message(route: &KernelRoute) -> RouteMessage {
    let RouteKey {
        table,
        destination,
        last,
    } = route.key;
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(destination.is_ipv6());
    header.destination_prefix_length = destination.prefix();
    header.protocol = RouteProtocol::Other(PROTOCOL);
    header.table = RouteHeader::RT_TABLE_UNSPEC;
    header.kind = RouteType::Unreachable;
    header.scope = RouteScope::Universe;
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(table));
    if let Some(device) = route.device {
        header.kind = RouteType::Unicast;
        if !destination.is_ipv6() {
            header.scope = RouteScope::Link;
        }
        attributes.push(RouteAttribute::Oif(device));
    }
    if destination.prefix() > 0 {
        let to = route_address(destination.network());
        attributes.push(RouteAttribute::Destination(to));
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(route_address(source)));
    }
    if last {
        attributes.push(RouteAttribute::Priority(LAST_METRIC));
    }
    message
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

fn kernel_route(message: &RouteMessage, v6: bool) -> Option<KernelRoute> {
    let header = &message.header;
    // A kernel without IPv6 answers a question for it with all that it has.
    if header.protocol != RouteProtocol::Other(PROTOCOL) || header.address_family != family(v6) {
        return None;
    }
    let mut to: IpAddr = if v6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let (mut table, mut last) = (u32::from(header.table), false);
    let (mut device, mut source) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(value) => table = *value,
            RouteAttribute::Destination(address) => to = ip_address(address)?,
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::PrefSource(address) => source = ip_address(address),
            RouteAttribute::Priority(metric) => last = *metric == LAST_METRIC,
            _ => {}
        }
    }
    if table != MAIN_TABLE && !is_path_table(table) {
        return None;
    }
    let key = RouteKey {
        table,
        destination: IpNetwork::new(to, header.destination_prefix_length).ok()?,
        last,
    };
    // The kernel shows IPv6's refusing routes as going out by `lo`.
    let device = device.filter(|_| header.kind == RouteType::Unicast);
    Some(KernelRoute {
        key,
        device,
        source,
    })
}

fn ip_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}
