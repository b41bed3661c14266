//! A customer's router: the site's device is behind address translation.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;

use crate::laboratory::{Site, outer};
use crate::namespace::Namespace;

/// Between a site's link and its ISP; translates addresses until it is dropped.
#[derive(Debug)]
pub struct Router {
    namespace: Namespace,
    device: String,
    mapping: Cell<Mapping>,
}

/// Which port outside a flow gets.
#[derive(Clone, Copy, Debug)]
enum Mapping {
    /// Each destination another one, by chance ("symmetric").
    Random,
    /// This one, whatever the destination (RFC 4787 section 4.1); only those who were written to
    /// are let in, and only by the port that was written to.
    Kept(u16),
}

impl Router {
    /// Puts link `number` of a site (from 1) behind a router, before its daemon is started: the
    /// ISP's device and address become the router's, and the site's device gets `192.168.<n>.2`.
    /// Each new mapping gets a port by chance.
    pub fn put_before(site: &Site, number: u8) -> io::Result<Self> {
        let namespace = Namespace::new()?;
        let device = format!("isp{number}");
        let (address, _) = outer(number, site.id);
        let into = |other: &Namespace| {
            format!(
                "/proc/{}/fd/{}",
                std::process::id(),
                other.file().as_raw_fd()
            )
        };
        site.namespace()
            .shell(&format!("ip link set {device} netns {}", into(&namespace)));
        namespace.shell(&format!(
            "ip addr add {address}/32 dev {device}; ip link set {device} up
             ip route add default dev {device}
             ip link add lan type veth peer name {device} netns {}
             ip addr add 192.168.{number}.1/24 dev lan; ip link set lan up
             sysctl -qw net.ipv4.ip_forward=1",
            into(site.namespace())
        ));
        let metric = 100 + u32::from(number);
        site.namespace().shell(&format!(
            "ip addr add 192.168.{number}.2/24 dev {device}; ip link set {device} up
             ip route add default via 192.168.{number}.1 dev {device} metric {metric}"
        ));
        let router = Self {
            namespace,
            device,
            mapping: Cell::new(Mapping::Random),
        };
        router.translate();
        Ok(router)
    }

    fn translate(&self) {
        let device = &self.device;
        let port = match self.mapping.get() {
            Mapping::Random => "20000-60000 random".to_owned(),
            Mapping::Kept(port) => port.to_string(),
        };
        self.namespace.shell(&format!(
            "nft 'table ip nat {{
                chain post {{ type nat hook postrouting priority srcnat; \
                    oifname {device} meta l4proto udp masquerade to :{port}; }}; \
                chain input {{ type filter hook input priority filter; \
                    iifname {device} ct state new drop; }}; \
             }}'"
        ));
    }

    /// From now on it is like most people's: a flow's port outside does not depend on where it
    /// goes to.
    pub fn keep_port(&self) {
        self.mapping.set(Mapping::Kept(20_000));
        self.forget();
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Runs a shell line on the router.
    pub fn shell(&self, line: &str) -> String {
        self.namespace.shell(line)
    }

    /// The site's device is pulled out, and comes back a second later as another one.
    pub fn replace_lan(&self, site: &Namespace, number: u8) {
        let device = &self.device;
        site.shell(&format!("ip link del {device}"));
        std::thread::sleep(std::time::Duration::from_secs(1));
        site.shell(&format!("ip link add {device} type veth peer name lan"));
        let router = format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.namespace.file().as_raw_fd()
        );
        site.shell(&format!("ip link set lan netns {router}"));
        self.namespace.shell(&format!(
            "ip addr add 192.168.{number}.1/24 dev lan; ip link set lan up"
        ));
        let metric = 100 + u32::from(number);
        site.shell(&format!(
            "ip addr add 192.168.{number}.2/24 dev {device}; ip link set {device} up
             ip route add default via 192.168.{number}.1 dev {device} metric {metric}"
        ));
    }

    /// Forgets all mappings, as a router does that was switched off and on: the next packet comes
    /// out of another port.
    pub fn forget(&self) {
        if let Mapping::Kept(port) = self.mapping.get() {
            self.mapping.set(Mapping::Kept(port + 1));
        }
        self.namespace.shell("nft delete table ip nat");
        // The kernel forgets the mappings of a device that goes down (nf_nat_masquerade.c).
        let device = &self.device;
        self.namespace.shell(&format!(
            "ip link set {device} down; ip link set {device} up; ip route replace default dev {device}"
        ));
        self.translate();
    }

    /// A carrier's: a mapping that is silent for so many seconds is forgotten.
    pub fn forget_after(&self, seconds: u32) -> io::Result<()> {
        for name in ["udp_timeout", "udp_timeout_stream"] {
            let name = format!("net/netfilter/nf_conntrack_{name}");
            self.namespace.set_sysctl(&name, &seconds.to_string())?;
        }
        Ok(())
    }
}
