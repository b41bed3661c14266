//! Overlay addresses on the loopback device, which never goes down ↔ rtnetlink's messages.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressProtocol, AddressScope,
};

use crate::plan::PROTOCOL;

use super::route::family;
use super::{Host, HostError};

/// `lo` is always the first device of a network namespace.
const LOOPBACK: u32 = 1;

/// An address of the loopback device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) address: IpAddr,
    /// Who put it there (IFA_PROTO); kernels before 5.18 do not know.
    pub(super) protocol: Option<u8>,
}

impl Host {
    /// All addresses of the loopback device.
    pub(super) fn locals(&self) -> Result<Vec<Local>, HostError> {
        let dump = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self
            .netlink
            .dump(dump)
            .map_err(HostError::object("addresses"))?;
        let locals = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => local(&message),
            _ => None,
        });
        Ok(locals.collect())
    }

    pub(super) fn add_address(&self, address: IpAddr) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::NewAddress(message(address));
        self.netlink
            .change(message, NLM_F_CREATE | NLM_F_EXCL)
            .map_err(HostError::object(format!("address {address} on lo")))
    }

    pub(super) fn remove_address(&self, address: IpAddr) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::DelAddress(message(address));
        self.netlink
            .change(message, 0)
            .map_err(HostError::object(format!("address {address} on lo")))
    }
}

fn local(message: &AddressMessage) -> Option<Local> {
    if message.header.index != LOOPBACK {
        return None;
    }
    let (mut address, mut protocol) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(value) => address = Some(*value),
            AddressAttribute::Protocol(value) => protocol = Some(u8::from(*value)),
            _ => {}
        }
    }
    Some(Local {
        address: address?,
        protocol,
    })
}

fn message(address: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address.is_ipv6());
    message.header.prefix_len = if address.is_ipv6() { 128 } else { 32 };
    message.header.index = LOOPBACK;
    message.header.scope = AddressScope::Universe;
    if address.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    } else {
        message.attributes.push(AddressAttribute::Local(address));
    }
    message.attributes.push(AddressAttribute::Address(address));
    let protocol = AddressProtocol::from(PROTOCOL);
    message
        .attributes
        .push(AddressAttribute::Protocol(protocol));
    message
}
