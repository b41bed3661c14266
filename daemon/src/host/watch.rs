//! Tells when something changed in the kernel: devices and their settings, addresses, routes,
//! rules, firewall tables. What it was is not said: whoever is told looks for himself. The kernel
//! does not announce changes of MPTCP endpoints, limits and most sysctls.

use std::io;

use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};

use super::nft;

/// RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE and
/// IPV4_NETCONF, which tells of `rp_filter` (linux/rtnetlink.h).
const ROUTE_GROUPS: [u32; 8] = [1, 5, 7, 8, 9, 11, 19, 24];
/// `nft flush ruleset` takes our guard along.
const FIREWALL_GROUPS: [u32; 1] = [nft::news::GROUP];

/// A subscription to the kernel's announcements.
pub struct Watch {
    route: TokioSocket,
    /// `None` where the kernel has no nftables.
    firewall: Option<TokioSocket>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            route: subscribe(protocols::NETLINK_ROUTE, &ROUTE_GROUPS)?,
            firewall: subscribe(protocols::NETLINK_NETFILTER, &FIREWALL_GROUPS)
                .inspect_err(|error| tracing::debug!(%error, "no news of the firewall"))
                .ok(),
        })
    }

    /// Waits for the next announcement. Cancel-safe: an announcement is only a hint.
    pub async fn changed(&mut self) {
        let firewall = async {
            match &mut self.firewall {
                Some(socket) => socket.recv_from_full().await,
                None => std::future::pending().await,
            }
        };
        let announced = tokio::select! {
            announced = self.route.recv_from_full() => announced,
            announced = firewall => announced,
        };
        if let Err(error) = announced {
            // Too many at once (ENOBUFS): then certainly something changed.
            tracing::debug!(%error, "netlink announcements were lost");
        }
    }
}

fn subscribe(protocol: isize, groups: &[u32]) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    let inner = socket.socket_mut();
    inner.bind(&SocketAddr::new(0, 0))?;
    groups
        .iter()
        .try_for_each(|group| inner.add_membership(*group))?;
    Ok(socket)
}
