//! The open connections to the peers: the whole answer of `GET /v1/flows`. A contract, as
//! [`super::Status`] is.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flows {
    pub schema: u32,
    /// In order of peer, then of this end's address and port.
    pub connections: Vec<Connection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// MPTCP: one flow per path.
    Multipath,
    /// Plain TCP: one flow, on one path.
    Plain,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    pub peer: String,
    pub kind: Kind,
    /// Why it is plain TCP; `null` when it is not.
    pub reason: Option<String>,
    /// This end opened it; `null` where that cannot be told.
    pub opened_here: Option<bool>,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// Of its socket; 0: the kernel's own.
    pub inode: u32,
    /// The user that the socket belongs to.
    pub uid: u32,
    /// Seconds since it was opened; `null` when that was before the daemon's start, and for plain
    /// TCP.
    pub age_s: Option<u64>,
    /// The program's bytes that the far end has acknowledged, each counted once.
    pub sent: u64,
    /// The program's bytes that came.
    pub received: u64,
    /// In order of path.
    pub flows: Vec<Flow>,
    /// The paths to the peer on which it has no established flow.
    pub lacks: Vec<Lack>,
}

/// One TCP flow: a subflow of MPTCP, or plain TCP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// `null`: on no path that is known.
    pub path: Option<u8>,
    pub link: Option<String>,
    pub remote_link: Option<String>,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// False while the join is under way.
    pub established: bool,
    /// Used only when no other one can be.
    pub reserve: bool,
    pub sent: u64,
    pub received: u64,
    /// Of `sent`, bytes that were sent more than once.
    pub retransmitted: u64,
    /// TCP's smoothed round-trip time in milliseconds.
    pub rtt_ms: f64,
    /// What the way carried lately, by TCP's estimate, in bit/s.
    pub delivery_rate: u64,
}

/// A path that a connection does not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    pub path: u8,
    pub link: String,
    pub remote_link: String,
    pub why: String,
}
