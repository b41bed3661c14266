//! Whole inner packets made and taken apart by the daemon itself: probes and echoes. The data
//! plane never builds a packet.

use std::net::IpAddr;

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const HOP_LIMIT: u8 = 64;

/// Bytes of the IP header of packets from `source`.
pub fn header_length(source: IpAddr) -> usize {
    if source.is_ipv6() {
        V6_HEADER
    } else {
        V4_HEADER
    }
}

/// An IP packet with `body`. `None` if the addresses are of two families or it is too long.
pub fn packet(source: IpAddr, destination: IpAddr, protocol: u8, body: &[u8]) -> Option<Vec<u8>> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(V4_HEADER + body.len()).ok()?.to_be_bytes();
            // Version 4, IHL 5; Don't Fragment (RFC 791 section 3.1).
            let mut bytes = vec![
                0x45, 0, length[0], length[1], 0, 0, 0x40, 0, HOP_LIMIT, protocol,
            ];
            bytes.extend([0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            let sum = checksum(0, &bytes).to_be_bytes();
            bytes[10..12].copy_from_slice(&sum);
            bytes.extend(body);
            Some(bytes)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = u16::try_from(body.len()).ok()?.to_be_bytes();
            let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], protocol, HOP_LIMIT];
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes.extend(body);
            Some(bytes)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// Protocol and body of an IP packet without options or extension headers, else `None`.
pub fn payload(packet: &[u8]) -> Option<(u8, &[u8])> {
    match packet.first()? >> 4 {
        4 if *packet.first()? == 0x45 => Some((*packet.get(9)?, packet.get(V4_HEADER..)?)),
        6 => Some((*packet.get(6)?, packet.get(V6_HEADER..)?)),
        _ => None,
    }
}

/// The Internet checksum (RFC 1071) over `bytes`, starting from `start`.
pub fn checksum(start: u32, bytes: &[u8]) -> u16 {
    !sum(start, bytes)
}

/// The folded ones' complement sum, which is `0xffff` over a packet with a right checksum. Summed
/// in the machine's own byte order and by four bytes: the order may be set right at the end
/// (RFC 1071 section 2).
pub fn sum(start: u32, bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_ne_bytes(last));
    sum = u64::from(u16::from_be(fold(sum))) + u64::from(start);
    fold(sum)
}

fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_sum_is_the_plain_one(
            start in any::<u32>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut plain = u64::from(start);
            for pair in bytes.chunks(2) {
                let low = pair.get(1).copied().unwrap_or(0);
                plain += u64::from(u16::from_be_bytes([pair[0], low]));
            }
            prop_assert_eq!(sum(start, &bytes), fold(plain));
        }
    }
}
