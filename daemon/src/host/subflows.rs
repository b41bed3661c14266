//! The kernel's own word on MPTCP subflows: socket diagnostics (net/mptcp/diag.c). A subflow is
//! a TCP socket with the upper-layer protocol "mptcp".

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP, Nla as _, NlasIterator};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};

use crate::names::PathId;
use crate::plan::PathAddresses;

use super::netlink::{Netlink, ask};
use super::{Host, HostError};

const ULP_INFO: u16 = 19;
const ULP_NAME: u16 = 1;
const ULP_MPTCP: u16 = 3;
const TOKEN_LOCAL: u16 = 2;
const ESTABLISHED: u8 = 1;
const NESTED: u16 = 1 << 15;
/// Offsets in `struct tcp_info` (linux/tcp.h).
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;

/// One subflow of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subflow {
    /// Names the connection at this end; 0 until the kernel tells it.
    pub token: u32,
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
    /// False while the join is under way.
    pub established: bool,
    /// TCP payload bytes that the far end acknowledged, and that it sent.
    pub bytes_acked: u64,
    pub bytes_received: u64,
}

impl Host {
    /// All subflows of this network namespace, established or under way.
    pub fn subflows(&self) -> Result<Vec<Subflow>, HostError> {
        list(&self.netlink.diag).map_err(HostError::object("socket diagnostics"))
    }

    /// How many established subflows each path carries.
    pub fn count_subflows(
        &self,
        paths: &[PathAddresses],
    ) -> Result<BTreeMap<PathId, u32>, HostError> {
        let mut counts = BTreeMap::new();
        for subflow in self
            .subflows()?
            .iter()
            .filter(|subflow| subflow.established)
        {
            let ends = (subflow.source, subflow.destination);
            if let Some(path) = paths.iter().find(|path| path.carries(ends.0, ends.1)) {
                *counts.entry(path.path).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

/// All subflows of the calling thread's network namespace.
pub fn all() -> io::Result<Vec<Subflow>> {
    list(&Netlink::open()?.diag)
}

/// All subflows that a diagnostics socket of this network namespace tells.
fn list(socket: &netlink_sys::Socket) -> io::Result<Vec<Subflow>> {
    let mut subflows = Vec::new();
    for (family, id) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        let request = InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::ESTABLISHED | StateFlags::SYN_SENT,
            socket_id: id,
        };
        let answers = ask(socket, SockDiagMessage::InetRequest(request), NLM_F_DUMP)?;
        subflows.extend(answers.iter().filter_map(|answer| match answer {
            SockDiagMessage::InetResponse(response) => subflow(response),
            SockDiagMessage::InetRequest(_)
            | SockDiagMessage::UnixRequest(_)
            | SockDiagMessage::UnixResponse(_) => None,
        }));
    }
    Ok(subflows)
}

fn subflow(response: &InetResponse) -> Option<Subflow> {
    let ulp = response.nlas.iter().find_map(|nla| match nla {
        Nla::Other(other) if other.kind() & !NESTED == ULP_INFO => {
            let mut bytes = vec![0; other.value_len()];
            other.emit_value(&mut bytes);
            Some(bytes)
        }
        _ => None,
    })?;
    if !attribute(&ulp, ULP_NAME)?.starts_with(b"mptcp") {
        return None;
    }
    let mptcp = attribute(&ulp, ULP_MPTCP).unwrap_or_default();
    let token = attribute(&mptcp, TOKEN_LOCAL)
        .and_then(|bytes| Some(u32::from_ne_bytes(bytes.try_into().ok()?)));
    let info = response.nlas.iter().find_map(|nla| match nla {
        Nla::TcpInfo(info) => Some(info),
        _ => None,
    });
    let id = &response.header.socket_id;
    Some(Subflow {
        token: token.unwrap_or(0),
        source: id.source_address.to_canonical(),
        source_port: id.source_port,
        destination: id.destination_address.to_canonical(),
        destination_port: id.destination_port,
        established: response.header.state == ESTABLISHED,
        bytes_acked: counter(info, BYTES_ACKED),
        bytes_received: counter(info, BYTES_RECEIVED),
    })
}

/// A 64-bit counter of `struct tcp_info`; 0 where the kernel's is shorter.
fn counter(info: Option<&Vec<u8>>, at: usize) -> u64 {
    let bytes = info.and_then(|info| info.get(at..)?.first_chunk::<8>().copied());
    bytes.map_or(0, u64::from_ne_bytes)
}

fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let mut attributes = NlasIterator::new(bytes).filter_map(Result::ok);
    let found = attributes.find(|attribute| attribute.kind() & !NESTED == kind)?;
    Some(found.value().to_vec())
}
