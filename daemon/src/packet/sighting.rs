//! Where an end of a path was seen from outside: what two daemons tell each other of links that
//! are behind NAT. Inside the tunnel of a path that is up, like [`super::size`] and
//! [`super::probe`], of which it differs by the first byte.
//!
//! ```text
//!  IP header, protocol 253 (RFC 3692), A_j → P_j
//!  | kind | path | port |   whose end of which path
//!  | address            |   16 bytes; IPv4 as RFC 4291 section 2.5.5.2 has it
//! ```

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::inner;
use super::probe::PROTOCOL;

const YOURS: u8 = 0x52;
const MINE: u8 = 0x53;
const ADDRESS: usize = 4;

/// A place where an end of a path can be dialled, as the sender says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub whose: Whose,
    pub path: u8,
    pub at: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The sender's own end.
    Mine,
    /// The receiver's end, as the sender sees it.
    Yours,
}

impl Sighting {
    /// The whole inner packet. `None` if the addresses are of two families.
    pub fn to_packet(self, source: IpAddr, destination: IpAddr) -> Option<Vec<u8>> {
        let kind = match self.whose {
            Whose::Mine => MINE,
            Whose::Yours => YOURS,
        };
        let address = match self.at.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mut body = vec![kind, self.path];
        body.extend(self.at.port().to_be_bytes());
        body.extend(address.octets());
        inner::packet(source, destination, PROTOCOL, &body)
    }

    /// `None` for anything else.
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        let (PROTOCOL, body) = inner::payload(packet)? else {
            return None;
        };
        let [kind, path, high, low] = *body.first_chunk::<ADDRESS>()?;
        let whose = match kind {
            MINE => Whose::Mine,
            YOURS => Whose::Yours,
            _ => return None,
        };
        let address: [u8; 16] = *body.get(ADDRESS..)?.first_chunk()?;
        let address = Ipv6Addr::from(address).to_canonical();
        Some(Self {
            whose,
            path,
            at: SocketAddr::new(address, u16::from_be_bytes([high, low])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::probe::Probe;
    use crate::packet::size::Size;

    fn packets() -> impl Iterator<Item = (Sighting, Vec<u8>)> {
        let ends = [("10.213.1.1", "10.213.2.1"), ("fd50::1", "fd50::2")];
        let at = ["192.0.2.1:20001", "[2001:db8::7]:51820"];
        let all = [Whose::Mine, Whose::Yours]
            .into_iter()
            .flat_map(move |whose| {
                let sighting = at.map(|at| Sighting {
                    whose,
                    path: 2,
                    at: at.parse().unwrap(),
                });
                sighting.into_iter()
            });
        all.flat_map(move |sighting| {
            ends.map(|(a, b)| {
                let packet = sighting.to_packet(a.parse().unwrap(), b.parse().unwrap());
                (sighting, packet.unwrap())
            })
        })
    }

    #[test]
    fn a_sighting_survives_the_way_through_the_tunnel_in_both_families() {
        for (sighting, mut packet) in packets() {
            assert_eq!(Sighting::from_packet(&packet), Some(sighting));
            assert_eq!(Probe::from_packet(&packet), None);
            assert_eq!(Size::from_packet(&packet), None);
            packet.extend([1, 2, 3]);
            assert_eq!(
                Sighting::from_packet(&packet),
                Some(sighting),
                "a newer sender's"
            );
        }
    }

    #[test]
    fn a_cut_or_foreign_packet_is_no_sighting() {
        for (_, packet) in packets() {
            for length in 0..packet.len() {
                assert_eq!(Sighting::from_packet(&packet[..length]), None, "{length}");
            }
        }
        let ends = ["10.213.1.1", "10.213.2.1"].map(|text| text.parse().unwrap());
        let size = Size::Came(1400).to_packet(ends[0], ends[1]).unwrap();
        assert_eq!(Sighting::from_packet(&size), None);
    }
}
