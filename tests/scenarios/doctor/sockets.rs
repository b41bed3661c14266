//! Connections of one test, by hand.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use lab::namespace::Namespace;
use socket2::{Domain, Protocol, Socket, Type};

const IPPROTO_MPTCP: i32 = 262;

fn socket(address: SocketAddr, mptcp: bool) -> io::Result<Socket> {
    let protocol = if mptcp {
        Protocol::from(IPPROTO_MPTCP)
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(socket)
}

pub fn listen(namespace: &Namespace, address: SocketAddr, mptcp: bool) -> Socket {
    let listening = namespace.enter(move || {
        let socket = socket(address, mptcp)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(8)?;
        Ok(socket)
    });
    listening.unwrap()
}

pub fn connect(namespace: &Namespace, to: SocketAddr, mptcp: bool) -> io::Result<Socket> {
    namespace.enter(move || {
        let socket = socket(to, mptcp)?;
        socket.connect_timeout(&to.into(), Duration::from_secs(20))?;
        Ok(socket)
    })
}

/// Some data each way: only then are further subflows opened.
pub fn next_to(mut opened: &Socket, mut accepted: &Socket) {
    let mut bytes = [0; 4];
    opened.write_all(b"ping").unwrap();
    accepted.read_exact(&mut bytes).unwrap();
    accepted.write_all(b"pong").unwrap();
    opened.read_exact(&mut bytes).unwrap();
}
