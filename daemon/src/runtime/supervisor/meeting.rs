//! Links behind NAT: knocks out and in, and dialling where a far end was seen.

use std::net::SocketAddr;
use std::time::Instant;

use crate::names::{PathId, PublicKey};
use crate::site::{Caller, Whom};
use crate::tunnel::knock::Knock;

use super::super::lane::Lane;
use super::super::receiver::Control;
use super::Supervisor;

impl Supervisor {
    pub(super) fn handle_control(&mut self, control: Control, now: Instant) {
        match control {
            Control::Packet { path, packet } => self.site.handle_control(path, &packet, now),
            Control::Knock(knock) => self.handle_knock(&knock, now),
        }
    }

    fn handle_knock(&mut self, knock: &Knock, now: Instant) {
        let Some(caller) = self.caller(knock) else {
            return;
        };
        if self.door.admits(&self.shared.identity, knock) {
            tracing::debug!(?caller, about = knock.about, source = %knock.source, "knock");
            self.site
                .handle_knock(caller, knock.about, knock.source, now);
        }
    }

    /// Who knocks about something that there is.
    fn caller(&self, knock: &Knock) -> Option<Caller> {
        let view = self.site.view();
        if knock.key == self.source.key {
            let link = view.site.links.get(usize::from(knock.about));
            return link.map(|_| Caller::Ourselves);
        }
        let is_about = |id: PathId| id.number.value() == knock.about;
        let mut paths = view.paths();
        let found = paths.find(|(_, path)| path.public_key == knock.key && is_about(path.id));
        found.map(|(peer, _)| Caller::Peer(peer.site.id))
    }

    /// The path's next handshake goes there.
    pub(super) fn dial(&mut self, lane: &Lane, at: SocketAddr) {
        let path = lane.tunnel.path();
        if self.endpoints.is_usable(at) && lane.sockets.load().reaches(at) {
            tracing::debug!(%path, %at, "the far end was seen");
            self.endpoints.handle_sighting(path, at);
            lane.tunnel.set_remote(Some(at));
        }
    }

    /// Out of the socket of the lane's link.
    pub(super) fn knock(&self, lane: &Lane, at: SocketAddr, whom: Whom) {
        let identity = &self.shared.identity;
        let Some((key, about)) = self.knocks_for(lane.tunnel.path(), whom) else {
            return;
        };
        let mut out = [0; 148];
        let length = Knock::write(identity, key, about, &mut out);
        if let (Some(length), true) = (length, self.endpoints.is_usable(at)) {
            lane.send_to(out.get(..length).unwrap_or_default(), at);
        }
    }

    /// At whose door, and about what.
    fn knocks_for(&self, path: PathId, whom: Whom) -> Option<(PublicKey, u8)> {
        let peer = self.site.view().peer(path.peer)?;
        let path = peer.paths.iter().find(|found| found.id == path)?;
        match whom {
            Whom::Peer => Some((path.public_key, path.id.number.value())),
            Whom::Ourselves => Some((self.source.key, u8::try_from(path.link).ok()?)),
        }
    }

    /// Peers that are gone have no door any more.
    pub(super) fn close_door(&mut self) {
        let (view, ours) = (self.site.view(), self.source.key);
        let is_known = |key: &PublicKey| {
            let mut paths = view.paths();
            *key == ours || paths.any(|(_, path)| path.public_key == *key)
        };
        self.door.retain(is_known);
    }
}
