//! TCP's connections and listeners with all that an operator may want to know of them, by the
//! kernel's socket diagnostics.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netlink_packet_sock_diag::inet::{InetResponse, StateFlags};

use crate::plan::{Listener, MptcpSocket, Sockets, TcpSocket};

use super::progress;
use super::subflows::{counter, dump_states, flow, info, subflow};
use super::{Host, HostError};

/// `TCP_LISTEN` (net/tcp_states.h).
const LISTEN: u8 = 10;
/// Offsets in `struct tcp_info` (linux/tcp.h), the first of microseconds, the second of bytes in
/// a second.
const ROUND_TRIP: usize = 68;
const DELIVERY_RATE: usize = 160;
const BYTES_RETRANSMITTED: usize = 208;
/// Offsets in `struct mptcp_info` (linux/mptcp.h); the counters came with Linux 6.5.
const FLAGS: usize = 8;
const BYTES_RECEIVED: usize = 64;
const BYTES_ACKED: usize = 72;
/// MPTCP_INFO_FLAG_FALLBACK.
const FALLBACK: u32 = 1;

impl Host {
    /// Those of this network namespace.
    pub fn sockets(&self) -> Result<Sockets, HostError> {
        self.list().map_err(HostError::object("socket diagnostics"))
    }

    fn list(&self) -> io::Result<Sockets> {
        let all = dump_states(&self.netlink.diag, &StateFlags::LISTEN)?;
        let (listeners, flows): (Vec<_>, Vec<_>) = all
            .iter()
            .partition(|response| response.header.state == LISTEN);
        Ok(Sockets {
            tcp: flows.into_iter().map(tcp).collect(),
            mptcp: progress::list(&self.netlink.diag, mptcp)?,
            listeners: listeners.into_iter().map(listener).collect(),
        })
    }
}

fn listener(response: &InetResponse) -> Listener {
    let id = &response.header.socket_id;
    Listener {
        address: id.source_address.to_canonical(),
        port: id.source_port,
        multipath: subflow(response).is_some(),
    }
}

fn tcp(response: &InetResponse) -> TcpSocket {
    let (info, subflow) = (info(response), subflow(response));
    TcpSocket {
        flow: subflow.unwrap_or_else(|| flow(response)),
        multipath: subflow.is_some(),
        inode: response.header.inode,
        uid: response.header.uid,
        round_trip: Duration::from_micros(number(info, ROUND_TRIP).into()),
        delivery_rate: counter(info, DELIVERY_RATE).saturating_mul(8),
        bytes_retransmitted: counter(info, BYTES_RETRANSMITTED),
    }
}

fn mptcp(response: &InetResponse) -> Option<MptcpSocket> {
    let (info, id) = (info(response), &response.header.socket_id);
    let token = number(info, progress::TOKEN);
    (token != 0).then(|| MptcpSocket {
        token,
        local: SocketAddr::new(id.source_address.to_canonical(), id.source_port),
        remote: SocketAddr::new(id.destination_address.to_canonical(), id.destination_port),
        inode: response.header.inode,
        uid: response.header.uid,
        fell_back: number(info, FLAGS) & FALLBACK != 0,
        bytes_acked: counter(info, BYTES_ACKED),
        bytes_received: counter(info, BYTES_RECEIVED),
    })
}

/// A 32-bit number of a kernel's structure; 0 where the kernel's is shorter.
fn number(info: Option<&[u8]>, at: usize) -> u32 {
    let bytes = info.and_then(|info| info.get(at..)?.first_chunk::<4>().copied());
    bytes.map_or(0, u32::from_ne_bytes)
}
