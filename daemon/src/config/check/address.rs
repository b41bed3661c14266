//! Addresses that no link, overlay or subnet can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// Prefix, its length, and what its addresses are (IANA's special-purpose registries).
const V4: [(Ipv4Addr, u8, &str); 5] = [
    (Ipv4Addr::UNSPECIFIED, 8, "unspecified"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::BROADCAST, 32, "broadcast"),
];
const V6: [(Ipv6Addr, u8, &str); 5] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
        96,
        "IPv4-mapped",
    ),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// What the network holds that is special.
pub(super) fn special(net: IpNetwork) -> Option<&'static str> {
    let overlaps_v4 = |(prefix, length, _): &&(Ipv4Addr, u8, _)| {
        Ipv4Network::new(*prefix, *length).is_ok_and(|other| overlap(other.into(), net))
    };
    let overlaps_v6 = |(prefix, length, _): &&(Ipv6Addr, u8, _)| {
        Ipv6Network::new(*prefix, *length).is_ok_and(|other| overlap(other.into(), net))
    };
    match net {
        IpNetwork::V4(_) => V4.iter().find(overlaps_v4).map(|(.., what)| *what),
        IpNetwork::V6(_) => V6.iter().find(overlaps_v6).map(|(.., what)| *what),
    }
}

/// A socket can be bound to an IPv4 link-local address, but to no IPv6 one without its device.
pub(super) fn special_source(address: IpAddr) -> Option<&'static str> {
    special(address.into()).filter(|what| address.is_ipv6() || *what != "link-local")
}

pub(super) fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}
