//! What a new fleet file means for a running daemon: the old view compared with the new one.
//!
//! A path is known by its peer and number, as its overlay addresses are. Its session outlives a
//! change unless the path's lane is made of something that changed (`Make`).

mod story;

use std::collections::BTreeMap;

use crate::config::{Path, Peer, SiteKind, View};
use crate::names::{InterfaceName, PathId, PublicKey};

/// One difference, as the operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(String);

/// What becomes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Its session, its interface and its connections do not notice.
    Kept,
    Added,
    Removed,
    /// The same path with a new lane: it shakes hands anew.
    Remade,
}

/// It cannot be done while the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} cannot change while the daemon runs, so nothing was changed: `systemctl restart \
     pathweaved` at every site"
)]
pub struct NeedsRestart {
    what: &'static str,
}

/// All differences, in the order of a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub fates: BTreeMap<PathId, Fate>,
    pub told: Vec<Change>,
}

impl Changes {
    /// From `old` to `new`.
    pub fn between(old: &View, new: &View) -> Result<Self, NeedsRestart> {
        let fixed = [
            ("this site's id", old.site.id != new.site.id),
            ("the overlay's prefix", old.overlay != new.overlay),
            ("path_manager", old.path_manager != new.path_manager),
        ];
        if let Some((what, _)) = fixed.into_iter().find(|(_, differs)| *differs) {
            return Err(NeedsRestart { what });
        }
        let fates = fates(old, new);
        let told = story::tell(old, new, &fates);
        Ok(Self { fates, told })
    }

    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The paths of one fate.
    pub fn paths(&self, fate: Fate) -> impl Iterator<Item = PathId> {
        self.fates
            .iter()
            .filter(move |(_, its)| **its == fate)
            .map(|(path, _)| *path)
    }
}

/// What a path's lane is made of.
#[derive(Debug, PartialEq, Eq)]
struct Make<'v> {
    kind: SiteKind,
    interface: &'v InterfaceName,
    key: &'v PublicKey,
    mtu: u16,
    offload: bool,
}

impl<'v> Make<'v> {
    fn of(view: &'v View, peer: &'v Peer, path: &'v Path) -> Self {
        let link = view.site.links.get(path.link);
        Self {
            kind: peer.site.kind,
            interface: &path.interface,
            key: &path.public_key,
            mtu: path.mtu,
            offload: link.is_none_or(|link| link.offload),
        }
    }

    fn of_all(view: &'v View) -> BTreeMap<PathId, Self> {
        let make = |(peer, path): (&'v Peer, &'v Path)| (path.id, Self::of(view, peer, path));
        view.paths().map(make).collect()
    }
}

fn fates(old: &View, new: &View) -> BTreeMap<PathId, Fate> {
    let (before, after) = (Make::of_all(old), Make::of_all(new));
    let fate = |path: &PathId| match (before.get(path), after.get(path)) {
        (Some(was), Some(is)) if was == is => Fate::Kept,
        (Some(_), Some(_)) => Fate::Remade,
        (None, _) => Fate::Added,
        (Some(_), None) => Fate::Removed,
    };
    let all = before.keys().chain(after.keys());
    all.map(|path| (*path, fate(path))).collect()
}

#[cfg(test)]
mod tests;
