//! Whether anybody changed a firewall table since we asked last. To ask `nft` itself costs a
//! process, which is too much to be paid whenever some device changes.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols};

/// NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h).
pub const GROUP: u32 = 7;

#[derive(Debug)]
pub(super) struct News(Socket);

impl News {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(protocols::NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        socket.add_membership(GROUP)?;
        Ok(Self(socket))
    }

    /// Forgets what has been announced until now; whether anything was, or may have been.
    pub(super) fn forget(&self) -> bool {
        let mut any = false;
        loop {
            match self.0.recv(&mut &mut [0; 16][..], 0) {
                Ok(_) => any = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return any,
                // Too many at once (ENOBUFS).
                Err(_) => return true,
            }
        }
    }
}
