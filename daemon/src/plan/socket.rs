//! TCP's sockets as the kernel tells them, with all that an operator may want to know.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Subflow;

/// All of one network namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    pub tcp: Vec<TcpSocket>,
    pub mptcp: Vec<MptcpSocket>,
    pub listeners: Vec<Listener>,
}

/// A TCP flow, established or under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// Without a token, and opened by whom is not known, when it is plain TCP.
    pub flow: Subflow,
    /// A subflow of MPTCP.
    pub multipath: bool,
    /// 0: the kernel's own.
    pub inode: u32,
    pub uid: u32,
    pub round_trip: Duration,
    /// What was carried lately, in bit/s.
    pub delivery_rate: u64,
    pub bytes_retransmitted: u64,
}

/// A connection of MPTCP as its program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MptcpSocket {
    pub token: u32,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub inode: u32,
    pub uid: u32,
    /// It has become plain TCP.
    pub fell_back: bool,
    pub bytes_acked: u64,
    pub bytes_received: u64,
}

/// A socket that takes connections in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: IpAddr,
    pub port: u16,
    pub multipath: bool,
}
