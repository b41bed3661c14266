//! The leak guard: no overlay packet leaves or enters but through a tunnel, whatever happens to
//! routes, and no alien address joins an overlay connection. It backs up the `unreachable`
//! routes, which a route look-up with an output device ignores.
//!
//! Three sides meet here: the tunnels (`pw-*`), the ISPs (the devices of our links) and all
//! others, of which the site's own network is one. A box with a single leg has its own network
//! on an ISP's device: what is between tunnels and own network passes there, too.

use std::collections::BTreeSet;

use ipnetwork::IpNetwork;

use crate::config::View;
use crate::names::InterfaceName;

/// A whole nftables script that puts the guard in place in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    overlay: Vec<IpNetwork>,
    /// What is reached through a tunnel only: the overlay and the peers' subnets.
    remote: Vec<IpNetwork>,
    /// The site's own subnets.
    local: Vec<IpNetwork>,
    isps: BTreeSet<InterfaceName>,
    /// Every link names its device: what comes by another one comes from no ISP.
    isps_known: bool,
}

impl Guard {
    pub const TABLE: &str = "pathweave";

    pub(super) fn of(view: &View) -> Self {
        let overlay: Vec<_> = view.overlay.networks().collect();
        let subnets = view.peers.iter().flat_map(|peer| &peer.site.subnets);
        let devices = || view.site.links.iter().map(|link| link.interface.clone());
        Self {
            remote: overlay.iter().chain(subnets).copied().collect(),
            overlay,
            local: view.site.subnets.clone(),
            isps: devices().flatten().collect(),
            isps_known: devices().all(|device| device.is_some()),
        }
    }

    /// The script for `nft -f`. The table is declared, deleted and made anew: loading it twice
    /// gives the same, and there is no moment without it. `join_rules` is false for an nft that
    /// does not know MPTCP's TCP option (before 1.0.2).
    pub fn script(&self, join_rules: bool) -> String {
        let table = Self::TABLE;
        let chain = |name: &str, hook: &str, rules: &[String]| {
            let rules: String = rules.iter().map(|rule| format!("    {rule}\n")).collect();
            format!("  chain {name} {{\n{hook}{rules}  }}\n")
        };
        let hook = |hook: &str, priority: i8| {
            format!("    type filter hook {hook} priority {priority}; policy accept;\n")
        };
        let mut body = self.sets();
        if join_rules {
            body += &chain("tunnel_out", &hook("output", 9), &joins_out());
            body += &chain("tunnel_in", &hook("input", -11), &joins_in());
        }
        body += &chain("output", &hook("output", 10), &self.output());
        body += &chain("forward", &hook("forward", 10), &forward());
        body += &chain("input", &hook("input", -10), &self.input());
        body += &chain("refuse", "", &refuse());
        format!("table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{body}}}\n")
    }

    fn sets(&self) -> String {
        let mut sets = addresses("overlay", &self.overlay);
        sets += &addresses("remote", &self.remote);
        sets += &addresses("local", &self.local);
        let isps: Vec<_> = self
            .isps
            .iter()
            .map(|device| format!("\"{device}\""))
            .collect();
        sets + &set("isp", "type ifname;", &isps)
    }

    /// What this machine sends itself.
    fn output(&self) -> Vec<String> {
        let mut rules = vec!["oifname { \"lo\", \"pw-*\" } accept".to_owned()];
        rules.extend(both(|ip, n| format!("{ip} daddr @remote{n} goto refuse")));
        if self.isps_known {
            rules.extend(both(|ip, n| {
                format!("oifname != @isp {ip} daddr @local{n} accept")
            }));
        }
        rules.extend(both(|ip, n| format!("{ip} saddr @overlay{n} goto refuse")));
        rules
    }

    /// What is for this machine itself.
    fn input(&self) -> Vec<String> {
        let mut rules = vec!["iifname { \"lo\", \"pw-*\" } accept".to_owned()];
        if self.isps_known {
            rules.extend(both(|ip, n| {
                format!("iifname != @isp {ip} saddr @local{n} accept")
            }));
        }
        rules.extend(both(|ip, n| format!("{ip} daddr @overlay{n} drop")));
        rules
    }
}

/// ADD_ADDR (subtype 3) never leaves; MP_JOIN (subtype 1) only from overlay addresses
/// (RFC 8684 section 3).
fn joins_out() -> Vec<String> {
    let mut rules = vec!["oifname \"pw-*\" tcp option mptcp subtype 3 drop".to_owned()];
    rules.extend(both(|ip, n| {
        format!(
            "oifname \"pw-*\" {ip} saddr != @overlay{n} tcp option mptcp subtype 1 \
             reject with tcp reset"
        )
    }));
    rules
}

fn joins_in() -> Vec<String> {
    vec!["iifname \"pw-*\" tcp option mptcp subtype 3 drop".to_owned()]
}

/// What passes through: from the own network into a tunnel and back. Nobody at an ISP puts
/// packets into a tunnel, and nothing out of a tunnel goes to an ISP but to the own network.
fn forward() -> Vec<String> {
    let mut rules =
        both(|ip, n| format!("iifname @isp oifname \"pw-*\" {ip} saddr != @local{n} drop"));
    rules.push("oifname \"pw-*\" accept".to_owned());
    rules.extend(both(|ip, n| format!("{ip} daddr @remote{n} drop")));
    // Not "to anywhere but our own network": a container's published port is neither.
    rules.extend(both(|ip, n| {
        format!("iifname \"pw-*\" oifname @isp {ip} daddr != @local{n} drop")
    }));
    rules
}

fn refuse() -> Vec<String> {
    vec![
        "meta l4proto tcp reject with tcp reset".to_owned(),
        "reject with icmpx type admin-prohibited".to_owned(),
    ]
}

/// A rule in both families, given the family's word and the ending of its sets.
fn both(rule: impl Fn(&str, u8) -> String) -> Vec<String> {
    vec![rule("ip", 4), rule("ip6", 6)]
}

/// A pair of sets, one for each family.
fn addresses(name: &str, networks: &[IpNetwork]) -> String {
    let of = |v6: bool| {
        let family = networks.iter().filter(|network| network.is_ipv6() == v6);
        family.map(ToString::to_string).collect::<Vec<_>>()
    };
    let kind = |kind: &str| format!("type {kind}; flags interval;");
    set(&format!("{name}4"), &kind("ipv4_addr"), &of(false))
        + &set(&format!("{name}6"), &kind("ipv6_addr"), &of(true))
}

fn set(name: &str, kind: &str, elements: &[String]) -> String {
    if elements.is_empty() {
        return format!("  set {name} {{ {kind} }}\n");
    }
    let elements = elements.join(", ");
    format!("  set {name} {{ {kind} elements = {{ {elements} }} }}\n")
}
