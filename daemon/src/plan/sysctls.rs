//! The sysctls that MPTCP over several tunnels needs, each with what goes wrong without it.

use std::collections::BTreeMap;

use crate::config::View;
use crate::names::{InterfaceName, PathId};

use super::PathUse;

/// `tcp_rmem` and `tcp_wmem` grow to at least this: 1 Gbit/s at 60 ms, twice.
const TCP_BUFFER: u64 = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// Below `/proc/sys`, for example `net/mptcp/enabled`.
    pub name: String,
    pub value: SysctlValue,
    pub lifetime: Lifetime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlValue {
    Exactly(&'static str),
    /// The third word is raised to this, never lowered.
    ThirdAtLeast(u64),
}

/// How long a changed value stays if nobody puts it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody does.
    Machine,
    /// Goes with its device.
    Device,
}

impl SysctlValue {
    /// What the value should become when it is `now`; `None` when it is right.
    pub fn wanted(&self, now: &str) -> Option<String> {
        match self {
            Self::Exactly(value) => (now != *value).then(|| (*value).to_owned()),
            Self::ThirdAtLeast(least) => {
                let mut words: Vec<_> = now.split(' ').map(str::to_owned).collect();
                let third = words.get_mut(2)?;
                if third.parse::<u64>().ok()? >= *least {
                    return None;
                }
                *third = least.to_string();
                Some(words.join(" "))
            }
        }
    }
}

pub(super) fn all(view: &View, paths: &BTreeMap<PathId, PathUse>) -> Vec<Sysctl> {
    let present = |id: &PathId| !matches!(paths.get(id), None | Some(PathUse::Absent));
    let devices = view.paths().filter(|(_, path)| present(&path.id));
    machine()
        .into_iter()
        .chain(devices.flat_map(|(_, path)| of_device(&path.interface)))
        .collect()
}

fn machine() -> Vec<Sysctl> {
    let sysctl = |name: &str, value| Sysctl {
        name: name.to_owned(),
        value,
        lifetime: Lifetime::Machine,
    };
    vec![
        sysctl("net/mptcp/enabled", SysctlValue::Exactly("1")),
        // One bad SYN would switch MPTCP off for the whole namespace for an hour.
        sysctl("net/mptcp/blackhole_timeout", SysctlValue::Exactly("0")),
        // A connection opened during an outage would be plain TCP for life.
        sysctl(
            "net/mptcp/syn_retrans_before_tcp_fallback",
            SysctlValue::Exactly("255"),
        ),
        sysctl("net/ipv4/tcp_rmem", SysctlValue::ThirdAtLeast(TCP_BUFFER)),
        sysctl("net/ipv4/tcp_wmem", SysctlValue::ThirdAtLeast(TCP_BUFFER)),
    ]
}

/// What a tunnel's device needs; boot scripts and udev like to set their own.
pub fn of_device(device: &InterfaceName) -> [Sysctl; 2] {
    let sysctl = |name: String, value| Sysctl {
        name,
        value: SysctlValue::Exactly(value),
        lifetime: Lifetime::Device,
    };
    [
        // Strict filtering drops what the peer sends while its site route has moved. 2 also
        // overrules a stricter `all`: the larger of the two holds.
        sysctl(format!("net/ipv4/conf/{device}/rp_filter"), "2"),
        // No link-local address: nothing but our routes may use the tunnel.
        sysctl(format!("net/ipv6/conf/{device}/addr_gen_mode"), "1"),
    ]
}
