//! How far MPTCP connections have come, by the kernel's socket diagnostics: the connection as the
//! program sees it, whatever its subflows had to send twice.

use std::io;

use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};

use crate::plan::Progress;

use super::netlink::ask;
use super::subflows::info;
use super::{Host, HostError};

/// Where the protocol's number does not fit its byte, this and an attribute stand for it
/// (INET_DIAG_REQ_PROTOCOL, linux/inet_diag.h).
const SEE_ATTRIBUTE: u8 = 255;
const REQ_PROTOCOL: u16 = 3;
const IPPROTO_MPTCP: u32 = 262;
/// Offsets in `struct mptcp_info` (linux/mptcp.h).
pub(super) const TOKEN: usize = 12;
const WRITE_SEQ: usize = 16;
const SND_UNA: usize = 24;

impl Host {
    /// Of all established MPTCP connections of this network namespace.
    pub fn progress(&self) -> Result<Vec<Progress>, HostError> {
        list(&self.netlink.diag, progress).map_err(HostError::object("MPTCP diagnostics"))
    }
}

/// What `of` makes of each established connection of MPTCP.
pub(super) fn list<T>(
    socket: &netlink_sys::Socket,
    of: impl Fn(&InetResponse) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for (family, socket_id) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        let request = InetRequest {
            family,
            protocol: SEE_ATTRIBUTE,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::ESTABLISHED,
            socket_id,
        };
        let answers = ask(
            socket,
            Question(SockDiagMessage::InetRequest(request)),
            NLM_F_DUMP,
        )?;
        found.extend(answers.iter().filter_map(|answer| match &answer.0 {
            SockDiagMessage::InetResponse(response) => of(response),
            SockDiagMessage::InetRequest(_)
            | SockDiagMessage::UnixRequest(_)
            | SockDiagMessage::UnixResponse(_) => None,
        }));
    }
    Ok(found)
}

/// A question about MPTCP's sockets.
#[derive(Clone, Debug)]
struct Question(SockDiagMessage);

impl NetlinkSerializable for Question {
    fn message_type(&self) -> u16 {
        self.0.message_type()
    }

    fn buffer_len(&self) -> usize {
        self.0.buffer_len() + 8
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let length = self.0.buffer_len();
        let Some((message, attribute)) = buffer.split_at_mut_checked(length) else {
            return;
        };
        self.0.serialize(message);
        let header = [8_u16.to_ne_bytes(), REQ_PROTOCOL.to_ne_bytes()].concat();
        let bytes = [header, IPPROTO_MPTCP.to_ne_bytes().to_vec()].concat();
        attribute
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
    }
}

impl NetlinkDeserializable for Question {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        SockDiagMessage::deserialize(header, payload).map(Self)
    }
}

impl From<Question> for NetlinkPayload<Question> {
    fn from(message: Question) -> Self {
        Self::InnerMessage(message)
    }
}

fn progress(response: &InetResponse) -> Option<Progress> {
    // The kernel gives every protocol's information the same number.
    let info = info(response)?;
    let counter = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let acked = counter(SND_UNA)?;
    let id = &response.header.socket_id;
    Some(Progress {
        token: u32::from_ne_bytes(*info.get(TOKEN..)?.first_chunk()?),
        source: id.source_address.to_canonical(),
        destination: id.destination_address.to_canonical(),
        acked,
        outstanding: counter(WRITE_SEQ)?.wrapping_sub(acked),
    })
}
