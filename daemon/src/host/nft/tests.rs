//! The guard's chains against real packets: a site between its own network (`lan`), an ISP and a
//! peer, whose end of the tunnel is a veth of a tunnel's name. Without the guard every packet of
//! the table arrives: only the guard makes the difference.
//! ```text
//!   lan 192.168.7.2 ── lan0  site  isp1 ── 198.51.100.2 isp (default route, and an attacker)
//!                        10.213.1.1 │ pw-b-1
//!                       peer 10.213.2.1, 192.168.8.2 behind it
//! ```

use std::collections::BTreeMap;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::host::tests::{Space, view};
use crate::plan::desired;

struct Layout {
    site: Space,
    lan: Space,
    isp: Space,
    peer: Space,
}

impl Layout {
    fn new() -> Option<Self> {
        let layout = Self {
            site: Space::new()?,
            lan: Space::new()?,
            isp: Space::new()?,
            peer: Space::new()?,
        };
        for space in [&layout.site, &layout.lan, &layout.isp, &layout.peer] {
            // Neighbours are asked at once, not after a second of duplicate address detection.
            space.sh(
                "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
                 net.ipv4.conf.all.rp_filter=0",
            );
        }
        layout.wire("lan0", &layout.lan, ["192.168.7", "fd07:1:"]);
        layout.wire("isp1", &layout.isp, ["198.51.100", "2001:db8:"]);
        layout.wire("pw-b-1", &layout.peer, ["10.255.0", "fd99:"]);
        layout.site.sh(
            "ip addr add 10.213.1.1/32 dev lo; ip addr add fd50:7761:7665:1::1/128 dev lo nodad
             ip route add default via 198.51.100.2; ip route add default via 2001:db8::2
             ip route add 172.17.0.2/32 via 192.168.7.2; ip route add fd17::2/128 via fd07:1::2
             sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
        );
        takes_addresses(
            &layout.peer,
            "10.213.2.1 192.168.8.2",
            "fd50:7761:7665:2::1 fd07:2::2",
        );
        takes_addresses(&layout.lan, "172.17.0.2", "fd17::2");
        takes_addresses(&layout.isp, "203.0.113.9", "2001:db8:9::9");
        Some(layout)
    }

    /// A veth from the site to `far`, which gets `.2` of the prefixes and its default route.
    fn wire(&self, device: &str, far: &Space, [four, six]: [&str; 2]) {
        self.site.sh(&format!(
            "ip link add {device} type veth peer name eth0 netns {path}
             ip addr add {four}.1/24 dev {device}; ip addr add {six}:1/64 dev {device} nodad
             ip link set {device} up; sysctl -qw net.ipv4.conf.{device}.rp_filter=0",
            path = far.path()
        ));
        far.sh(&format!(
            "ip addr add {four}.2/24 dev eth0; ip addr add {six}:2/64 dev eth0 nodad
             ip link set eth0 up; sysctl -qw net.ipv4.conf.eth0.rp_filter=0
             ip route add default via {four}.1; ip route add default via {six}:1"
        ));
    }

    fn tunnel_routes(&self, verb: &str) {
        self.site.sh(&format!(
            "for r in 10.213.2.1/32 192.168.8.0/24; do ip route {verb} $r via 10.255.0.2; done
             for r in fd50:7761:7665:2::1/128 fd07:2::/64; do ip -6 route {verb} $r via fd99::2
             done"
        ));
    }

    fn place(&self, name: &str) -> &Space {
        match name {
            "lan" => &self.lan,
            "isp" => &self.isp,
            "peer" => &self.peer,
            _ => &self.site,
        }
    }

    /// With the guard each case is as it says; without it everything arrives.
    fn check(&self, when: &str, guard: &Guard, cases: &[Case]) {
        let mut nft = Nft::default();
        for guarded in [true, false] {
            self.site
                .run(|| {
                    if guarded {
                        nft.load(guard)
                    } else {
                        nft.unload()
                    }
                })
                .unwrap();
            for (case, v6) in cases.iter().flat_map(|case| [(case, false), (case, true)]) {
                let family = if v6 { "IPv6" } else { "IPv4" };
                let (from, to) = (case.from, case.to);
                let said = format!("{when}, {family}, guard {guarded}: {from:?} to {to:?}");
                assert_eq!(self.arrives(case, v6), case.passes || !guarded, "{said}");
            }
        }
    }

    /// A datagram gets from one place to the other.
    fn arrives(&self, case: &Case, v6: bool) -> bool {
        let end = |(place, address): (&str, &str)| (self.place(place), case.address(address, v6));
        let ((from, source), (to, destination)) = (end(case.from), end(case.to));
        let receiver = to.run(|| UdpSocket::bind(SocketAddr::new(destination, 0)).unwrap());
        let destination = receiver.local_addr().unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        from.run(|| {
            let sender = UdpSocket::bind(SocketAddr::new(source, 0)).unwrap();
            // That it may be refused at once is the point.
            sender.send_to(b"secret", destination).is_ok()
        }) && receiver.recv(&mut [0; 16]).is_ok()
    }
}

fn takes_addresses(space: &Space, four: &str, six: &str) {
    space.sh(&format!(
        "for a in {four}; do ip addr add $a/32 dev lo; done
         for a in {six}; do ip addr add $a/128 dev lo nodad; done"
    ));
}

/// One way of a datagram: place and address, the last parts of which are those of IPv4.
struct Case {
    from: (&'static str, &'static str),
    to: (&'static str, &'static str),
    passes: bool,
}

impl Case {
    fn address(&self, name: &str, v6: bool) -> IpAddr {
        let (four, six) = match name {
            "site" => ("10.213.1.1", "fd50:7761:7665:1::1"),
            "site's lan0" => ("192.168.7.1", "fd07:1::1"),
            "lan" => ("192.168.7.2", "fd07:1::2"),
            "peer" => ("10.213.2.1", "fd50:7761:7665:2::1"),
            "behind peer" => ("192.168.8.2", "fd07:2::2"),
            "container" => ("172.17.0.2", "fd17::2"),
            "isp" => ("198.51.100.2", "2001:db8::2"),
            _ => ("203.0.113.9", "2001:db8:9::9"),
        };
        if v6 { six } else { four }.parse().unwrap()
    }
}

fn case(
    from: (&'static str, &'static str),
    to: (&'static str, &'static str),
    passes: bool,
) -> Case {
    Case { from, to, passes }
}

/// While the tunnel's routes are there.
fn with_tunnel() -> Vec<Case> {
    vec![
        case(("site", "site"), ("peer", "peer"), true),
        case(("peer", "peer"), ("site", "site"), true),
        case(("lan", "lan"), ("peer", "peer"), true),
        case(("lan", "lan"), ("peer", "behind peer"), true),
        case(("peer", "peer"), ("lan", "lan"), true),
        case(("peer", "behind peer"), ("lan", "lan"), true),
        // A container with a published port is in none of the site's subnets.
        case(("peer", "peer"), ("lan", "container"), true),
        case(("lan", "container"), ("peer", "peer"), true),
        // The site's own network is never cut off, from the site nor from elsewhere.
        case(("lan", "lan"), ("site", "site"), true),
        case(("site", "site"), ("lan", "lan"), true),
        case(("lan", "lan"), ("site", "site's lan0"), true),
        case(("lan", "lan"), ("isp", "internet"), true),
        case(("isp", "isp"), ("lan", "lan"), true),
        // From outside nothing comes to the overlay, nor through it.
        case(("isp", "isp"), ("site", "site"), false),
        case(("isp", "isp"), ("peer", "peer"), false),
        case(("isp", "isp"), ("peer", "behind peer"), false),
        // What comes out of the tunnel goes to the own network only.
        case(("peer", "peer"), ("isp", "internet"), false),
        case(("peer", "behind peer"), ("isp", "isp"), false),
        case(("site", "site"), ("isp", "internet"), false),
    ]
}

/// While somebody at the ISP uses other people's addresses.
fn with_spoofer() -> Vec<Case> {
    vec![
        case(("isp", "peer"), ("site", "site"), false),
        case(("isp", "lan"), ("site", "site"), false),
    ]
}

/// While they are gone, and the default route would take everything.
fn without_tunnel() -> Vec<Case> {
    vec![
        case(("site", "site"), ("isp", "peer"), false),
        case(("site", "site"), ("isp", "behind peer"), false),
        case(("lan", "lan"), ("isp", "peer"), false),
        case(("lan", "lan"), ("isp", "behind peer"), false),
        case(("lan", "lan"), ("isp", "internet"), true),
        case(("lan", "lan"), ("site", "site"), true),
        case(("site", "site"), ("lan", "lan"), true),
    ]
}

#[test]
fn nothing_passes_between_overlay_and_isp_and_the_own_network_is_never_cut_off() {
    let Some(layout) = Layout::new() else { return };
    let guard = desired(&view(""), &BTreeMap::new(), &BTreeMap::new())
        .guard
        .unwrap();
    layout.tunnel_routes("add");
    layout.check("tunnel", &guard, &with_tunnel());
    layout.tunnel_routes("del");
    takes_addresses(
        &layout.isp,
        "10.213.2.1 192.168.8.2",
        "fd50:7761:7665:2::1 fd07:2::2",
    );
    layout.check("no tunnel", &guard, &without_tunnel());
    layout.tunnel_routes("add");
    takes_addresses(&layout.isp, "192.168.7.2", "fd07:1::2");
    layout.check("spoofer", &guard, &with_spoofer());
}

#[test]
fn the_guard_is_known_again_changed_by_somebody_and_gone() {
    let Some(space) = Space::new() else { return };
    let guard = desired(&view(""), &BTreeMap::new(), &BTreeMap::new())
        .guard
        .unwrap();
    let mut nft = space.run(Nft::open);
    space.run(|| {
        assert_eq!(nft.observe(), Loaded::Nothing);
        nft.load(&guard).unwrap();
        assert_eq!(nft.observe(), Loaded::Whole(guard.clone()));
        assert!(
            !nft.news.as_ref().unwrap().forget(),
            "nothing changed since"
        );
        assert_eq!(nft.observe(), Loaded::Whole(guard.clone()));
        assert_eq!(
            Nft::default().observe(),
            Loaded::Unknown,
            "in another process"
        );
        nft.load(&guard).unwrap();
    });
    space.sh("nft flush chain inet pathweave forward");
    assert_eq!(space.run(|| nft.observe()), Loaded::Unknown);
    space.sh("nft delete table inet pathweave");
    assert_eq!(space.run(|| nft.observe()), Loaded::Nothing);
}

#[test]
fn an_nft_that_does_not_know_mptcp_still_gets_all_the_rest() {
    let Some(space) = Space::new() else { return };
    let guard = desired(&view(""), &BTreeMap::new(), &BTreeMap::new())
        .guard
        .unwrap();
    space.run(|| script(&guard.script(false)).unwrap());
    let listing = space.sh("nft list table inet pathweave");
    assert!(!listing.contains("mptcp"), "{listing}");
    for chain in [
        "chain output",
        "chain forward",
        "chain input",
        "chain refuse",
    ] {
        assert!(listing.contains(chain), "{listing}");
    }
}
