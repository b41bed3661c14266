//! The site's own account of itself: the status document of [`crate::control`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{Cost, Path, Peer};
use crate::control::{
    Dropped, HealingStatus, Offload, PathDiagnosis, PathState, PathStatus, PeerStatus, SCHEMA,
    SiteDiagnosis, SiteStatus, Status,
};
use crate::names::{PathId, PathNumber, SiteId};

use super::Site;

/// What only the machine knows of a path.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathFacts {
    pub endpoint: Option<SocketAddr>,
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    /// Its age, and when it was in seconds since 1970.
    pub last_handshake: Option<(Duration, u64)>,
    pub dropped: Dropped,
    pub subflows: u32,
    /// The largest inner packet that is sent now.
    pub mtu: u16,
    pub offload: Offload,
    pub handshakes: u64,
    /// Most bit/s in any second, out and in.
    pub peak: [u64; 2],
}

impl Site {
    /// The whole status. `facts` are asked path by path.
    pub fn status(
        &self,
        facts: &BTreeMap<PathId, PathFacts>,
        warnings: Vec<String>,
        strangers: u64,
    ) -> Status {
        let [address, address6] = self.site_address(self.view.site.id);
        let site = SiteStatus {
            name: self.view.site.name.to_string(),
            id: self.view.site.id.value(),
            address,
            address6,
            public_key: self.view.site.public_key.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            warnings,
            strangers,
            path_manager: String::new(),
            healing: HealingStatus::default(),
            repairs: BTreeMap::new(),
            fallbacks: BTreeMap::new(),
            listen_port: self.view.listen_port,
            speed_test: self.view.speed_test,
            diagnosis: SiteDiagnosis::default(),
        };
        let peers = self
            .view
            .peers
            .iter()
            .map(|peer| self.peer_status(peer, facts))
            .collect();
        Status {
            schema: SCHEMA,
            site,
            peers,
        }
    }

    fn peer_status(&self, peer: &Peer, facts: &BTreeMap<PathId, PathFacts>) -> PeerStatus {
        let paths: Vec<_> = peer
            .paths
            .iter()
            .filter_map(|path| {
                let facts = facts.get(&path.id).copied().unwrap_or_default();
                self.path_status(peer, path, facts)
            })
            .collect();
        let [address, address6] = self.site_address(peer.site.id);
        PeerStatus {
            site: peer.site.name.to_string(),
            id: peer.site.id.value(),
            address,
            address6,
            plain_tcp: 0,
            version: self
                .talks
                .get(&peer.site.id)
                .and_then(|talk| Some(talk.release()?.to_string())),
            reachable: paths.iter().any(|path| path.state == PathState::Up),
            paths,
        }
    }

    fn path_status(&self, peer: &Peer, path: &Path, facts: PathFacts) -> Option<PathStatus> {
        let entry = self.paths.get(&path.id)?;
        let (state, reason) = self.state(path.id)?;
        let (health, number) = (entry.health(), path.id.number);
        let site_path = self
            .talks
            .get(&path.id.peer)
            .and_then(|talk| talk.site_path());
        let overlay = &self.view.overlay;
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let up = state == PathState::Up;
        let link = self.view.site.links.get(path.link)?;
        let remote_link = peer.site.links.get(path.remote_link)?;
        Some(PathStatus {
            path: number.value(),
            state,
            reason,
            link: link.name.to_string(),
            remote_link: remote_link.name.to_string(),
            metered: link.cost.max(remote_link.cost) == Cost::Metered,
            interface: path.interface.to_string(),
            overlay_address: overlay
                .address_v4(self.view.site.id, number)
                .map(|a| a.to_string()),
            overlay_address6: overlay
                .address_v6(self.view.site.id, number)
                .map(|a| a.to_string()),
            endpoint: facts.endpoint.map(|endpoint| endpoint.to_string()),
            carrier: "udp".to_owned(),
            rtt_ms: health.round_trip().filter(|_| up).map(millis),
            jitter_ms: health.jitter().filter(|_| up).map(millis),
            loss: health.loss().filter(|_| up),
            loss_rx: health.loss().filter(|_| up),
            loss_tx: health.loss_there().filter(|_| up),
            since_s: health.age(self.now).as_secs(),
            flaps: health.flaps(),
            held_up_s: health.held_for(self.now).map(|left| left.as_secs().max(1)),
            reserve: None,
            site_path: site_path == Some(number),
            mtu: facts.mtu,
            last_handshake_s: facts.last_handshake.map(|(age, _)| age.as_secs()),
            last_handshake_unix_s: facts.last_handshake.map(|(_, at)| at),
            tx_bytes: facts.tx_bytes,
            rx_bytes: facts.rx_bytes,
            subflows: facts.subflows,
            dropped: facts.dropped,
            offload: facts.offload,
            diagnosis: self.path_diagnosis(peer, path, facts)?,
        })
    }

    fn path_diagnosis(&self, peer: &Peer, path: &Path, facts: PathFacts) -> Option<PathDiagnosis> {
        let entry = self.paths.get(&path.id)?;
        let ours = self.view.site.links.get(path.link)?;
        let theirs = peer.site.links.get(path.remote_link)?;
        let traffic = entry.traffic();
        Some(PathDiagnosis {
            trouble: entry.trouble(),
            device: ours.interface.as_ref().map(ToString::to_string),
            heard: traffic.heard,
            handshakes: facts.handshakes,
            refused: traffic.refused,
            mtu_hoped: path.mtu,
            stated: [slower(ours.up, theirs.down), slower(theirs.up, ours.down)],
            peak: facts.peak,
        })
    }

    /// The site address of a site in IPv4 and IPv6.
    fn site_address(&self, site: SiteId) -> [Option<String>; 2] {
        let overlay = &self.view.overlay;
        [
            overlay
                .address_v4(site, PathNumber::FIRST)
                .map(|address| address.to_string()),
            overlay
                .address_v6(site, PathNumber::FIRST)
                .map(|address| address.to_string()),
        ]
    }
}

/// What both links allow; of one that does not state its rate, nothing is known.
fn slower(from: Option<u64>, to: Option<u64>) -> Option<u64> {
    from.into_iter().chain(to).min()
}
