//! A socket for the echoes of one path. It is bound to the path's interface: what comes back
//! another way does not come back.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::echo;

/// Larger than any reply.
const BUFFER: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct EchoSocket {
    socket: Socket,
    v6: bool,
    /// It hears all replies to this machine, with their IP headers.
    raw: bool,
    id: u16,
}

impl EchoSocket {
    /// From an address of this site's to one of the peer's. Root has raw sockets; others may have
    /// those that the sysctl net.ipv4.ping_group_range allows.
    pub(super) fn open(from: IpAddr, to: IpAddr, interface: &str, id: u16) -> io::Result<Self> {
        let (domain, protocol) = if from.is_ipv6() {
            (Domain::IPV6, Protocol::ICMPV6)
        } else {
            (Domain::IPV4, Protocol::ICMPV4)
        };
        let open = |kind| Socket::new(domain, kind, Some(protocol));
        let (socket, raw) = match open(Type::RAW) {
            Ok(socket) => (socket, true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                (open(Type::DGRAM)?, false)
            }
            Err(error) => return Err(error),
        };
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect(&SocketAddr::new(to, 0).into())?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            v6: from.is_ipv6(),
            raw,
            id,
        })
    }

    /// `length`: bytes of the whole IP packet.
    pub(super) fn send(&self, sequence: u16, length: usize) {
        let ip = if self.v6 { 40 } else { 20 };
        let payload = length.saturating_sub(ip + echo::HEADER);
        let request = echo::request(self.v6, self.id, sequence, payload);
        if self.socket.send(&request).is_err() {
            // What cannot be sent is lost: the path has no device any more, or no route.
        }
    }

    /// The sequence numbers of the replies that have come.
    pub(super) fn receive(&self) -> Vec<u16> {
        let (mut buffer, mut found) = (vec![0; BUFFER], Vec::new());
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let reply = echo::reply(self.v6, self.raw && !self.v6, bytes);
                    // Without a raw socket the kernel chose the id, and looks at it.
                    let ours = reply.filter(|(id, _)| !self.raw || *id == self.id);
                    found.extend(ours.map(|(_, sequence)| sequence));
                }
                // None is left; or an ICMP error came, which the next call does not tell again.
                Err(_) => return found,
            }
        }
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
