//! Addresses, routes and rules ↔ rtnetlink's messages.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::plan::{LAST_METRIC, PROTOCOL, RouteKey, Rule};

use super::{Host, HostError};

/// A route of ours as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRoute {
    pub key: RouteKey,
    /// `None`: unreachable.
    pub device: Option<u32>,
    pub source: Option<IpAddr>,
}

fn family(v6: bool) -> AddressFamily {
    if v6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    }
}

impl Host {
    /// Our addresses on the loopback device, as far as they lie in `ours`.
    pub(super) fn addresses(&self, ours: &[IpNetwork]) -> Result<Vec<IpAddr>, HostError> {
        let dump = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self
            .netlink
            .dump(dump)
            .map_err(HostError::object("addresses"))?;
        let addresses = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) if message.header.index == LOOPBACK => message
                .attributes
                .into_iter()
                .find_map(|attribute| match attribute {
                    AddressAttribute::Address(address) => Some(address),
                    _ => None,
                }),
            _ => None,
        });
        Ok(addresses
            .filter(|address| ours.iter().any(|net| net.contains(*address)))
            .collect())
    }

    pub(super) fn add_address(&self, address: IpAddr) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::NewAddress(address_message(address));
        self.netlink
            .change(message, NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(HostError::object(format!("address {address} on lo")))
    }

    pub(super) fn remove_address(&self, address: IpAddr) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::DelAddress(address_message(address));
        self.netlink
            .change(message, 0)
            .map_err(HostError::object(format!("address {address}")))
    }

    /// All routes with our protocol number, in all tables.
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

    /// Adds a route, or replaces the one of the same key in one step.
    pub(super) fn set_route(&self, route: &KernelRoute) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::NewRoute(route_message(route));
        self.netlink
            .change(message, NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(HostError::object(describe(&route.key)))
    }

    pub(super) fn remove_route(&self, route: &KernelRoute) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::DelRoute(route_message(route));
        self.netlink
            .change(message, 0)
            .map_err(HostError::object(describe(&route.key)))
    }

    /// All rules with our protocol number.
    pub(super) fn rules(&self) -> Result<Vec<Rule>, HostError> {
        let mut rules = Vec::new();
        for v6 in [false, true] {
            let mut message = RuleMessage::default();
            message.header.family = family(v6);
            let dump = RouteNetlinkMessage::GetRule(message);
            let answers = self
                .netlink
                .dump(dump)
                .map_err(HostError::object("rules"))?;
            rules.extend(answers.into_iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRule(message) => kernel_rule(&message),
                _ => None,
            }));
        }
        Ok(rules)
    }

    pub(super) fn add_rule(&self, rule: Rule) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::NewRule(rule_message(rule));
        self.netlink
            .change(message, NLM_F_CREATE | NLM_F_EXCL)
            .map_err(HostError::object(format!("rule from {}", rule.from)))
    }

    pub(super) fn remove_rule(&self, rule: Rule) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::DelRule(rule_message(rule));
        self.netlink
            .change(message, 0)
            .map_err(HostError::object(format!("rule from {}", rule.from)))
    }
}

/// `lo` is always the first device of a network namespace.
const LOOPBACK: u32 = 1;

fn address_message(address: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address.is_ipv6());
    message.header.prefix_len = if address.is_ipv6() { 128 } else { 32 };
    message.header.index = LOOPBACK;
    message.header.scope = AddressScope::Universe;
    if address.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    } else {
        message.attributes.push(AddressAttribute::Local(address));
    }
    message.attributes.push(AddressAttribute::Address(address));
    message
}

fn describe(key: &RouteKey) -> String {
    format!("route to {} in table {}", key.destination, key.table)
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
        header.scope = if destination.is_ipv6() {
            RouteScope::Universe
        } else {
            RouteScope::Link
        };
        attributes.push(RouteAttribute::Oif(device));
    }
    if destination.prefix() > 0 {
        attributes.push(RouteAttribute::Destination(route_address(
            destination.network(),
        )));
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
    if message.header.protocol != RouteProtocol::Other(PROTOCOL) {
        return None;
    }
    let any: IpAddr = if v6 {
        [0u8; 16].into()
    } else {
        [0u8; 4].into()
    };
    let (mut table, mut to, mut last) = (u32::from(message.header.table), any, false);
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
    let destination = IpNetwork::new(to, message.header.destination_prefix_length).ok()?;
    // The kernel shows IPv6's refusing routes as going out by `lo`.
    let device = device.filter(|_| message.header.kind == RouteType::Unicast);
    Some(KernelRoute {
        key: RouteKey {
            table,
            destination,
            last,
        },
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

fn rule_message(rule: Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(rule.from.is_ipv6());
    message.header.src_len = if rule.from.is_ipv6() { 128 } else { 32 };
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Source(rule.from),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)),
    ];
    message
}

fn kernel_rule(message: &RuleMessage) -> Option<Rule> {
    let (mut from, mut priority, mut ours) = (None, 0, false);
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = Some(*address),
            RuleAttribute::Table(value) => table = *value,
            RuleAttribute::Priority(value) => priority = *value,
            RuleAttribute::Protocol(protocol) => {
                ours = *protocol == RouteProtocol::Other(PROTOCOL);
            }
            _ => {}
        }
    }
    ours.then_some(Rule {
        from: from?,
        table,
        priority,
    })
}
