//! Tells when something changed in the kernel: devices, addresses, routes, rules. What it was is
//! not said: whoever is told looks for himself.

use std::io;

use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket, protocols};

/// RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE
/// (linux/rtnetlink.h).
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// A subscription to the kernel's announcements.
pub struct Watch(TokioSocket);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    pub fn open() -> io::Result<Self> {
        let mut socket = TokioSocket::new(protocols::NETLINK_ROUTE)?;
        let inner: &mut Socket = socket.socket_mut();
        inner.bind(&SocketAddr::new(0, 0))?;
        GROUPS
            .iter()
            .try_for_each(|group| inner.add_membership(*group))?;
        Ok(Self(socket))
    }

    /// Waits for the next announcement. Cancel-safe: an announcement is only a hint.
    pub async fn changed(&mut self) {
        match self.0.recv_from_full().await {
            Ok(_) => {}
            // Too many at once (ENOBUFS): then certainly something changed.
            Err(error) => tracing::debug!(%error, "netlink announcements were lost"),
        }
    }
}
