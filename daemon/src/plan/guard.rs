//! The leak guard: no overlay packet leaves or enters but through a tunnel, whatever happens to
//! routes, and no alien address joins an overlay connection. It backs up the `unreachable`
//! routes, which a route look-up with an output device ignores.

use ipnetwork::IpNetwork;

use crate::config::View;

/// A whole nftables script that puts the guard in place in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    overlay: Vec<IpNetwork>,
    /// What must be reached through a tunnel only: the overlay and the peers' subnets.
    remote: Vec<IpNetwork>,
}

impl Guard {
    pub const TABLE: &str = "pathweave";

    pub(super) fn of(view: &View) -> Self {
        let overlay: Vec<_> = view.overlay.networks().collect();
        let subnets = view
            .peers
            .iter()
            .flat_map(|peer| peer.site.subnets.iter().copied());
        let remote = overlay.iter().copied().chain(subnets).collect();
        Self { overlay, remote }
    }

    /// The script for `nft -f`. The table is declared, deleted and made anew: loading it twice
    /// gives the same, and there is no moment without it. `join_rules` is false for an nft that
    /// does not know MPTCP's TCP option (before 1.0.2).
    pub fn script(&self, join_rules: bool) -> String {
        let table = Self::TABLE;
        let joins = if join_rules {
            self.join_rules()
        } else {
            String::new()
        };
        let no_add = "    iifname \"pw-*\" tcp option mptcp subtype 3 drop\n";
        let no_add = if join_rules { no_add } else { "" };
        format!(
            "table inet {table}\n\
             delete table inet {table}\n\
             table inet {table} {{\n\
             \x20 chain tunnel_out {{\n\
             \x20   type filter hook output priority 9; policy accept;\n{joins}\
             \x20 }}\n\
             \x20 chain output {{\n\
             \x20   type filter hook output priority 10; policy accept;\n\
             \x20   oifname {{ \"lo\", \"pw-*\" }} accept\n{output}\
             \x20 }}\n\
             \x20 chain forward {{\n\
             \x20   type filter hook forward priority 10; policy accept;\n\
             \x20   oifname \"pw-*\" accept\n{forward}\
             \x20 }}\n\
             \x20 chain input {{\n\
             \x20   type filter hook input priority -10; policy accept;\n{no_add}\
             \x20   iifname {{ \"lo\", \"pw-*\" }} accept\n{input}\
             \x20 }}\n\
             \x20 chain refuse {{\n\
             \x20   meta l4proto tcp reject with tcp reset\n\
             \x20   reject with icmpx type admin-prohibited\n\
             \x20 }}\n\
             }}\n",
            output = rules(&self.remote, "daddr", "goto refuse")
                + &rules(&self.overlay, "saddr", "goto refuse"),
            forward = rules(&self.remote, "daddr", "drop"),
            input = rules(&self.overlay, "daddr", "drop"),
        )
    }

    /// ADD_ADDR (subtype 3) never leaves; MP_JOIN (subtype 1) only from overlay addresses
    /// (RFC 8684 section 3).
    fn join_rules(&self) -> String {
        let mut rules = "    oifname \"pw-*\" tcp option mptcp subtype 3 drop\n".to_owned();
        for network in &self.overlay {
            let family = family(network);
            rules += &format!(
                "    oifname \"pw-*\" {family} saddr != {network} tcp option mptcp subtype 1 \
                 reject with tcp reset\n"
            );
        }
        rules
    }
}

fn rules(networks: &[IpNetwork], field: &str, verdict: &str) -> String {
    let rule =
        |network: &IpNetwork| format!("    {} {field} {network} {verdict}\n", family(network));
    networks.iter().map(rule).collect()
}

fn family(network: &IpNetwork) -> &'static str {
    if network.is_ipv6() { "ip6" } else { "ip" }
}
