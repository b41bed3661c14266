//! The overlay as one site sees it: its peers, and the paths to each.

use crate::names::{InterfaceName, PathId, PathNumber, PrivateKey, PublicKey, SiteId};

use super::checked::{Fleet, Link, Path, Peer, Site, SiteKind, View};

/// Outer IPv6 header 40, UDP 8, WireGuard 32: an inner packet of the MTU fits whatever carries it.
const OVERHEAD: u16 = 80;
const DEFAULT_LINK_MTU: u16 = 1500;

/// The key fits no site of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// `sites`: a line for each, with its public key.
    #[error(
        "no site of the fleet file has this machine's public key {key}: put it into the file as \
         this site's public_key, or use the key file of one of these sites:{sites}"
    )]
    UnknownKey { key: PublicKey, sites: String },
    #[error(
        "the public_key of site {0} in the fleet file is this machine's private key: make a new \
         one with `pathweave genkey`, because the file is copied to every site, and write what \
         `pathweave pubkey` prints into the file"
    )]
    PrivateKeyInFile(String),
    #[error(
        "site {0} is of kind \"wireguard\", plain `wg` runs there: use this site's own key file, \
         or remove `kind` from the file if pathweaved is to run there"
    )]
    PlainWireGuard(String),
}

impl Fleet {
    /// The daemon finds itself by its own public key.
    pub fn view(&self, key: &PublicKey) -> Result<View, ViewError> {
        let has_key = |site: &&Site| {
            let mut links = site.links.iter();
            site.public_key == *key || links.any(|link| link.public_key == Some(*key))
        };
        let found = self.sites.values().find(has_key);
        let site = found.ok_or_else(|| self.unknown(key))?;
        if site.kind == SiteKind::WireGuard {
            return Err(ViewError::PlainWireGuard(site.name.to_string()));
        }
        let others = self.sites.values().filter(|other| other.id != site.id);
        Ok(View {
            overlay: self.overlay,
            listen_port: self.listen_port,
            leak_guard: self.leak_guard,
            metrics: site.metrics.clone().or_else(|| self.metrics.clone()),
            path_manager: self.path_manager,
            speed_test: self.speed_test,
            site: site.clone(),
            peers: others.map(|other| self.peer(site, other)).collect(),
        })
    }

    fn unknown(&self, key: &PublicKey) -> ViewError {
        let is_private_key = |site: &&Site| {
            let private = PrivateKey::from_bytes(*site.public_key.as_bytes());
            private.public() == *key
        };
        if let Some(site) = self.sites.values().find(is_private_key) {
            return ViewError::PrivateKeyInFile(site.name.to_string());
        }
        let width = self.sites.values().map(|site| site.name.as_str().len());
        let width = width.max().unwrap_or(0);
        let line = |site: &Site| format!("\n  {:width$}  {}", site.name, site.public_key);
        ViewError::UnknownKey {
            key: *key,
            sites: self.sites.values().map(line).collect(),
        }
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
    fn pairs(&self, here: &Site, there: &Site) -> Vec<(usize, usize)> {
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
        let count = default_paths((here.kind, ours), (there.kind, theirs));
        (0..count)
            .map(|k| (k % ours.max(1), k % theirs.max(1)))
            .collect()
    }
}

/// How many paths two sites have without any `[[path]]`, from the kind and the number of links of
/// each.
pub(super) fn default_paths(a: (SiteKind, usize), b: (SiteKind, usize)) -> usize {
    match (a.0, b.0) {
        (SiteKind::WireGuard, SiteKind::WireGuard) => 0,
        // Each wg interface is one path; ours are shared between them.
        (SiteKind::Pathweave, SiteKind::WireGuard) => b.1,
        (SiteKind::WireGuard, SiteKind::Pathweave) => a.1,
        (SiteKind::Pathweave, SiteKind::Pathweave) => a.1.max(b.1),
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
