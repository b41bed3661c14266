//! A subflow as the kernel tells it, and as a plan may want it.

use std::net::IpAddr;

/// One subflow of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subflow {
    /// Names the connection at this end; 0 until the kernel tells it.
    pub token: u32,
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
    /// This end opened it; else the far end did.
    pub opened_here: bool,
    /// False while the join is under way.
    pub established: bool,
    /// The connection takes further subflows (RFC 8684 section 3.2).
    pub takes_joins: bool,
    /// This end asked to have it used only when no other one can be (RFC 8684 section 3.3.8).
    pub backup: bool,
    /// TCP payload bytes that the far end acknowledged, and that it sent.
    pub bytes_acked: u64,
    pub bytes_received: u64,
}

/// How far one connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub token: u32,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Bytes of the program's that the far end has acknowledged, each counted once.
    pub acked: u64,
    /// Bytes of the program's that are not acknowledged.
    pub outstanding: u64,
}

/// What to tell the kernel to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Join {
    /// The connection.
    pub token: u32,
    pub source: IpAddr,
    /// Of `source` within the connection; 0 is that of the first subflow's address.
    pub id: u8,
    pub destination: IpAddr,
    pub port: u16,
}
