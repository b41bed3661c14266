//! What `pathweave doctor` wants to know beside what a status shows anyway.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of the site and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteDiagnosis {
    /// Seconds since the daemon was started.
    pub running_s: u64,
    /// The inode of the daemon's network namespace.
    pub network_namespace: Option<u64>,
    /// The leak guard is in place; `null` from a daemon that does not say.
    pub leak_guard: Option<bool>,
    /// What of the kernel's state could not be made, one sentence each.
    pub failures: Vec<String>,
    /// The repairs once more, by the same kinds, with what was done last.
    pub mended: BTreeMap<String, Mended>,
    /// The kernel's counters of MPTCP that rose in the last ten minutes, and by how much.
    pub mptcp_lately: BTreeMap<String, u64>,
}

/// What other software undid, and we mended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mended {
    pub count: u64,
    /// Seconds since the last time.
    pub last_s: u64,
    /// What was done, in short, the last things last.
    pub what: Vec<String>,
    /// Who likely undid it, and how it is told not to.
    pub culprit: String,
}

/// Of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathDiagnosis {
    /// Why it is not up, for programs; `null` when it is.
    pub trouble: Option<Trouble>,
    /// Our device on the link; `null` where the link is told by its address.
    pub device: Option<String>,
    /// Authenticated datagrams that came in since the path was made.
    pub heard: u64,
    /// Handshakes that we tried since.
    pub handshakes: u64,
    /// Datagrams that the kernel refused to send: no route, no device, no address.
    pub refused: u64,
    /// The packet size that the two links should allow; `mtu` is what passes.
    pub mtu_hoped: u16,
    /// bit/s that the fleet file states for both links together, towards the peer and from it.
    pub stated: [Option<u64>; 2],
    /// Most bit/s of the user's data in any second since the start, towards the peer and from it.
    pub peak: [u64; 2],
}

/// Why a path is not up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    AdminDown,
    PeerAdminDown,
    DeviceMissing,
    NoCarrier,
    NoTun,
    NoSocket,
    /// The far end's link has no endpoint and has not dialled us.
    NotDialled,
    /// The far end's name or address cannot be used.
    Unresolved,
    /// No handshake was ever answered.
    NoAnswer,
    /// There is a session, and nothing was ever heard in it.
    NothingInside,
    Silence,
    /// The kernel refused to send.
    NoWay,
    PeerDoesNotHear,
    PeerSaysDown,
    TooSmall,
    /// It answers, and is tried before it is used.
    ComingUp,
    /// A newer daemon knows more.
    #[serde(other)]
    Other,
}
