//! The checked form of the fleet file. A value of these types keeps every rule of the file:
//! ids, names, keys and prefixes are unique, every path's links exist.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use crate::names::{InterfaceName, Name, PathId, PathNumber, PublicKey, SiteId};

/// The whole overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub overlay: OverlayPrefixes,
    /// UDP port of every pathweave site's sockets.
    pub listen_port: u16,
    /// `false` only by explicit wish: the daemon then loads no nftables guard.
    pub leak_guard: bool,
    /// Where each site serves metrics that does not say it otherwise.
    pub metrics: Option<Listen>,
    pub path_manager: PathManagerWish,
    /// `pathweave speed` of the other sites is served.
    pub speed_test: bool,
    pub sites: BTreeMap<SiteId, Site>,
    /// Explicit `[[path]]` pairings; a pair of sites not named here is paired 1:1 by order.
    pub pairings: Vec<Pairing>,
}

/// One `[[path]]`: these two links make a path. Sites in ascending order of id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    pub between: [(SiteId, usize); 2],
}

/// Where overlay addresses come from: `10.213.0.0/16` gives `10.213.<site>.<path>`,
/// `fd50:7761:7665::/48` gives `fd50:7761:7665:<site>::<path>` (site in decimal digits' value).
/// At least one family is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlayPrefixes {
    v4: Option<Ipv4Network>,
    v6: Option<Ipv6Network>,
}

impl OverlayPrefixes {
    /// `None` unless at least one prefix is given, v4 is a /16 and v6 a /48.
    pub fn new(v4: Option<Ipv4Network>, v6: Option<Ipv6Network>) -> Option<Self> {
        let lengths = v4.is_none_or(|n| n.prefix() == 16) && v6.is_none_or(|n| n.prefix() == 48);
        (lengths && (v4.is_some() || v6.is_some())).then_some(Self { v4, v6 })
    }

    pub fn v4(&self) -> Option<Ipv4Network> {
        self.v4
    }

    pub fn v6(&self) -> Option<Ipv6Network> {
        self.v6
    }

    pub fn networks(&self) -> impl Iterator<Item = IpNetwork> {
        self.v4
            .map(IpNetwork::V4)
            .into_iter()
            .chain(self.v6.map(IpNetwork::V6))
    }

    /// A_k in IPv4.
    pub fn address_v4(&self, site: SiteId, path: PathNumber) -> Option<Ipv4Addr> {
        let [a, b, ..] = self.v4?.network().octets();
        Some(Ipv4Addr::new(a, b, site.value(), path.value()))
    }

    /// A_k in IPv6.
    pub fn address_v6(&self, site: SiteId, path: PathNumber) -> Option<Ipv6Addr> {
        let mut segments = self.v6?.network().segments();
        segments[3] = u16::from(site.value());
        segments[7] = u16::from(path.value());
        Some(Ipv6Addr::from(segments))
    }

    /// A_k in every family of the overlay, IPv4 first.
    pub fn addresses(&self, site: SiteId, path: PathNumber) -> Vec<IpAddr> {
        let v4 = self.address_v4(site, path).map(IpAddr::V4);
        v4.into_iter()
            .chain(self.address_v6(site, path).map(IpAddr::V6))
            .collect()
    }

    /// All addresses that may ever be `site`'s: a /24 and a /64.
    pub fn site_networks(&self, site: SiteId) -> Vec<IpNetwork> {
        let mut networks = Vec::with_capacity(2);
        if let Some(v4) = self.v4 {
            let [a, b, ..] = v4.network().octets();
            networks.extend(IpNetwork::new(Ipv4Addr::new(a, b, site.value(), 0).into(), 24).ok());
        }
        if let Some(v6) = self.v6 {
            let mut segments = v6.network().segments();
            segments[3] = u16::from(site.value());
            networks.extend(IpNetwork::new(Ipv6Addr::from(segments).into(), 64).ok());
        }
        networks
    }
}

/// What runs at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// pathweaved.
    Pathweave,
    /// Plain `wg`: one WireGuard interface per link, no probes of ours.
    WireGuard,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub id: SiteId,
    pub name: Name,
    pub kind: SiteKind,
    pub public_key: PublicKey,
    /// Networks behind the site, routed like its site address. No two sites' overlap.
    pub subnets: Vec<IpNetwork>,
    pub metrics: Option<Listen>,
    /// At least one.
    pub links: Vec<Link>,
}

/// One ISP attachment of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub name: Name,
    /// The device its sockets are bound to. A pathweave site's link has this or `sources`.
    pub interface: Option<InterfaceName>,
    /// Source addresses to bind to, at most one per family.
    pub sources: Vec<IpAddr>,
    /// Where the other sites send; `None` behind NAT.
    pub endpoint: Option<Endpoint>,
    pub cost: Cost,
    /// Upload and download rate in bit/s, as the contract says; `None` if not stated.
    pub up: Option<u64>,
    pub down: Option<u64>,
    /// Largest outer IP packet of this link in bytes, 1280+80..=65535; default 1500.
    pub mtu: Option<u16>,
    /// False: one packet at a time, for a device or kernel whose offloads are broken.
    pub offload: bool,
    /// A plain wg interface's own key; otherwise the site's key holds.
    pub public_key: Option<PublicKey>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    #[default]
    Flat,
    Metered,
}

/// `host:port`; IPv6 in brackets when written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub host: Host,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    Address(IpAddr),
    /// A DNS name, not resolved yet.
    Name(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
            Host::Address(IpAddr::V4(v4)) => write!(f, "{v4}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Where something is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who shall open MPTCP's subflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathManagerWish {
    /// pathweaved, where the kernel lets it.
    #[default]
    Auto,
    Kernel,
    UserSpace,
}

/// The overlay as one of its sites sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub overlay: OverlayPrefixes,
    pub listen_port: u16,
    pub leak_guard: bool,
    /// Where this site serves metrics.
    pub metrics: Option<Listen>,
    pub path_manager: PathManagerWish,
    /// `pathweave speed` of the other sites is served.
    pub speed_test: bool,
    pub site: Site,
    /// In ascending order of id.
    pub peers: Vec<Peer>,
}

/// Another site, with the paths that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub site: Site,
    /// In ascending order of number, which starts at 1 and has no gap.
    pub paths: Vec<Path>,
}

/// One of our links paired with one of the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub id: PathId,
    /// Index into our `site.links`.
    pub link: usize,
    /// Index into the peer's `site.links`.
    pub remote_link: usize,
    /// `pw-<peer>-<k>`.
    pub interface: InterfaceName,
    /// The key at the far end: the remote link's, else the peer's.
    pub public_key: PublicKey,
    /// Inner MTU in bytes, 1280 or more: the smaller outer MTU less 80 (IPv6 40 + UDP 8 +
    /// WireGuard 32), so that it fits whatever family carries it.
    pub mtu: u16,
}

impl View {
    pub fn peer(&self, id: SiteId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.site.id == id)
    }

    /// Every path to every peer, in order of peer and number.
    pub fn paths(&self) -> impl Iterator<Item = (&Peer, &Path)> {
        self.peers
            .iter()
            .flat_map(|peer| peer.paths.iter().map(move |path| (peer, path)))
    }
}
