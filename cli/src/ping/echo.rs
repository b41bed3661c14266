//! ICMP echo: requests → bytes, bytes → replies (RFC 792, RFC 4443 section 4).

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Slice, Icmpv4Type, Icmpv6Header, Icmpv6Slice, Icmpv6Type,
};

/// Bytes of an echo's header.
pub(super) const HEADER: usize = 8;

/// A request with `length` bytes after the header. The kernel knows ICMPv6's checksum.
pub(super) fn request(v6: bool, id: u16, sequence: u16, length: usize) -> Vec<u8> {
    let payload = vec![0; length];
    let echo = IcmpEchoHeader { id, seq: sequence };
    let mut bytes = if v6 {
        Icmpv6Header::new(Icmpv6Type::EchoRequest(echo))
            .to_bytes()
            .to_vec()
    } else {
        Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), &payload)
            .to_bytes()
            .to_vec()
    };
    bytes.extend(payload);
    bytes
}

/// The id and the sequence number of a reply; `None`: it is none. A raw IPv4 socket gives the IP
/// header, too.
pub(super) fn reply(v6: bool, with_ip_header: bool, bytes: &[u8]) -> Option<(u16, u16)> {
    let bytes = if with_ip_header {
        let length = usize::from(bytes.first()? & 0x0f) * 4;
        bytes.get(length..)?
    } else {
        bytes
    };
    let echo = if v6 {
        let Icmpv6Type::EchoReply(echo) = Icmpv6Slice::from_slice(bytes).ok()?.icmp_type() else {
            return None;
        };
        echo
    } else {
        let Icmpv4Type::EchoReply(echo) = Icmpv4Slice::from_slice(bytes).ok()?.icmp_type() else {
            return None;
        };
        echo
    };
    Some((echo.id, echo.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_answered_is_a_reply_and_nothing_else_is() {
        let mut bytes = request(false, 7, 9, 56);
        assert_eq!(bytes.len(), HEADER + 56);
        assert_eq!(reply(false, false, &bytes), None, "it is a request");
        bytes[0] = 0;
        assert_eq!(reply(false, false, &bytes), Some((7, 9)));
        let with_header = [&[0x45; 20][..], &bytes].concat();
        assert_eq!(reply(false, true, &with_header), Some((7, 9)));
        let mut v6 = request(true, 7, 9, 0);
        v6[0] = 129;
        assert_eq!(reply(true, false, &v6), Some((7, 9)));
        for length in 0..HEADER {
            assert_eq!(reply(false, true, &with_header[..length]), None);
            assert_eq!(reply(true, false, &v6[..length]), None);
        }
    }
}
