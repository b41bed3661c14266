//! How two daemons find out what a path carries: a probe as large as the packet in question, and
//! its short answer (RFC 8899 section 4.1, probe packets of padding and control data only). Inside
//! the tunnel like [`super::probe`], of which they differ by the first byte.
//!
//! ```text
//!  IP header, protocol 253 (RFC 3692), A_k → P_k
//!  | kind | 0 | size |   bytes of the whole inner packet
//!  | zeros           |   a probe only
//! ```

use std::net::IpAddr;

use super::inner;
use super::probe::PROTOCOL;

const ASKED: u8 = 0x50;
const CAME: u8 = 0x51;

/// What one daemon says to the other about a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A packet of this size: did it come?
    Asked(u16),
    Came(u16),
}

impl Size {
    /// The whole inner packet. `None` if the addresses are of two families, or the size is less
    /// than the headers.
    pub fn to_packet(self, source: IpAddr, destination: IpAddr) -> Option<Vec<u8>> {
        let (kind, size, length) = match self {
            Self::Asked(size) => {
                let headers = inner::header_length(source);
                (ASKED, size, usize::from(size).checked_sub(headers)?)
            }
            Self::Came(size) => (CAME, size, 4),
        };
        let mut body = vec![0; length];
        *body.first_chunk_mut::<2>()? = [kind, 0];
        body.get_mut(2..4)?.copy_from_slice(&size.to_be_bytes());
        inner::packet(source, destination, PROTOCOL, &body)
    }

    /// `None` for anything else. What a probe says of its size has to be so.
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        let (PROTOCOL, body) = inner::payload(packet)? else {
            return None;
        };
        let [kind, 0, high, low] = *body.first_chunk::<4>()? else {
            return None;
        };
        let size = u16::from_be_bytes([high, low]);
        match kind {
            ASKED if usize::from(size) == packet.len() => Some(Self::Asked(size)),
            CAME => Some(Self::Came(size)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::probe::Probe;

    const ENDS: [(&str, &str); 2] = [("10.213.1.3", "10.213.2.3"), ("fd50::1", "fd50::2")];

    #[test]
    fn a_probe_is_as_large_as_it_says_and_an_answer_is_short() {
        for (a, b) in ENDS.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())) {
            for size in [1280, 1420, 65_535] {
                let packet = Size::Asked(size).to_packet(a, b).unwrap();
                assert_eq!(packet.len(), usize::from(size));
                assert_eq!(Size::from_packet(&packet), Some(Size::Asked(size)));
                assert_eq!(Probe::from_packet(&packet), None);
                let packet = Size::Came(size).to_packet(a, b).unwrap();
                assert!(packet.len() < 50);
                assert_eq!(Size::from_packet(&packet), Some(Size::Came(size)));
            }
        }
    }

    #[test]
    fn a_probe_that_was_cut_has_not_come() {
        let (a, b) = ENDS[0];
        let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
        let packet = Size::Asked(1400).to_packet(a, b).unwrap();
        for length in [0, 20, 23, 24, 1399] {
            assert_eq!(Size::from_packet(&packet[..length]), None, "{length}");
        }
        assert_eq!(Size::Asked(10).to_packet(a, b), None);
    }
}
