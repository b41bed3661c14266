//! What the machine is like → the site that is proposed. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pathweaved::config::Fleet;
use pathweaved::names::{InterfaceName, Name};

/// What of this machine matters.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) host_name: String,
    /// In the kernel's order.
    pub(super) devices: Vec<Device>,
    pub(super) firewall: Option<Firewall>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    /// Another VPN's: what leaves by it leaves by one of the others.
    pub(super) is_tunnel: bool,
    /// Those that stay: no privacy addresses, no deprecated ones, no link-local ones.
    pub(super) addresses: Vec<IpAddr>,
    /// Of its best default route.
    pub(super) metric: Option<u32>,
}

/// Which program keeps the packet filter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Firewall {
    Ufw,
    Firewalld,
}

/// The site that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) name: String,
    pub(super) id: u8,
    pub(super) links: Vec<ProposedLink>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProposedLink {
    pub(super) name: String,
    pub(super) interface: String,
    pub(super) endpoint: Option<String>,
    /// Why it has, or has not, an endpoint.
    pub(super) note: String,
}

impl ProposedLink {
    /// As `--link` takes it.
    pub(super) fn spelled(&self) -> String {
        let mut text = format!("{},interface={}", self.name, self.interface);
        if let Some(endpoint) = &self.endpoint {
            text += &format!(",endpoint={endpoint}");
        }
        text
    }
}

/// A link for each device that has a default route, the preferred one first. `fleet`: those that
/// are there already.
pub(super) fn propose(facts: &Facts, fleet: Option<&Fleet>) -> Proposal {
    let id = free_id(fleet);
    let name = site_name(&facts.host_name, id);
    let is_taken = fleet.is_some_and(|fleet| has_site(fleet, &name));
    let mut devices: Vec<_> = facts
        .devices
        .iter()
        .filter(|device| leads_out(device))
        .collect();
    devices.sort_by_key(|device| device.metric);
    Proposal {
        name: if is_taken {
            shortened(&name, &format!("-{id}"))
        } else {
            name
        },
        id,
        links: devices.into_iter().map(link).collect(),
    }
}

pub(super) fn has_site(fleet: &Fleet, name: &str) -> bool {
    fleet.sites.values().any(|site| site.name.as_str() == name)
}

/// The devices with an address that are left aside.
pub(super) fn left_aside(facts: &Facts) -> Vec<&str> {
    let aside = facts.devices.iter().filter(|device| {
        !leads_out(device) && !device.addresses.is_empty() && !is_ours(&device.name)
    });
    aside.map(|device| device.name.as_str()).collect()
}

fn leads_out(device: &Device) -> bool {
    device.metric.is_some() && !device.is_tunnel && !is_ours(&device.name)
}

fn is_ours(name: &str) -> bool {
    name == "lo" || name.starts_with(InterfaceName::OURS)
}

fn free_id(fleet: Option<&Fleet>) -> u8 {
    let taken = |id: &u8| {
        let mut sites = fleet.iter().flat_map(|fleet| fleet.sites.keys());
        sites.any(|site| site.value() == *id)
    };
    (1..=254).find(|id| !taken(id)).unwrap_or(254)
}

/// The host's own part of its name. What is no name says nothing, or would be everybody's.
fn site_name(host_name: &str, id: u8) -> String {
    let first = host_name.split('.').next().unwrap_or_default();
    let name = written_as_a_name(first);
    match name.parse::<Name>() {
        Ok(_) if name != "localhost" => name,
        Ok(_) | Err(_) => format!("site-{id}"),
    }
}

fn written_as_a_name(text: &str) -> String {
    let fitting = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    };
    let text: String = text.chars().map(fitting).collect();
    let text = text.trim_matches('-');
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return shortened(&format!("site-{text}"), "");
    }
    shortened(text, "")
}

/// At most 32 letters, with what it shall end on.
fn shortened(text: &str, end: &str) -> String {
    let room = 32_usize.saturating_sub(end.len());
    text.chars().take(room).collect::<String>() + end
}

fn link(device: &Device) -> ProposedLink {
    let best = device
        .addresses
        .iter()
        .min_by_key(|address| rank(**address));
    let (endpoint, note) = match best {
        None => (None, "no address yet: no endpoint, it dials".to_owned()),
        Some(address) => match behind(*address) {
            None => (
                Some(written(*address)),
                format!("{address} is public; if it changes, name a DNS name that follows it"),
            ),
            Some(what) => (None, format!("{address} is {what}: no endpoint, it dials")),
        },
    };
    ProposedLink {
        name: written_as_a_name(&device.name),
        interface: device.name.clone(),
        endpoint,
        note,
    }
}

/// Public before hidden, IPv4 before IPv6: more sites have it.
fn rank(address: IpAddr) -> (bool, bool) {
    (behind(address).is_some(), address.is_ipv6())
}

/// Why others cannot reach an address; `None` if they may.
fn behind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) if v4.is_private() => Some("private, behind NAT"),
        // RFC 6598 and, of DS-Lite, RFC 7335.
        IpAddr::V4(v4) if matches!(v4.octets(), [100, 64..=127, ..] | [192, 0, 0, _]) => {
            Some("shared, behind a carrier's NAT")
        }
        IpAddr::V4(v4) if v4.is_link_local() || v4 == Ipv4Addr::UNSPECIFIED => Some("local"),
        IpAddr::V6(v6) if v6.is_unique_local() => Some("private"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() || v6 == Ipv6Addr::UNSPECIFIED => {
            Some("local")
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

fn written(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

#[cfg(test)]
mod tests;
