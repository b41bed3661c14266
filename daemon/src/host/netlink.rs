//! One request, all of its answers. The encoding is that of the netlink-packet crates; the
//! kernel answers within the call, so nothing here waits for anything but the kernel.

use std::fmt::Debug;
use std::io;
use std::sync::OnceLock;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols};

/// Larger than any page the kernel fills (`NLMSG_GOODSIZE` and 32 kB dumps).
const BUFFER: usize = 64 << 10;

/// The sockets to the kernel's three netlink families that we use.
#[derive(Debug)]
pub struct Netlink {
    route: Socket,
    pub(super) generic: Socket,
    pub(super) diag: Socket,
    /// The number that the kernel gave the family `mptcp_pm` at its boot.
    pub(super) pm_family: OnceLock<u16>,
}

impl Netlink {
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            route: socket(protocols::NETLINK_ROUTE)?,
            generic: socket(protocols::NETLINK_GENERIC)?,
            diag: socket(protocols::NETLINK_SOCK_DIAG)?,
            pm_family: OnceLock::new(),
        })
    }

    /// Everything of a kind.
    pub fn dump(&self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        ask(&self.route, message, NLM_F_DUMP)
    }

    /// A change, acknowledged. `flags` beside REQUEST and ACK.
    pub fn change(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        ask(&self.route, message, NLM_F_ACK | flags).map(|_| ())
    }
}

fn socket(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// Sends a request and collects the answers until the kernel says that it is done.
pub(super) fn ask<I>(socket: &Socket, message: I, flags: u16) -> io::Result<Vec<I>>
where
    I: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<I>> + Debug,
{
    let mut request = NetlinkMessage::<I>::from(message);
    request.header.flags = NLM_F_REQUEST | flags;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = socket.recv(&mut &mut buffer[..], 0)?;
        let received = buffer.get(..length).unwrap_or_default();
        if collect(received, &mut answers)? {
            return Ok(answers);
        }
    }
}

/// Takes the messages of one datagram. `true` when the last one was among them.
fn collect<I: NetlinkDeserializable>(mut bytes: &[u8], answers: &mut Vec<I>) -> io::Result<bool> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<I>::deserialize(bytes).map_err(io::Error::other)?;
        let length = usize::try_from(message.header.length).map_err(io::Error::other)?;
        match message.payload {
            NetlinkPayload::InnerMessage(inner) => answers.push(inner),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => {
                return match error.code {
                    None => Ok(true),
                    Some(_) => Err(error.to_io()),
                };
            }
            NetlinkPayload::Noop | NetlinkPayload::Overrun(_) => {}
            _ => return Err(io::Error::other("a netlink message of an unknown kind")),
        }
        bytes = bytes
            .get(length.next_multiple_of(4).max(4)..)
            .unwrap_or_default();
    }
    Ok(false)
}
