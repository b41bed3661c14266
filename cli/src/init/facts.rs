//! What this machine is like, as the kernel tells it.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel tells much that is none of our business"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use pathweaved::host::netlink::Netlink;

use super::proposal::{Device, Facts, Firewall};

pub(super) fn look() -> io::Result<Facts> {
    let netlink = Netlink::open()?;
    let mut devices = devices(&netlink)?;
    addresses(&netlink, &mut devices)?;
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        default_routes(&netlink, family, &mut devices)?;
    }
    Ok(Facts {
        host_name: fs::read_to_string("/proc/sys/kernel/hostname")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        devices: devices.into_values().collect(),
        firewall: firewall(),
    })
}

/// By index.
type Devices = BTreeMap<u32, Device>;

fn devices(netlink: &Netlink) -> io::Result<Devices> {
    let dump = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut devices = Devices::new();
    for answer in netlink.dump(dump)? {
        let RouteNetlinkMessage::NewLink(message) = answer else {
            continue;
        };
        let mut device = Device::default();
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name = name,
                LinkAttribute::LinkInfo(infos) => {
                    device.is_tunnel = infos.contains(&LinkInfo::Kind(InfoKind::Wireguard));
                }
                _ => {}
            }
        }
        devices.insert(message.header.index, device);
    }
    Ok(devices)
}

fn addresses(netlink: &Netlink, devices: &mut Devices) -> io::Result<()> {
    let dump = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    for answer in netlink.dump(dump)? {
        let RouteNetlinkMessage::NewAddress(message) = answer else {
            continue;
        };
        let Some(device) = devices.get_mut(&message.header.index) else {
            continue;
        };
        device.addresses.extend(lasting(&message));
    }
    Ok(())
}

/// The address, if it is one by which others could find this machine tomorrow.
fn lasting(message: &AddressMessage) -> Option<IpAddr> {
    let (mut address, mut local, mut flags) = (None, None, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(value) => address = Some(*value),
            AddressAttribute::Local(value) => local = Some(*value),
            AddressAttribute::Flags(value) => flags = *value,
            _ => {}
        }
    }
    let fleeting = AddressFlags::Deprecated | AddressFlags::Tentative | AddressFlags::Dadfailed;
    // A privacy address has the flag of a second address of its prefix; so have IPv4's, which stay.
    let is_private = local.or(address)?.is_ipv6() && flags.intersects(AddressFlags::Secondary);
    let lasting = message.header.scope == AddressScope::Universe
        && !flags.intersects(fleeting)
        && !is_private;
    // Of a point-to-point device `Address` is the far end.
    local.or(address).filter(|_| lasting)
}

/// Of all tables: with several ISPs, each one's default route often stands in a table of its own.
fn default_routes(
    netlink: &Netlink,
    family: AddressFamily,
    devices: &mut Devices,
) -> io::Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    for answer in netlink.dump(RouteNetlinkMessage::GetRoute(message))? {
        let RouteNetlinkMessage::NewRoute(route) = answer else {
            continue;
        };
        let is_default = route.header.destination_prefix_length == 0
            && route.header.kind == RouteType::Unicast
            && route.header.address_family == family;
        if !is_default {
            continue;
        }
        let metric = metric(&route);
        for index in out_of(&route) {
            if let Some(device) = devices.get_mut(&index) {
                device.metric = Some(device.metric.unwrap_or(u32::MAX).min(metric));
            }
        }
    }
    Ok(())
}

fn metric(route: &RouteMessage) -> u32 {
    let priority = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Priority(metric) => Some(*metric),
            _ => None,
        });
    priority.unwrap_or(0)
}

/// The devices that it leaves by: a route may have several ways.
fn out_of(route: &RouteMessage) -> Vec<u32> {
    let mut out = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => out.push(*index),
            RouteAttribute::MultiPath(ways) => {
                out.extend(ways.iter().map(|way| way.interface_index));
            }
            _ => {}
        }
    }
    out
}

fn firewall() -> Option<Firewall> {
    let ufw = fs::read_to_string("/etc/ufw/ufw.conf").unwrap_or_default();
    if ufw.lines().any(|line| line.trim() == "ENABLED=yes") {
        return Some(Firewall::Ufw);
    }
    Path::new("/run/firewalld")
        .exists()
        .then_some(Firewall::Firewalld)
}
