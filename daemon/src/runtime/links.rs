//! Our links: a socket per family, bound to the link's device, and its receivers. A device that
//! comes, goes or comes back under another index is followed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

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

/// A socket that was let go is closed when the data plane has sent its last batch.
const CLOSING: Duration = Duration::from_millis(2);
const TRIES: usize = 25;

#[derive(Debug)]
struct Attachment {
    link: Link,
    /// Its place, by which the receivers call it.
    index: usize,
    /// The device that the sockets are bound to.
    device: Option<u32>,
    sockets: LinkSockets,
    receivers: Vec<Stoppable>,
    obstacle: Option<Obstacle>,
}

impl Links {
    pub fn new(view: &View, shared: Arc<Shared>) -> Self {
        let links = view.site.links.iter().map(Attachment::closed).collect();
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

    /// Lets go of what is in the way of a new view: the kernel takes no two sockets that are bound
    /// alike, or nearly. [`Links::refresh`] takes it back.
    pub fn leave(&mut self, view: &View) {
        let (port, links) = (self.port, &view.site.links);
        let stays = |old: &Attachment| links.iter().any(|link| old.is_bound_as(link));
        let leaving = self.links.iter_mut().filter(|old| !stays(old));
        // On another port nothing is in the way.
        leaving
            .filter(|_| port == view.listen_port)
            .for_each(Attachment::close);
    }

    /// Follows a new view. Sockets that are bound as before stay open, with all that waits in
    /// them. On `Err` nothing is changed.
    pub fn change(&mut self, view: &View, devices: &[Device]) -> Result<(), CarrierError> {
        let same_port = view.listen_port == self.port;
        let mut coming = Vec::new();
        for (index, link) in view.site.links.iter().enumerate() {
            if same_port && self.links.iter().any(|old| old.is_bound_as(link)) {
                continue;
            }
            let mut attachment = Attachment::closed(link);
            let open = || attachment.refresh(devices, view.listen_port, index, &self.shared);
            patiently(open)?;
            coming.push(attachment);
        }
        self.adopt(view, coming);
        Ok(())
    }

    /// The view's links in its order: the old one that is bound so, else the next of `coming`.
    fn adopt(&mut self, view: &View, coming: Vec<Attachment>) {
        let mut coming = coming.into_iter();
        let mut old = std::mem::take(&mut self.links);
        let same_port = view.listen_port == self.port;
        for (index, link) in view.site.links.iter().enumerate() {
            let there = old
                .iter()
                .position(|old| same_port && old.is_bound_as(link));
            let found = there.map(|place| {
                let mut found = old.remove(place);
                found.follow(link, index, &self.shared);
                found
            });
            self.links.extend(found.or_else(|| coming.next()));
        }
        self.port = view.listen_port;
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
    fn closed(link: &Link) -> Self {
        Self {
            link: link.clone(),
            index: 0,
            device: None,
            sockets: LinkSockets::default(),
            receivers: Vec::new(),
            obstacle: None,
        }
    }

    fn is_bound_as(&self, link: &Link) -> bool {
        let bound = |link: &Link| (link.interface.clone(), link.sources.clone(), link.offload);
        bound(&self.link) == bound(link)
    }

    /// The same sockets for what the file says now.
    fn follow(&mut self, link: &Link, index: usize, shared: &Arc<Shared>) {
        self.link = link.clone();
        if index == self.index {
            return;
        }
        self.index = index;
        self.receivers.clear();
        let sockets = [self.sockets.v4.clone(), self.sockets.v6.clone()];
        if let Err(error) = sockets
            .into_iter()
            .flatten()
            .try_for_each(|socket| self.receive(socket, shared))
        {
            tracing::error!(%error, link = %self.link.name, "the link is opened again");
            self.close();
        }
    }

    fn receive(&mut self, socket: Arc<UdpSocket>, shared: &Arc<Shared>) -> std::io::Result<()> {
        let inbound = Inbound::new(shared.clone(), socket, self.index);
        self.receivers.push(inbound.start(self.link.name.as_str())?);
        Ok(())
    }

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
        self.index = index;
        let opened = self.open(port, shared);
        if let Err(error) = &opened {
            self.close();
            self.obstacle = Some(Obstacle::NoSocket(error.to_string()));
        } else {
            self.device = device;
        }
        opened
    }

    fn open(&mut self, port: u16, shared: &Arc<Shared>) -> Result<(), CarrierError> {
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
            self.receive(socket, shared)?;
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

fn patiently(mut open: impl FnMut() -> Result<(), CarrierError>) -> Result<(), CarrierError> {
    for _ in 1..TRIES {
        match open() {
            Err(CarrierError::PortInUse(_)) => std::thread::sleep(CLOSING),
            result @ (Ok(()) | Err(_)) => return result,
        }
    }
    open()
}
