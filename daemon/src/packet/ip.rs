//! The few fields of an IP header that the data plane looks at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A whole IP packet's header, checked for its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Next protocol; for IPv6 the first next-header.
    pub protocol: u8,
}

impl Header {
    /// `None` for anything that is not exactly one whole IP packet (RFC 791, RFC 8200).
    pub fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::of_v4(packet),
            6 => Self::of_v6(packet),
            _ => None,
        }
    }

    fn of_v4(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<20>()?;
        let header_length = usize::from(header[0] & 0x0f) * 4;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_length < 20 || length < header_length || length != packet.len() {
            return None;
        }
        let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
        let (source, destination) = (address(12)?.into(), address(16)?.into());
        Some(Self {
            source,
            destination,
            protocol: header[9],
        })
    }

    fn of_v6(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<40>()?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if length + 40 != packet.len() {
            return None;
        }
        let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?));
        let (source, destination) = (address(8)?.into(), address(24)?.into());
        Some(Self {
            source,
            destination,
            protocol: header[6],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::inner;
    use proptest::prelude::*;

    #[test]
    fn a_packet_must_be_as_long_as_it_says() {
        for (a, b) in [("10.0.0.1", "10.0.0.2"), ("fd50::1", "fd50::2")] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            let packet = inner::packet(a, b, 17, b"hello").unwrap();
            let header = Header {
                source: a,
                destination: b,
                protocol: 17,
            };
            assert_eq!(Header::of(&packet), Some(header));
            assert_eq!(Header::of(&packet[..packet.len() - 1]), None);
            let longer = [&packet[..], b"!"].concat();
            assert_eq!(Header::of(&longer), None);
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Header::of(&bytes).is_none_or(|_| bytes.len() >= 20));
        }
    }
}
