//! Our links: a socket per family, bound to the link's device, and its receivers. A device that
//! comes, goes or comes back under another index is followed.

use std::net::IpAddr;
use std::sync::Arc;

use crate::carrier::udp::{BindTo, CarrierError, Offload, UdpSocket};
use crate::config::{Link, View};
use crate::host::device::Device;
use crate::site::Obstacle;

use super::lane::LinkSockets;
use super::receiver::{Inbound, Shared};
use super::wake::Stoppable;

#[derive(Debug)]
pub struct Links {
    port: u16,
    shared: Arc<Shared>,
    links: Vec<Attachment>,
}

#[derive(Debug)]
struct Attachment {
    link: Link,
    /// The device that the sockets are bound to.
    device: Option<u32>,
    sockets: LinkSockets,
    receivers: Vec<Stoppable>,
    obstacle: Option<Obstacle>,
}

impl Links {
    pub fn new(view: &View, shared: Arc<Shared>) -> Self {
        let closed = |link: &Link| Attachment {
            link: link.clone(),
            device: None,
            sockets: LinkSockets::default(),
            receivers: Vec::new(),
            obstacle: None,
        };
        let links = view.site.links.iter().map(closed).collect();
        Self {
            port: view.listen_port,
            shared,
            links,
        }
    }

    /// Follows the devices. The last error is given back; the others' links are served.
    pub fn refresh(&mut self, devices: &[Device]) -> Result<(), CarrierError> {
        let mut result = Ok(());
        for (index, attachment) in self.links.iter_mut().enumerate() {
            let opened = attachment.refresh(devices, self.port, index, &self.shared);
            if opened.is_err() {
                result = opened;
            }
        }
        result
    }

    pub fn sockets(&self, link: usize) -> LinkSockets {
        self.links
            .get(link)
            .map(|attachment| attachment.sockets.clone())
            .unwrap_or_default()
    }

    pub fn obstacle(&self, link: usize) -> Option<Obstacle> {
        self.links.get(link)?.obstacle.clone()
    }
}

impl Attachment {
    fn refresh(
        &mut self,
        devices: &[Device],
        port: u16,
        index: usize,
        shared: &Arc<Shared>,
    ) -> Result<(), CarrierError> {
        let device = match self.link.interface.clone() {
            None => None,
            Some(name) => {
                let found = devices.iter().find(|device| device.name == name.as_str());
                let Some(found) = found else {
                    self.close();
                    self.obstacle = Some(Obstacle::DeviceMissing(name));
                    return Ok(());
                };
                self.obstacle = (!found.running).then_some(Obstacle::NoCarrier(name));
                Some(found.index)
            }
        };
        if self.sockets.is_open() && self.device == device {
            return Ok(());
        }
        self.close();
        let opened = self.open(port, index, shared);
        if let Err(error) = &opened {
            self.close();
            self.obstacle = Some(Obstacle::NoSocket(error.to_string()));
        } else {
            self.device = device;
        }
        opened
    }

    fn open(&mut self, port: u16, index: usize, shared: &Arc<Shared>) -> Result<(), CarrierError> {
        let sources: Vec<IpAddr> = match self.link.sources.as_slice() {
            [] => vec![BindTo::any(false), BindTo::any(true)],
            given => given.to_vec(),
        };
        let allowed = if self.link.offload {
            Offload::FULL
        } else {
            Offload::NONE
        };
        for source in sources {
            let to = BindTo {
                interface: self.link.interface.clone(),
                source,
                port,
            };
            let socket = match UdpSocket::open(&to, allowed) {
                Ok(socket) => Arc::new(socket),
                // A machine without IPv6 has IPv4 all the same.
                Err(CarrierError::Other(error)) if source == BindTo::any(true) => {
                    tracing::debug!(%error, link = %self.link.name, "no IPv6 on this link");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let family = if source.is_ipv6() {
                &mut self.sockets.v6
            } else {
                &mut self.sockets.v4
            };
            *family = Some(socket.clone());
            let inbound = Inbound::new(shared.clone(), socket, index);
            self.receivers.push(inbound.start(self.link.name.as_str())?);
        }
        tracing::info!(link = %self.link.name, port, "link is open");
        Ok(())
    }

    fn close(&mut self) {
        self.receivers.clear();
        self.sockets = LinkSockets::default();
        self.device = None;
    }
}
