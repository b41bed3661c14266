//! The open connections to the peers as an operator wants them: by connection, each flow with its
//! path, and what is missing to be as fast as it could be.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::{Path, Peer};
use crate::control::{Connection, Flow, Flows, Kind, Lack, SCHEMA};
use crate::names::{PathId, PathNumber, SiteId};
use crate::plan::{Listener, MptcpSocket, PathAddresses, Sockets, TcpSocket};

use super::Site;

/// From here on the kernel numbers the ports of those who open (ip_local_port_range).
const FIRST_EPHEMERAL: u16 = 32_768;

/// What a connection is made of.
struct Parts<'a> {
    peer: &'a Peer,
    sockets: Vec<&'a TcpSocket>,
    whole: Option<&'a MptcpSocket>,
}

impl Site {
    /// All connections to peers. `ages`: how long ago those were opened of which it is known.
    pub fn flows(
        &self,
        sockets: &Sockets,
        addresses: &[PathAddresses],
        ages: &BTreeMap<u32, Duration>,
    ) -> Flows {
        let mut multipath: BTreeMap<u32, Parts<'_>> = BTreeMap::new();
        let mut connections = Vec::new();
        for socket in &sockets.tcp {
            let Some(peer) = self.far_end(socket.flow.destination, addresses) else {
                continue;
            };
            if socket.multipath && socket.flow.token != 0 {
                let parts = multipath.entry(socket.flow.token).or_insert_with(|| Parts {
                    peer,
                    sockets: Vec::new(),
                    whole: sockets.mptcp.iter().find(|m| m.token == socket.flow.token),
                });
                parts.sockets.push(socket);
            } else if socket.flow.established && !socket.multipath {
                let found = self.plain(peer, socket, &sockets.listeners, addresses);
                connections.push((peer.site.id, found));
            }
        }
        for (token, parts) in multipath {
            let age = ages.get(&token).copied();
            let found = self.multipath(&parts, addresses, age);
            connections.push((parts.peer.site.id, found));
        }
        connections.sort_by_key(|(peer, found)| (*peer, found.local, found.remote));
        Flows {
            schema: SCHEMA,
            connections: connections.into_iter().map(|(_, found)| found).collect(),
        }
    }

    fn far_end(&self, destination: IpAddr, addresses: &[PathAddresses]) -> Option<&Peer> {
        let path = addresses.iter().find(|path| path.reaches(destination))?;
        self.view.peer(path.path.peer)
    }

    fn multipath(
        &self,
        parts: &Parts<'_>,
        addresses: &[PathAddresses],
        age: Option<Duration>,
    ) -> Connection {
        let sockets = &parts.sockets;
        let mut flows: Vec<_> = sockets.iter().map(|s| self.flow(s, addresses)).collect();
        flows.sort_by_key(|flow| (flow.path, flow.local));
        let opened_here = sockets.iter().any(|socket| socket.flow.opened_here);
        let first = sockets.first().map(|socket| ends(socket));
        let whole = parts.whole.map(|whole| (whole.local, whole.remote));
        let (local, remote) = whole.or(first).unwrap_or_else(nowhere);
        let fell_back = parts.whole.is_some_and(|whole| whole.fell_back);
        // Before Linux 6.5 the kernel does not count for the connection as a whole.
        let of_flows = |count: fn(&Flow) -> u64| flows.iter().map(count).sum::<u64>();
        let counted = |count: u64, flows: u64| if count > 0 { count } else { flows };
        let (acked, received) = parts
            .whole
            .map_or((0, 0), |whole| (whole.bytes_acked, whole.bytes_received));
        Connection {
            peer: parts.peer.site.name.to_string(),
            kind: if fell_back {
                Kind::Plain
            } else {
                Kind::Multipath
            },
            reason: fell_back.then(|| {
                "it fell back to plain TCP after its start: `pathweave status --json` counts the \
                 reasons under \"fallbacks\""
                    .to_owned()
            }),
            opened_here: Some(opened_here),
            local,
            remote,
            inode: parts.whole.map_or(0, |whole| whole.inode),
            uid: parts.whole.map_or(0, |whole| whole.uid),
            age_s: age.map(|age| age.as_secs()),
            sent: counted(acked, of_flows(|flow| flow.sent)),
            received: counted(received, of_flows(|flow| flow.received)),
            lacks: self.lacks(parts.peer, &flows, opened_here),
            flows,
        }
    }

    fn plain(
        &self,
        peer: &Peer,
        socket: &TcpSocket,
        listeners: &[Listener],
        addresses: &[PathAddresses],
    ) -> Connection {
        let (local, remote) = ends(socket);
        let by = listeners.iter().find(|listener| {
            let address = listener.address;
            listener.port == local.port() && (address.is_unspecified() || address == local.ip())
        });
        let opened_here = match by {
            Some(_) => Some(false),
            None => (local.port() >= FIRST_EPHEMERAL).then_some(true),
        };
        Connection {
            peer: peer.site.name.to_string(),
            kind: Kind::Plain,
            reason: Some(why_plain(by).to_owned()),
            opened_here,
            local,
            remote,
            inode: socket.inode,
            uid: socket.uid,
            age_s: None,
            sent: socket.flow.bytes_acked,
            received: socket.flow.bytes_received,
            flows: vec![self.flow(socket, addresses)],
            lacks: Vec::new(),
        }
    }

    fn flow(&self, socket: &TcpSocket, addresses: &[PathAddresses]) -> Flow {
        let (local, remote) = ends(socket);
        let carries = |path: &&PathAddresses| path.carries(local.ip(), remote.ip());
        let path = addresses.iter().find(carries).map(|path| path.path);
        let path = path.and_then(|path| self.find_path(self.travels_by(path)));
        let flow = &socket.flow;
        Flow {
            path: path.map(|(_, path)| path.id.number.value()),
            link: path.and_then(|(_, path)| self.link(path)),
            remote_link: path.and_then(|(peer, path)| remote_link(peer, path)),
            local,
            remote,
            established: flow.established,
            reserve: flow.backup,
            sent: flow.bytes_acked,
            received: flow.bytes_received,
            retransmitted: socket.bytes_retransmitted,
            rtt_ms: socket.round_trip.as_secs_f64() * 1000.0,
            delivery_rate: socket.delivery_rate,
        }
    }

    /// What leaves from a site address goes by the path that carries those now.
    fn travels_by(&self, path: PathId) -> PathId {
        if path.number != PathNumber::FIRST {
            return path;
        }
        let number = self.site_path_to(path.peer).unwrap_or(path.number);
        PathId { number, ..path }
    }

    fn site_path_to(&self, peer: SiteId) -> Option<PathNumber> {
        self.talks.get(&peer)?.site_path()
    }

    fn find_path(&self, id: PathId) -> Option<(&Peer, &Path)> {
        self.view.paths().find(|(_, path)| path.id == id)
    }

    fn link(&self, path: &Path) -> Option<String> {
        let link = self.view.site.links.get(path.link)?;
        Some(link.name.to_string())
    }

    fn lacks(&self, peer: &Peer, flows: &[Flow], opened_here: bool) -> Vec<Lack> {
        let on = |path: &Path, established: bool| {
            let number = Some(path.id.number.value());
            let mut flows = flows.iter();
            flows.any(|flow| flow.path == number && flow.established == established)
        };
        let lacking = peer.paths.iter().filter(|path| !on(path, true));
        lacking
            .map(|path| Lack {
                path: path.id.number.value(),
                link: self.link(path).unwrap_or_default(),
                remote_link: remote_link(peer, path).unwrap_or_default(),
                why: self.why_lacking(path.id, on(path, false), opened_here),
            })
            .collect()
    }

    fn why_lacking(&self, path: PathId, under_way: bool, opened_here: bool) -> String {
        if let Some(reason) = self.reason(path) {
            return reason;
        }
        let by = self.travels_by(path).number;
        if by != path.number {
            return format!("the site address travels by path {by} now");
        }
        let why = match (under_way, opened_here) {
            (true, _) => "its subflow is under way",
            (false, true) => "its subflow will be opened",
            (false, false) => "the far end, which opened the connection, opens its subflow",
        };
        why.to_owned()
    }
}

/// `by`: the listener that took it in.
fn why_plain(by: Option<&Listener>) -> &'static str {
    match by {
        Some(Listener {
            multipath: true, ..
        }) => "the far end's program opened it with plain TCP: start that one under `mptcpize run`",
        Some(Listener {
            multipath: false, ..
        }) => "the program here listens with plain TCP: start it under `mptcpize run`",
        None => "one of the two programs speaks plain TCP only: start both under `mptcpize run`",
    }
}

fn remote_link(peer: &Peer, path: &Path) -> Option<String> {
    let link = peer.site.links.get(path.remote_link)?;
    Some(link.name.to_string())
}

fn ends(socket: &TcpSocket) -> (SocketAddr, SocketAddr) {
    let flow = &socket.flow;
    (
        SocketAddr::new(flow.source, flow.source_port),
        SocketAddr::new(flow.destination, flow.destination_port),
    )
}

/// A connection has at least one socket, which tells where it is.
fn nowhere() -> (SocketAddr, SocketAddr) {
    let nowhere = SocketAddr::from(([0; 4], 0));
    (nowhere, nowhere)
}
