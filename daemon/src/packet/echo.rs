//! ICMP echo inside the tunnel: how we ask a plain `wg` peer, which knows no probes of ours,
//! whether it is there (RFC 792, RFC 4443 section 4).

use std::net::IpAddr;

use super::inner;

/// Marks the echoes that are ours; replies with it never reach the TUN.
pub const IDENTIFIER: u16 = 0x5057;

const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const REQUEST_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;

/// Bytes of ICMP header and stamp.
const LENGTH: usize = 16;

/// An echo request. `stamp_us` comes back in the reply. `None` for addresses of two families.
pub fn request(
    source: IpAddr,
    destination: IpAddr,
    sequence: u16,
    stamp_us: u64,
) -> Option<Vec<u8>> {
    request_of(source, destination, sequence, stamp_us, LENGTH)
}

/// One that is `size` bytes long in all, and so is its reply. `None`, too, if that is too short.
pub fn request_of_size(source: IpAddr, destination: IpAddr, size: u16) -> Option<Vec<u8>> {
    let length = usize::from(size).checked_sub(inner::header_length(source))?;
    if length <= LENGTH {
        return None;
    }
    request_of(source, destination, 0, 0, length)
}

/// A reply to [`request_of_size`]: how long it is.
pub fn size_of_reply(packet: &[u8]) -> Option<u16> {
    let (_, body) = inner::payload(packet)?;
    if body.len() <= LENGTH || reply(packet).is_none() {
        return None;
    }
    u16::try_from(packet.len()).ok()
}

fn request_of(
    source: IpAddr,
    destination: IpAddr,
    sequence: u16,
    stamp_us: u64,
    length: usize,
) -> Option<Vec<u8>> {
    let v6 = source.is_ipv6();
    let (protocol, kind) = if v6 {
        (ICMP6, REQUEST_V6)
    } else {
        (ICMP, REQUEST_V4)
    };
    let mut body = vec![kind, 0, 0, 0];
    body.extend(IDENTIFIER.to_be_bytes());
    body.extend(sequence.to_be_bytes());
    body.extend(stamp_us.to_be_bytes());
    body.resize(length, 0);
    let pseudo = if v6 {
        pseudo_header(source, destination, body.len())
    } else {
        0
    };
    let sum = inner::checksum(pseudo, &body).to_be_bytes();
    body[2..4].copy_from_slice(&sum);
    inner::packet(source, destination, protocol, &body)
}

/// The sequence and stamp of a reply to one of our requests; `None` for anything else.
pub fn reply(packet: &[u8]) -> Option<(u16, u64)> {
    let (protocol, body) = inner::payload(packet)?;
    let kind = *body.first()?;
    if (protocol, kind) != (ICMP, REPLY_V4) && (protocol, kind) != (ICMP6, REPLY_V6) {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk::<2>()?));
    if word(4)? != IDENTIFIER {
        return None;
    }
    Some((
        word(6)?,
        u64::from_be_bytes(*body.get(8..)?.first_chunk::<8>()?),
    ))
}

/// The unfolded sum of the IPv6 pseudo-header (RFC 8200 section 8.1).
fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> u32 {
    let words = |address: IpAddr| match address {
        IpAddr::V6(v6) => v6
            .segments()
            .iter()
            .map(|word| u32::from(*word))
            .sum::<u32>(),
        IpAddr::V4(_) => 0,
    };
    words(source) + words(destination) + u32::try_from(length).unwrap_or(0) + u32::from(ICMP6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_would_accept_our_checksums() {
        let packet = request(
            "10.213.1.1".parse().unwrap(),
            "10.213.2.1".parse().unwrap(),
            9,
            77,
        )
        .unwrap();
        assert_eq!(inner::checksum(0, &packet[..20]), 0, "IPv4 header");
        assert_eq!(inner::checksum(0, &packet[20..]), 0, "ICMP");
        let (a, b) = ("fd50::1".parse().unwrap(), "fd50::2".parse().unwrap());
        let packet = request(a, b, 9, 77).unwrap();
        let body = &packet[40..];
        assert_eq!(
            inner::checksum(pseudo_header(a, b, body.len()), body),
            0,
            "ICMPv6"
        );
    }

    #[test]
    fn a_large_echo_is_told_from_those_that_ask_for_health() {
        for (a, b) in [("10.213.1.1", "10.213.2.1"), ("fd50::1", "fd50::2")] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            let mut large = request_of_size(a, b, 1400).unwrap();
            assert_eq!(large.len(), 1400);
            let mut small = request(a, b, 1, 1).unwrap();
            for packet in [&mut large, &mut small] {
                let (at, kind) = if packet[0] == 0x45 {
                    (20, REPLY_V4)
                } else {
                    (40, REPLY_V6)
                };
                packet[at] = kind;
            }
            assert_eq!(size_of_reply(&large), Some(1400));
            assert_eq!(size_of_reply(&small), None);
        }
    }

    #[test]
    fn a_reply_gives_back_what_was_asked_and_a_request_is_no_reply() {
        let mut packet = request(
            "10.213.1.1".parse().unwrap(),
            "10.213.2.1".parse().unwrap(),
            9,
            77,
        )
        .unwrap();
        assert_eq!(reply(&packet), None);
        packet[20] = REPLY_V4;
        assert_eq!(reply(&packet), Some((9, 77)));
        packet[25] ^= 1;
        assert_eq!(reply(&packet), None, "another program's ping");
    }
}
