//! The in-kernel path manager: endpoints and limits, by the generic netlink family `mptcp_pm`
//! (include/uapi/linux/mptcp_pm.h).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_ACK, NLM_F_DUMP, Nla, NlasIterator,
    ParseableParametrized,
};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

use super::netlink::{Netlink, ask};

const FAMILY: &str = "mptcp_pm";
const ADD_ADDR: u8 = 1;
const DEL_ADDR: u8 = 2;
const GET_ADDR: u8 = 3;
const SET_LIMITS: u8 = 5;
const GET_LIMITS: u8 = 6;

pub(super) const ATTR_ADDR: u16 = 1;
const ATTR_RCV_ADD_ADDRS: u16 = 2;
const ATTR_SUBFLOWS: u16 = 3;

const ADDR_FAMILY: u16 = 1;
const ADDR_ID: u16 = 2;
const ADDR_ADDR4: u16 = 3;
const ADDR_ADDR6: u16 = 4;
const ADDR_FLAGS: u16 = 6;
const ADDR_DEVICE: u16 = 7;

const FLAG_SUBFLOW: u32 = 2;
const NESTED: u16 = 1 << 15;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// An endpoint as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: IpAddr,
    id: u8,
    /// For subflows and nothing else, and not bound to a device: as we make them.
    pub(super) plain: bool,
}

/// How many extra subflows, and announced addresses, a connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Limits {
    pub(super) subflows: u32,
    pub(super) announced: u32,
}

impl Netlink {
    /// All endpoints, whoever made them.
    pub(super) fn endpoints(&self) -> io::Result<Vec<Endpoint>> {
        let answers = self.pm(GET_ADDR, Vec::new(), NLM_F_DUMP)?;
        let attributes = answers.iter().flat_map(|answer| &answer.attributes);
        Ok(attributes.filter_map(endpoint).collect())
    }

    pub(super) fn add_endpoint(&self, address: IpAddr) -> io::Result<()> {
        let mut nested = address_attributes(address);
        nested.push(DefaultNla::new(
            ADDR_FLAGS,
            FLAG_SUBFLOW.to_ne_bytes().to_vec(),
        ));
        self.pm(ADD_ADDR, vec![nest(ATTR_ADDR, &nested)], NLM_F_ACK)
            .map(|_| ())
    }

    pub(super) fn remove_endpoint(&self, endpoint: Endpoint) -> io::Result<()> {
        let mut nested = address_attributes(endpoint.address);
        nested.push(DefaultNla::new(ADDR_ID, vec![endpoint.id]));
        self.pm(DEL_ADDR, vec![nest(ATTR_ADDR, &nested)], NLM_F_ACK)
            .map(|_| ())
    }

    pub(super) fn limits(&self) -> io::Result<Limits> {
        let answers = self.pm(GET_LIMITS, Vec::new(), NLM_F_ACK)?;
        let limit = |kind| {
            let mut attributes = answers.iter().flat_map(|answer| &answer.attributes);
            let found = attributes.find(|attribute| attribute.kind() == kind);
            found.and_then(|attribute| number(value(attribute)))
        };
        let missing = || io::Error::other("the kernel told no MPTCP limits");
        Ok(Limits {
            subflows: limit(ATTR_SUBFLOWS).ok_or_else(missing)?,
            announced: limit(ATTR_RCV_ADD_ADDRS).ok_or_else(missing)?,
        })
    }

    pub(super) fn set_limits(&self, limits: Limits) -> io::Result<()> {
        let attributes = vec![
            DefaultNla::new(ATTR_RCV_ADD_ADDRS, limits.announced.to_ne_bytes().to_vec()),
            DefaultNla::new(ATTR_SUBFLOWS, limits.subflows.to_ne_bytes().to_vec()),
        ];
        self.pm(SET_LIMITS, attributes, NLM_F_ACK).map(|_| ())
    }

    pub(super) fn pm(
        &self,
        command: u8,
        attributes: Vec<DefaultNla>,
        flags: u16,
    ) -> io::Result<Vec<Pm>> {
        let mut message = GenlMessage::from_payload(Pm {
            command,
            attributes,
        });
        message.set_resolved_family_id(self.pm_family()?);
        let answers = ask(&self.generic, message, flags)?;
        Ok(answers.into_iter().map(|answer| answer.payload).collect())
    }

    fn pm_family(&self) -> io::Result<u16> {
        if let Some(id) = self.pm_family.get() {
            return Ok(*id);
        }
        let id = self.pm_control()?.into_iter().find_map(|nla| match nla {
            GenlCtrlAttrs::FamilyId(id) => Some(id),
            _ => None,
        });
        let id = id.ok_or_else(|| io::Error::other("the kernel has no MPTCP path manager"))?;
        Ok(*self.pm_family.get_or_init(|| id))
    }

    /// What the kernel tells of the family: its id, its groups.
    pub(super) fn pm_control(&self) -> io::Result<Vec<GenlCtrlAttrs>> {
        let nlas = vec![GenlCtrlAttrs::FamilyName(FAMILY.to_owned())];
        let request = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas,
        });
        let answers = ask(&self.generic, request, NLM_F_ACK)?;
        let nlas = answers.into_iter().flat_map(|answer| answer.payload.nlas);
        Ok(nlas.collect())
    }
}

/// A message of the family, either way.
#[derive(Clone, Debug)]
pub(super) struct Pm {
    pub(super) command: u8,
    pub(super) attributes: Vec<DefaultNla>,
}

impl GenlFamily for Pm {
    fn family_name() -> &'static str {
        FAMILY
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Pm {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Pm {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self {
            command: header.cmd,
            attributes: attributes(bytes)?,
        })
    }
}

fn attributes(bytes: &[u8]) -> Result<Vec<DefaultNla>, DecodeError> {
    let own = |nla: netlink_packet_core::NlaBuffer<&[u8]>| {
        DefaultNla::new(nla.kind(), nla.value().to_vec())
    };
    NlasIterator::new(bytes).map(|nla| nla.map(own)).collect()
}

pub(super) fn value(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

fn number(bytes: Vec<u8>) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

pub(super) fn nest(kind: u16, inner: &[DefaultNla]) -> DefaultNla {
    let mut bytes = vec![0; inner.buffer_len()];
    inner.emit(&mut bytes);
    DefaultNla::new(kind | NESTED, bytes)
}

pub(super) fn address_attributes(address: IpAddr) -> Vec<DefaultNla> {
    let (family, kind, bytes) = match address {
        IpAddr::V4(v4) => (AF_INET, ADDR_ADDR4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, ADDR_ADDR6, v6.octets().to_vec()),
    };
    vec![
        DefaultNla::new(ADDR_FAMILY, family.to_ne_bytes().to_vec()),
        DefaultNla::new(kind, bytes),
    ]
}

fn endpoint(attribute: &DefaultNla) -> Option<Endpoint> {
    if attribute.kind() & !NESTED != ATTR_ADDR {
        return None;
    }
    let (mut address, mut id) = (None, 0);
    let (mut flags, mut device) = (0, 0);
    for nested in attributes(&value(attribute)).ok()? {
        let bytes = value(&nested);
        match nested.kind() {
            ADDR_ID => id = *bytes.first()?,
            ADDR_ADDR4 => address = Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            ADDR_ADDR6 => address = Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
            ADDR_FLAGS => flags = number(bytes)?,
            ADDR_DEVICE => device = number(bytes)?,
            _ => {}
        }
    }
    Some(Endpoint {
        address: address?,
        id,
        plain: flags == FLAG_SUBFLOW && device == 0,
    })
}
