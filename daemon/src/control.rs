//! What the CLI and the daemon say to each other: requests, responses and the status document.
//! `"schema": 1` of [`Status`] is a contract: fields are added, never changed or removed.

mod diagnosis;
mod flows;
pub mod speed;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use diagnosis::{Mended, PathDiagnosis, SiteDiagnosis, Trouble};
pub use flows::{Connection, Flow, Flows, Kind, Lack};

/// The version of [`Status`].
pub const SCHEMA: u32 = 1;
/// The control socket's name in the runtime directory.
pub const SOCKET: &str = "pathweave.sock";

/// The whole answer of `pathweave status --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub schema: u32,
    pub site: SiteStatus,
    pub peers: Vec<PeerStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteStatus {
    pub name: String,
    pub id: u8,
    pub address: Option<String>,
    pub address6: Option<String>,
    pub public_key: String,
    pub version: String,
    /// Things an operator should know, one sentence each; empty when all is well.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Datagrams on our port that belong to no tunnel, since the start; answered by silence.
    #[serde(default)]
    pub strangers: u64,
    /// Who opens the subflows of MPTCP connections: `kernel` or `userspace` (pathweaved).
    #[serde(default)]
    pub path_manager: String,
    #[serde(default)]
    pub healing: HealingStatus,
    /// How often what other software undid was put right since the start: `rule`, `route`,
    /// `address`, `sysctl`, `leak guard`, `interface`, `MPTCP endpoint`, `MPTCP limits`.
    #[serde(default)]
    pub repairs: BTreeMap<String, u64>,
    /// Connections that fell back to plain TCP and joins that failed since the start, by reason;
    /// of this machine's whole network namespace.
    #[serde(default)]
    pub fallbacks: BTreeMap<String, u64>,
    /// Of every site; 0 from a daemon that does not tell.
    #[serde(default)]
    pub listen_port: u16,
    /// `pathweave speed` is served here and at every site with the same fleet file.
    #[serde(default)]
    pub speed_test: bool,
    #[serde(default)]
    pub diagnosis: SiteDiagnosis,
}

/// What was done for open connections since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealingStatus {
    /// Subflows opened, in new connections and in those that had lost one.
    pub created: u64,
    /// Subflows closed because their path had died or they hung.
    pub destroyed: u64,
    /// Closed because their path had another one.
    pub duplicates: u64,
    /// Subflows that could not be opened, by reason.
    pub failed: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    pub site: String,
    pub id: u8,
    pub address: Option<String>,
    pub address6: Option<String>,
    /// At least one path is up.
    pub reachable: bool,
    /// Established connections to it that are plain TCP: over one path only.
    #[serde(default)]
    pub plain_tcp: u32,
    /// Of the daemon there, as it says on a path; `null` until it has, and of plain WireGuard.
    #[serde(default)]
    pub version: Option<String>,
    pub paths: Vec<PathStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathState {
    Down,
    Init,
    Up,
    AdminDown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathStatus {
    pub path: u8,
    pub state: PathState,
    /// Why it is not up; `null` when it is.
    pub reason: Option<String>,
    pub link: String,
    pub remote_link: String,
    /// What travels costs money at one of its two links.
    #[serde(default)]
    pub metered: bool,
    pub interface: String,
    pub overlay_address: Option<String>,
    pub overlay_address6: Option<String>,
    pub endpoint: Option<String>,
    pub carrier: String,
    /// Smoothed round-trip time in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Share of probes lost lately, 0.0..=1.0.
    pub loss: Option<f64>,
    /// How much the way towards us varies (RFC 3550's mean), in milliseconds.
    #[serde(default)]
    pub jitter_ms: Option<f64>,
    /// Share of the peer's probes that did not reach us lately; the same as `loss`.
    #[serde(default)]
    pub loss_rx: Option<f64>,
    /// Share of our probes that did not reach the peer lately, as it says.
    #[serde(default)]
    pub loss_tx: Option<f64>,
    /// Seconds in this state.
    #[serde(default)]
    pub since_s: u64,
    /// How often it went down after having been up, since the start.
    #[serde(default)]
    pub flaps: u32,
    /// Seconds for which it is still held back, though it answers; `null` when it is not.
    #[serde(default)]
    pub held_up_s: Option<u64>,
    /// Why connections leave it aside though it is up; `null` when they use it.
    #[serde(default)]
    pub reserve: Option<String>,
    /// It carries the site addresses now, and plain TCP and UDP with them.
    #[serde(default)]
    pub site_path: bool,
    pub mtu: u16,
    /// Seconds since the last completed handshake.
    pub last_handshake_s: Option<u64>,
    /// When that was, in seconds since 1970.
    #[serde(default)]
    pub last_handshake_unix_s: Option<u64>,
    /// Inner bytes, data only.
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    /// Established MPTCP subflows on this path now, by the kernel's socket diagnostics.
    pub subflows: u32,
    /// Inner packets dropped, by reason.
    #[serde(default)]
    pub dropped: Dropped,
    #[serde(default)]
    pub offload: Offload,
    #[serde(default)]
    pub diagnosis: PathDiagnosis,
}

/// What of the kernel's offloads a path uses now; without a socket nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offload {
    /// The TUN takes and gives up to 64 kB at once.
    pub tun: bool,
    /// Most datagrams in one send; 1: UDP segmentation offload is not used.
    pub send_segments: usize,
    /// Datagrams come in together (UDP receive offload).
    pub receive: bool,
    /// Bytes of each of the two socket buffers.
    pub socket_buffer: usize,
}

/// Packets that were not delivered, by reason, since the path was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Decrypted packets whose source is not the peer's.
    pub wrong_source: u64,
    /// Decrypted packets that are no valid IP packet.
    pub malformed: u64,
    /// Datagrams that failed authentication or replay protection.
    pub unauthentic: u64,
    /// Packets for which the socket or the TUN had no room.
    pub no_room: u64,
}

/// Administrative wish for one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminState {
    Up,
    Down,
}

/// The body of a request to change a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminWish {
    pub state: AdminState,
}

/// The body of a request to read the fleet file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadWish {
    /// Only tell what it would mean.
    pub dry_run: bool,
}

/// What a reload did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The fleet file that the daemon reads.
    pub config: String,
    pub dry_run: bool,
    /// One line a difference: `+` comes, `-` goes, `~` changes.
    pub changes: Vec<String>,
}

/// The body of a request to run on a fleet file that the disk does not have yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialWish {
    pub text: String,
    /// Unless it is confirmed in this time, the daemon goes back to what it ran on before.
    pub seconds: u64,
}

/// A fleet file on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The fleet file on the disk,
    pub config: String,
    /// its text when the trial began,
    pub base: String,
    /// and the one that runs.
    pub text: String,
    pub seconds_left: u64,
}

/// What a failed request answers, with the HTTP status that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is wrong and what to do about it.
    pub error: String,
}
