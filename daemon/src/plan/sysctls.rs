//! The sysctls that MPTCP over several tunnels needs, each with what goes wrong without it.

use std::collections::BTreeMap;

use crate::config::View;
use crate::names::{InterfaceName, PathId};

use super::PathUse;

/// `tcp_rmem` and `tcp_wmem` grow to at least this: 1 Gbit/s at 60 ms, twice.
const TCP_BUFFER: u64 = 16 << 20;
/// What a receiver begins with. From the usual 128 kB, MPTCP's window grows more slowly than the
/// subflows' together: what is beyond it is dropped after TCP has acknowledged it
/// (`MPTcpExtNoDSSInWindow`), and MPTCP repeats it a fragment per timeout: a stall of seconds,
/// one second after the start, in one of five transfers over unequal paths. A limit, not memory.
const FIRST_RECEIVE_BUFFER: u64 = 8 << 20;

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
    /// Each word is raised to this, never lowered.
    AtLeast([u64; 3]),
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
            Self::AtLeast(least) => {
                let now: Vec<u64> = now
                    .split(' ')
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .ok()?;
                let wanted: Vec<_> = now.iter().zip(least).map(|(a, b)| *a.max(b)).collect();
                let words = || wanted.iter().map(u64::to_string).collect::<Vec<_>>();
                (wanted != now && wanted.len() == least.len()).then(|| words().join(" "))
            }
        }
    }
}

/// Who opens subflows of the connections that come from now on: the kernel (0), or a program (1;
/// `enum mptcp_pm_type`, net/mptcp/protocol.h).
pub const PATH_MANAGER: &str = "net/mptcp/pm_type";

pub(super) fn user_space_path_manager() -> Sysctl {
    Sysctl {
        name: PATH_MANAGER.to_owned(),
        value: SysctlValue::Exactly("1"),
        lifetime: Lifetime::Machine,
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
        sysctl(
            "net/ipv4/tcp_rmem",
            SysctlValue::AtLeast([0, FIRST_RECEIVE_BUFFER, TCP_BUFFER]),
        ),
        sysctl(
            // Not the middle value: a sender that begins with megabytes fills the slowest path's
            // queue with them, and the end of a short transfer waits for it.
            "net/ipv4/tcp_wmem",
            SysctlValue::AtLeast([0, 0, TCP_BUFFER]),
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_raised_word_by_word_and_never_lowered() {
        let least = SysctlValue::AtLeast([0, 8, 16]);
        assert_eq!(least.wanted("4 2 6").as_deref(), Some("4 8 16"));
        assert_eq!(least.wanted("4 9 6").as_deref(), Some("4 9 16"));
        assert_eq!(least.wanted("4 8 16"), None);
        assert_eq!(least.wanted("5 9 17"), None);
        assert_eq!(least.wanted("5 9"), None, "not what we know");
        assert_eq!(least.wanted("many words here"), None);
    }
}
