//! The kernel's own word on MPTCP subflows: socket diagnostics (net/mptcp/diag.c). A subflow is
//! a TCP socket with the upper-layer protocol "mptcp".

use std::collections::BTreeMap;
use std::io;

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable, Nla as _, NlasIterator,
};
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};
use netlink_packet_sock_diag::{SOCK_DESTROY, SockDiagMessage};
use nix::errno::Errno;

use crate::names::{PathId, SiteId};
use crate::plan::PathAddresses;
pub use crate::plan::Subflow;

use super::netlink::{Netlink, ask};
use super::{Host, HostError};

const ULP_INFO: u16 = 19;
const ULP_NAME: u16 = 1;
const ULP_MPTCP: u16 = 3;
const TOKEN_LOCAL: u16 = 2;
const FLAGS: u16 = 8;
/// MPTCP_SUBFLOW_FLAG_MCAP_LOC and _JOIN_LOC (linux/mptcp.h).
const OPENED_HERE: u32 = 1 << 1 | 1 << 3;
/// MPTCP_SUBFLOW_FLAG_BKUP_LOC.
const BACKUP_HERE: u32 = 1 << 5;
/// MPTCP_SUBFLOW_FLAG_FULLY_ESTABLISHED.
const FULLY_ESTABLISHED: u32 = 1 << 6;
const ESTABLISHED: u8 = 1;
const NESTED: u16 = 1 << 15;
/// Offsets in `struct tcp_info` (linux/tcp.h).
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;

impl Host {
    /// All subflows of this network namespace, established or under way.
    pub fn subflows(&self) -> Result<Vec<Subflow>, HostError> {
        list(&self.netlink.diag).map_err(HostError::object("socket diagnostics"))
    }

    /// Destroys the subflows that `chosen` picks; how many there were. The connections live on
    /// over their other subflows: whoever picks leaves each connection one.
    pub fn destroy_subflows(&self, chosen: impl Fn(&Subflow) -> bool) -> Result<usize, HostError> {
        let explain = || HostError::object("subflows");
        let mut count = 0;
        for response in dump(&self.netlink.diag).map_err(explain())? {
            if !subflow(&response).is_some_and(|subflow| chosen(&subflow)) {
                continue;
            }
            // The kernel's own id with its cookie: no other socket can be meant.
            let request = request(response.header.family, response.header.socket_id);
            let destroy = Destroy(SockDiagMessage::InetRequest(request));
            match ask(&self.netlink.diag, destroy, NLM_F_ACK) {
                Ok(_) => count += 1,
                Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => {}
                Err(error) => return Err(explain()(error)),
            }
        }
        Ok(count)
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

impl Host {
    /// Established connections that are plain TCP, by the peer that they reach.
    pub fn count_plain(&self, paths: &[PathAddresses]) -> Result<BTreeMap<SiteId, u32>, HostError> {
        let mut counts = BTreeMap::new();
        let sockets = dump(&self.netlink.diag).map_err(HostError::object("socket diagnostics"))?;
        let plain = |socket: &&InetResponse| {
            socket.header.state == ESTABLISHED && subflow(socket).is_none()
        };
        for socket in sockets.iter().filter(plain) {
            let far = socket.header.socket_id.destination_address.to_canonical();
            if let Some(path) = paths.iter().find(|path| path.reaches(far)) {
                *counts.entry(path.path.peer).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

/// `SOCK_DESTROY` of one socket; its fields are those of a question about it.
#[derive(Clone, Debug)]
struct Destroy(SockDiagMessage);

impl NetlinkSerializable for Destroy {
    fn message_type(&self) -> u16 {
        SOCK_DESTROY
    }

    fn buffer_len(&self) -> usize {
        self.0.buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.0.serialize(buffer);
    }
}

impl NetlinkDeserializable for Destroy {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        SockDiagMessage::deserialize(header, payload).map(Self)
    }
}

impl From<Destroy> for NetlinkPayload<Destroy> {
    fn from(message: Destroy) -> Self {
        Self::InnerMessage(message)
    }
}

/// All subflows of the calling thread's network namespace.
pub fn all() -> io::Result<Vec<Subflow>> {
    list(&Netlink::open()?.diag)
}

/// All subflows that a diagnostics socket of this network namespace tells.
fn list(socket: &netlink_sys::Socket) -> io::Result<Vec<Subflow>> {
    let responses = dump(socket)?;
    Ok(responses.iter().filter_map(subflow).collect())
}

/// All TCP sockets, established or under way.
fn dump(socket: &netlink_sys::Socket) -> io::Result<Vec<InetResponse>> {
    dump_states(socket, &StateFlags::empty())
}

/// The same, and those in further states.
pub(super) fn dump_states(
    socket: &netlink_sys::Socket,
    further: &StateFlags,
) -> io::Result<Vec<InetResponse>> {
    let mut responses = Vec::new();
    for (family, id) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        let mut request = request(family, id);
        request.states |= further.clone();
        let request = SockDiagMessage::InetRequest(request);
        let answers = ask(socket, request, NLM_F_DUMP)?;
        responses.extend(answers.into_iter().filter_map(|answer| match answer {
            SockDiagMessage::InetResponse(response) => Some(*response),
            SockDiagMessage::InetRequest(_)
            | SockDiagMessage::UnixRequest(_)
            | SockDiagMessage::UnixResponse(_) => None,
        }));
    }
    Ok(responses)
}

fn request(family: u8, socket_id: SocketId) -> InetRequest {
    InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::ESTABLISHED | StateFlags::SYN_SENT,
        socket_id,
    }
}

pub(super) fn subflow(response: &InetResponse) -> Option<Subflow> {
    let mptcp = mptcp(response)?;
    let flags = number(&mptcp, FLAGS).unwrap_or(0);
    Some(Subflow {
        token: number(&mptcp, TOKEN_LOCAL).unwrap_or(0),
        opened_here: flags & OPENED_HERE != 0,
        takes_joins: flags & FULLY_ESTABLISHED != 0,
        backup: flags & BACKUP_HERE != 0,
        ..flow(response)
    })
}

/// As far as TCP itself knows it.
pub(super) fn flow(response: &InetResponse) -> Subflow {
    let id = &response.header.socket_id;
    let info = info(response);
    Subflow {
        token: 0,
        source: id.source_address.to_canonical(),
        source_port: id.source_port,
        destination: id.destination_address.to_canonical(),
        destination_port: id.destination_port,
        opened_here: false,
        takes_joins: false,
        backup: false,
        established: response.header.state == ESTABLISHED,
        bytes_acked: counter(info, BYTES_ACKED),
        bytes_received: counter(info, BYTES_RECEIVED),
    }
}

/// What MPTCP says of a socket; empty of a listening one, `None` of what is none of its own.
fn mptcp(response: &InetResponse) -> Option<Vec<u8>> {
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
    Some(attribute(&ulp, ULP_MPTCP).unwrap_or_default())
}

/// `struct tcp_info`, or what another protocol has in its place.
pub(super) fn info(response: &InetResponse) -> Option<&[u8]> {
    response.nlas.iter().find_map(|nla| match nla {
        Nla::TcpInfo(info) => Some(info.as_slice()),
        _ => None,
    })
}

/// A 64-bit counter of `struct tcp_info`; 0 where the kernel's is shorter.
pub(super) fn counter(info: Option<&[u8]>, at: usize) -> u64 {
    let bytes = info.and_then(|info| info.get(at..)?.first_chunk::<8>().copied());
    bytes.map_or(0, u64::from_ne_bytes)
}

fn number(attributes: &[u8], kind: u16) -> Option<u32> {
    let bytes = attribute(attributes, kind)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let mut attributes = NlasIterator::new(bytes).filter_map(Result::ok);
    let found = attributes.find(|attribute| attribute.kind() & !NESTED == kind)?;
    Some(found.value().to_vec())
}

#[cfg(test)]
mod tests;
