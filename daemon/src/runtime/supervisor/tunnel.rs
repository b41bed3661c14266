//! What `wg` is told of a path's tunnel.

use std::sync::atomic::Ordering::Relaxed;

use crate::names::InterfaceName;
use crate::uapi::Device;

use super::Supervisor;

impl Supervisor {
    pub(super) fn tunnel(&self, interface: &InterfaceName) -> Option<Device> {
        let view = self.site.view();
        let mut paths = view.paths();
        let (peer, path) = paths.find(|(_, path)| path.interface == *interface)?;
        let lane = self.paths.lane(path.id)?;
        let counters = &lane.tunnel.counters;
        Some(Device {
            listen_port: view.listen_port,
            peer: path.public_key,
            endpoint: lane.tunnel.remote(),
            allowed: self.paths.allowed(peer),
            last_handshake: lane.last_handshake().map(|(_, at)| at),
            rx_bytes: counters.rx_bytes.load(Relaxed),
            tx_bytes: counters.tx_bytes.load(Relaxed),
        })
    }
}
