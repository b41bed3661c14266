//! The overlay as one site sees it: its peers, and the paths to each.

use crate::names::{InterfaceName, PathId, PathNumber, PublicKey, SiteId};

use super::checked::{Fleet, Link, Path, Peer, Site, SiteKind, View};

/// Outer IPv6 header 40, UDP 8, WireGuard 32: an inner packet of the MTU fits whatever carries it.
const OVERHEAD: u16 = 80;
const DEFAULT_LINK_MTU: u16 = 1500;

/// The key fits no site of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    #[error(
        "no site of the fleet file has this machine's public key {key}: put it into the file as \
         this site's public_key, or use the key file of one of: {sites}"
    )]
    UnknownKey { key: PublicKey, sites: String },
    #[error("site {0} is of kind \"wireguard\": plain `wg` runs there, not pathweaved")]
    PlainWireGuard(String),
}

impl Fleet {
    /// The daemon finds itself by its own public key.
    pub fn view(&self, key: &PublicKey) -> Result<View, ViewError> {
        let site = self
            .sites
            .values()
            .find(|site| site.public_key == *key)
            .ok_or_else(|| {
                let sites: Vec<_> = self
                    .sites
                    .values()
                    .map(|site| site.name.to_string())
                    .collect();
                ViewError::UnknownKey {
                    key: *key,
                    sites: sites.join(", "),
                }
            })?;
        if site.kind == SiteKind::WireGuard {
            return Err(ViewError::PlainWireGuard(site.name.to_string()));
        }
        let others = self.sites.values().filter(|other| other.id != site.id);
        Ok(View {
            overlay: self.overlay,
            listen_port: self.listen_port,
            leak_guard: self.leak_guard,
            site: site.clone(),
            peers: others.map(|other| self.peer(site, other)).collect(),
        })
    }

    fn peer(&self, here: &Site, there: &Site) -> Peer {
        let pairs = self.pairs(here, there);
        let paths = pairs
            .iter()
            .zip(1..)
            .filter_map(|((ours, theirs), number)| {
                let id = PathId {
                    peer: there.id,
                    number: PathNumber::new(number)?,
                };
                path(id, (here, *ours), (there, *theirs))
            });
        Peer {
            paths: paths.collect(),
            site: there.clone(),
        }
    }

    /// Link of `here` and link of `there` of each path, in order of its number.
    pub(super) fn pairs(&self, here: &Site, there: &Site) -> Vec<(usize, usize)> {
        let link_of = |between: &[(SiteId, usize); 2], site: SiteId| {
            between
                .iter()
                .find(|(id, _)| *id == site)
                .map(|(_, link)| *link)
        };
        let explicit: Vec<_> = self
            .pairings
            .iter()
            .filter_map(|pairing| {
                Some((
                    link_of(&pairing.between, here.id)?,
                    link_of(&pairing.between, there.id)?,
                ))
            })
            .collect();
        if !explicit.is_empty() {
            return explicit;
        }
        let (ours, theirs) = (here.links.len(), there.links.len());
        // Each wg interface is one path; ours are shared between them.
        let count = match (here.kind, there.kind) {
            (SiteKind::WireGuard, SiteKind::WireGuard) => 0,
            (SiteKind::Pathweave, SiteKind::WireGuard) => theirs,
            (SiteKind::WireGuard, SiteKind::Pathweave) => ours,
            (SiteKind::Pathweave, SiteKind::Pathweave) => ours.max(theirs),
        };
        (0..count)
            .map(|k| (k % ours.max(1), k % theirs.max(1)))
            .collect()
    }
}

fn path(id: PathId, here: (&Site, usize), there: (&Site, usize)) -> Option<Path> {
    let (ours, theirs) = (here.0.links.get(here.1)?, there.0.links.get(there.1)?);
    let mtu = |link: &Link| link.mtu.unwrap_or(DEFAULT_LINK_MTU);
    Some(Path {
        id,
        link: here.1,
        remote_link: there.1,
        interface: InterfaceName::of_path(&there.0.name, id),
        public_key: theirs.public_key.unwrap_or(there.0.public_key),
        mtu: mtu(ours).min(mtu(theirs)).saturating_sub(OVERHEAD),
    })
}
