//! What an ISP sees: did any packet pass that it should not have seen?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MOST: usize = 20;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// Looks at every packet that enters or leaves a link.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    pub packets: u64,
    pub bytes: u64,
    /// The first packets that were neither a tunnel's nor the kernel's own ICMP.
    pub cleartext: Vec<String>,
    pub cleartext_count: u64,
}

impl Capture {
    pub fn look(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.bytes += packet.len() as u64;
        let Some(seen) = Seen::of(packet) else { return };
        if !seen.is_cleartext() {
            return;
        }
        self.cleartext_count += 1;
        if self.cleartext.len() < MOST {
            let Seen {
                source,
                destination,
                protocol,
                ..
            } = seen;
            let length = packet.len();
            self.cleartext.push(format!(
                "{source} > {destination} protocol {protocol}, {length} bytes"
            ));
        }
    }
}

struct Seen {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
}

impl Seen {
    fn of(packet: &[u8]) -> Option<Self> {
        let v4 = |at: usize| {
            Some(IpAddr::V4(Ipv4Addr::from(
                *packet.get(at..)?.first_chunk::<4>()?,
            )))
        };
        let v6 = |at: usize| {
            Some(IpAddr::V6(Ipv6Addr::from(
                *packet.get(at..)?.first_chunk::<16>()?,
            )))
        };
        match packet.first()? >> 4 {
            4 => Some(Self {
                source: v4(12)?,
                destination: v4(16)?,
                protocol: *packet.get(9)?,
            }),
            6 => Some(Self {
                source: v6(8)?,
                destination: v6(24)?,
                protocol: *packet.get(6)?,
            }),
            _ => None,
        }
    }

    /// An overlay address on the outside, or anything but UDP and ICMP between the ISPs.
    fn is_cleartext(&self) -> bool {
        let overlay = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets().starts_with(&[10, 213]),
            IpAddr::V6(v6) => v6.segments().starts_with(&[0xfd50, 0x7761, 0x7665]),
        };
        let multicast = self.destination.is_multicast();
        let expected = [UDP, ICMP, ICMP6].contains(&self.protocol) || multicast;
        overlay(self.source) || overlay(self.destination) || !expected
    }
}
