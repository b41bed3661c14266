//! Network devices: who is there, and our TUNs' settings. A TUN is ours when its name and its
//! alias say so: a name alone may be another program's.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::names::InterfaceName;
use crate::plan::{self, Sysctl};

use super::{Host, HostError, sysctl};

/// How the alias of our devices begins; `ip -d link` shows it.
const ALIAS: &str = "pathweave";
/// A whole UDP send with segmentation offload; above it the kernel segments in software.
const SEND_BYTES: u32 = 65_400;
/// What WireGuard adds to an inner packet.
const OVERHEAD: u32 = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub index: u32,
    pub name: String,
    pub alias: Option<String>,
    /// Administratively up and with carrier.
    pub running: bool,
}

impl Device {
    pub fn is_ours(&self) -> bool {
        let marked = self
            .alias
            .as_deref()
            .is_some_and(|alias| alias.starts_with(ALIAS));
        marked && self.name.starts_with(InterfaceName::OURS)
    }

    fn of(message: &LinkMessage) -> Option<Self> {
        let (mut name, mut alias) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text.clone()),
                LinkAttribute::IfAlias(text) => alias = Some(text.clone()),
                _ => {}
            }
        }
        let running = message
            .header
            .flags
            .contains(LinkFlags::Running | LinkFlags::Up);
        Some(Self {
            index: message.header.index,
            name: name?,
            alias,
            running,
        })
    }
}

impl Host {
    /// All devices of this network namespace.
    pub fn devices(&self) -> Result<Vec<Device>, HostError> {
        let dump = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self
            .netlink
            .dump(dump)
            .map_err(HostError::object("devices"))?;
        let devices = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Device::of(&message),
            _ => None,
        });
        Ok(devices.collect())
    }

    /// The device of that name, if there is one.
    pub fn device(&self, name: &InterfaceName) -> Result<Option<Device>, HostError> {
        Ok(self
            .devices()?
            .into_iter()
            .find(|device| device.name == name.as_str()))
    }

    /// All addresses of this network namespace, with the index of their device.
    pub fn all_addresses(&self) -> Result<Vec<(u32, IpAddr)>, HostError> {
        let dump = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self
            .netlink
            .dump(dump)
            .map_err(HostError::object("addresses"))?;
        let mut found = Vec::new();
        for answer in answers {
            let RouteNetlinkMessage::NewAddress(message) = answer else {
                continue;
            };
            found.extend(
                message
                    .attributes
                    .iter()
                    .filter_map(|attribute| match attribute {
                        AddressAttribute::Address(address) => {
                            Some((message.header.index, *address))
                        }
                        _ => None,
                    }),
            );
        }
        Ok(found)
    }

    /// Marks a TUN as ours and makes it ready: alias, MTU, segments, sysctls, up.
    pub fn prepare_tun(&self, name: &InterfaceName, mtu: u16, what: &str) -> Result<(), HostError> {
        // Before the device is up: else it has a link-local address already.
        for Sysctl { name, value, .. } in plan::of_device(name) {
            // Without IPv6 the machine has not all of them.
            let wanted = sysctl::read(&name).ok().and_then(|now| value.wanted(&now));
            wanted.map_or(Ok(()), |value| sysctl::write(&name, &value))?;
        }
        let mut message = LinkMessage::default();
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes = sizes(mtu).to_vec();
        message
            .attributes
            .push(LinkAttribute::IfAlias(format!("{ALIAS} {what}")));
        self.change_device(name, message)
    }

    /// What the path behind a TUN carries has changed. TCP takes it from there at once.
    pub fn set_mtu(&self, name: &InterfaceName, mtu: u16) -> Result<(), HostError> {
        let mut message = LinkMessage::default();
        message.attributes = sizes(mtu).to_vec();
        self.change_device(name, message)
    }

    fn change_device(
        &self,
        name: &InterfaceName,
        mut message: LinkMessage,
    ) -> Result<(), HostError> {
        let explain = || HostError::object(format!("device {name}"));
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let device = self.device(name)?.ok_or_else(missing).map_err(explain())?;
        message.header.index = device.index;
        self.netlink
            .change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(explain())
    }

    pub(super) fn remove_device(&self, device: &Device) -> Result<(), HostError> {
        let mut message = LinkMessage::default();
        message.header.index = device.index;
        self.netlink
            .change(RouteNetlinkMessage::DelLink(message), 0)
            .map_err(HostError::object(format!("device {}", device.name)))
    }
}

/// The MTU, and how many segments of it one UDP send takes.
fn sizes(mtu: u16) -> [LinkAttribute; 2] {
    [
        LinkAttribute::Mtu(u32::from(mtu)),
        LinkAttribute::GsoMaxSegs(SEND_BYTES / (u32::from(mtu) + OVERHEAD)),
    ]
}
