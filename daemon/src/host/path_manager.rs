//! The user-space path manager: the kernel tells when connections come, we tell it which subflows
//! to open (include/uapi/linux/mptcp_pm.h). Exact, per connection and path; needs us alive.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, NLM_F_ACK, NetlinkMessage, NetlinkPayload, Nla as _};
use netlink_packet_generic::GenlMessage;
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};

use crate::plan::{Join, Subflow};

use super::mptcp::{ATTR_ADDR, Pm, address_attributes, nest, value};
use super::netlink::Netlink;
use super::{Host, HostError};

const GROUP: &str = "mptcp_pm_events";
const SET_FLAGS: u8 = 7;
const SUBFLOW_CREATE: u8 = 10;
const SUBFLOW_DESTROY: u8 = 11;

const ATTR_TOKEN: u16 = 4;
const ATTR_ADDR_REMOTE: u16 = 6;
const ADDR_ID: u16 = 2;
const ADDR_PORT: u16 = 5;
const ADDR_FLAGS: u16 = 6;
/// MPTCP_PM_ADDR_FLAG_BACKUP.
const FLAG_BACKUP: u32 = 1 << 2;

const ESTABLISHED: u8 = 2;
const CLOSED: u8 = 3;
const SUBFLOW_CLOSED: u8 = 11;

const EVENT_TOKEN: u16 = 1;
const EVENT_SOURCE4: u16 = 5;
const EVENT_SOURCE6: u16 = 6;
const EVENT_DESTINATION4: u16 = 7;
const EVENT_DESTINATION6: u16 = 8;
const EVENT_SOURCE_PORT: u16 = 9;
const EVENT_DESTINATION_PORT: u16 = 10;
const EVENT_SERVER_SIDE: u16 = 18;

/// What the kernel announces of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection takes joins from now on; its first subflow.
    Established(Subflow),
    SubflowClosed,
    /// Announcements were lost: look at everything.
    Lost,
}

/// A subscription to the kernel's announcements. With it the kernel lets joins in that it would
/// refuse while nobody listens: it is to be had before the path manager is chosen, and kept.
pub struct Events {
    socket: TokioSocket,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Host {
    /// Announcements of the MPTCP connections of this network namespace.
    pub fn mptcp_events(&self) -> Result<Events, HostError> {
        self.netlink
            .subscribe()
            .map(|socket| Events { socket })
            .map_err(HostError::object("announcements of MPTCP"))
    }

    /// Opens a subflow of a connection that is this end's.
    pub fn join(&self, join: &Join) -> io::Result<()> {
        let mut ours = address_attributes(join.source);
        ours.push(DefaultNla::new(ADDR_ID, vec![join.id]));
        let theirs = end(join.destination, join.port);
        self.tell(SUBFLOW_CREATE, join.token, &ours, &theirs)
    }

    /// Closes a subflow whose path is dead: what lies on it is queued at the others at once. After
    /// `SOCK_DESTROY` a worker of the kernel would see to that: what is written and acknowledged
    /// until it runs is queued before the missing data, half a second of it.
    pub fn close_subflow(&self, subflow: &Subflow) -> io::Result<()> {
        let close = |as_its_socket: fn(IpAddr) -> IpAddr| {
            let ours = end(as_its_socket(subflow.source), subflow.source_port);
            let theirs = end(as_its_socket(subflow.destination), subflow.destination_port);
            self.tell(SUBFLOW_DESTROY, subflow.token, &ours, &theirs)
        };
        // That of a server that listens on `[::]` is an IPv6 socket, whatever it carries.
        close(|address| address).or_else(|error| close(mapped).map_err(|_| error))
    }

    /// Asks both ends to use a subflow only when no other one can be used; or again like the
    /// others.
    pub fn set_backup(&self, subflow: &Subflow, backup: bool) -> io::Result<()> {
        let flags = if backup { FLAG_BACKUP } else { 0 };
        let mut ours = address_attributes(subflow.source);
        ours.push(DefaultNla::new(ADDR_FLAGS, flags.to_ne_bytes().to_vec()));
        let theirs = end(subflow.destination, subflow.destination_port);
        self.tell(SET_FLAGS, subflow.token, &ours, &theirs)
    }

    /// A command about one connection.
    fn tell(
        &self,
        command: u8,
        token: u32,
        ours: &[DefaultNla],
        theirs: &[DefaultNla],
    ) -> io::Result<()> {
        let attributes = vec![
            DefaultNla::new(ATTR_TOKEN, token.to_ne_bytes().to_vec()),
            nest(ATTR_ADDR, ours),
            nest(ATTR_ADDR_REMOTE, theirs),
        ];
        self.netlink.pm(command, attributes, NLM_F_ACK).map(|_| ())
    }
}

fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(_) => address,
    }
}

/// In the machine's own order, though announcements have it big-endian.
fn end(address: IpAddr, port: u16) -> Vec<DefaultNla> {
    let mut attributes = address_attributes(address);
    attributes.push(DefaultNla::new(ADDR_PORT, port.to_ne_bytes().to_vec()));
    attributes
}

impl Netlink {
    fn subscribe(&self) -> io::Result<TokioSocket> {
        let missing = || io::Error::other("the kernel announces nothing of MPTCP");
        let groups = self.pm_control()?.into_iter().find_map(|nla| match nla {
            GenlCtrlAttrs::McastGroups(groups) => Some(groups),
            _ => None,
        });
        let group = groups.unwrap_or_default().into_iter().find_map(|group| {
            let named = |nla: &McastGrpAttrs| matches!(nla, McastGrpAttrs::Name(n) if n == GROUP);
            group.iter().any(named).then_some(group)
        });
        let id = group
            .ok_or_else(missing)?
            .into_iter()
            .find_map(|nla| match nla {
                McastGrpAttrs::Id(id) => Some(id),
                McastGrpAttrs::Name(_) => None,
            });
        let mut socket = TokioSocket::new(protocols::NETLINK_GENERIC)?;
        socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
        socket
            .socket_mut()
            .add_membership(id.ok_or_else(missing)?)?;
        Ok(socket)
    }
}

impl Events {
    /// Waits for the next announcement that matters. Cancel-safe: each call reads whole ones.
    pub async fn next(&mut self) -> Event {
        loop {
            match self.socket.recv_from_full().await {
                Ok((bytes, _)) => {
                    if let Some(event) = event(&bytes) {
                        return event;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "announcements of MPTCP were lost");
                    return Event::Lost;
                }
            }
        }
    }
}

/// Each announcement comes in a datagram of its own.
fn event(bytes: &[u8]) -> Option<Event> {
    let message = NetlinkMessage::<GenlMessage<Pm>>::deserialize(bytes).ok()?;
    let NetlinkPayload::InnerMessage(message) = message.payload else {
        return None;
    };
    let Pm {
        command,
        attributes,
    } = message.payload;
    let of = |kind| attributes.iter().find(|nla| nla.kind() == kind).map(value);
    match command {
        ESTABLISHED => {
            let port = |kind| Some(u16::from_be_bytes(of(kind)?.try_into().ok()?));
            Some(Event::Established(Subflow {
                token: u32::from_ne_bytes(of(EVENT_TOKEN)?.try_into().ok()?),
                source: address(of(EVENT_SOURCE4), of(EVENT_SOURCE6))?,
                source_port: port(EVENT_SOURCE_PORT)?,
                destination: address(of(EVENT_DESTINATION4), of(EVENT_DESTINATION6))?,
                destination_port: port(EVENT_DESTINATION_PORT)?,
                opened_here: of(EVENT_SERVER_SIDE).is_none_or(|side| side == [0]),
                established: true,
                takes_joins: true,
                backup: false,
                bytes_acked: 0,
                bytes_received: 0,
            }))
        }
        SUBFLOW_CLOSED | CLOSED => Some(Event::SubflowClosed),
        _ => None,
    }
}

fn address(v4: Option<Vec<u8>>, v6: Option<Vec<u8>>) -> Option<IpAddr> {
    let v4 = v4.and_then(|bytes| Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)));
    let v6 = v6.and_then(|bytes| Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)));
    v4.or(v6).map(|address| address.to_canonical())
}
