//! Marks of congestion across the tunnel (RFC 6040): copied to the datagram on the way out, and
//! merged with the inner packet's on the way in, so that TCP inside hears what routers say.

use super::inner::checksum;

/// The ECN field (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    #[default]
    NotEct,
    Ect1,
    Ect0,
    /// Congestion experienced.
    Ce,
}

const FIELD: u8 = 0b11;
const V4_CHECKSUM: usize = 10;

impl Ecn {
    /// From the low two bits of the traffic class.
    pub fn of_bits(bits: u8) -> Self {
        match bits & FIELD {
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            0b11 => Self::Ce,
            _ => Self::NotEct,
        }
    }

    pub fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }

    /// That of an IP packet.
    pub fn of(packet: &[u8]) -> Self {
        match packet {
            [first, class, ..] if first >> 4 == 4 => Self::of_bits(*class),
            [first, second, ..] if first >> 4 == 6 => Self::of_bits(second >> 4),
            _ => Self::NotEct,
        }
    }

    /// What becomes of `self`, the inner mark, when the datagram came with `outer`; `None`: the
    /// packet must be dropped, for its sender would not hear of the congestion (section 4.2).
    fn merged(self, outer: Self) -> Option<Self> {
        match (self, outer) {
            (Self::NotEct, Self::Ce) => None,
            (Self::NotEct, Self::NotEct | Self::Ect0 | Self::Ect1) => Some(Self::NotEct),
            (Self::Ce, _) | (Self::Ect0 | Self::Ect1, Self::Ce) => Some(Self::Ce),
            (Self::Ect0, Self::Ect1) => Some(Self::Ect1),
            (Self::Ect0 | Self::Ect1, Self::NotEct | Self::Ect0 | Self::Ect1) => Some(self),
        }
    }
}

/// Merges `outer` into a whole IP packet. `false`: drop it.
#[must_use]
pub fn merge(packet: &mut [u8], outer: Ecn) -> bool {
    let inner = Ecn::of(packet);
    let Some(merged) = inner.merged(outer) else {
        return false;
    };
    if merged != inner {
        set(packet, merged);
    }
    true
}

fn set(packet: &mut [u8], mark: Ecn) {
    match packet {
        [first, class, ..] if *first >> 4 == 4 => {
            *class = *class & !FIELD | mark.bits();
            let length = usize::from(*first & 0x0f) * 4;
            let Some(header) = packet.get_mut(..length) else {
                return;
            };
            header[V4_CHECKSUM..V4_CHECKSUM + 2].fill(0);
            let sum = checksum(0, header).to_be_bytes();
            header[V4_CHECKSUM..V4_CHECKSUM + 2].copy_from_slice(&sum);
        }
        [_, second, ..] => *second = *second & !(FIELD << 4) | mark.bits() << 4,
        [] | [_] => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::inner;
    use crate::packet::ip::Header;

    const ALL: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce];

    #[test]
    fn the_table_of_section_4_2() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        let table = [
            (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
            (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
            (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
            (Ce, [Some(Ce); 4]),
        ];
        for (inner, row) in table {
            assert_eq!(ALL.map(|outer| inner.merged(outer)), row, "{inner:?}");
        }
    }

    #[test]
    fn a_merged_packet_has_a_right_checksum_and_no_other_change() {
        for (a, b) in [("10.0.0.1", "10.0.0.2"), ("fd50::1", "fd50::2")] {
            let packet = inner::packet(a.parse().unwrap(), b.parse().unwrap(), 6, b"x").unwrap();
            let mut marked = packet.clone();
            set(&mut marked, Ecn::Ect0);
            assert_eq!(Ecn::of(&marked), Ecn::Ect0);
            assert!(merge(&mut marked, Ecn::Ce));
            assert_eq!(Ecn::of(&marked), Ecn::Ce);
            if packet[0] == 0x45 {
                assert_eq!(inner::sum(0, &marked[..20]), 0xffff);
            }
            set(&mut marked, Ecn::NotEct);
            assert_eq!(marked, packet, "something else was changed");
            assert!(
                !merge(&mut marked, Ecn::Ce),
                "its sender would not hear of it"
            );
            assert!(Header::of(&marked).is_some());
        }
    }

    #[test]
    fn bits_and_marks_are_one() {
        for mark in ALL {
            assert_eq!(Ecn::of_bits(mark.bits() | 0xfc), mark);
        }
        for short in [&b""[..], b"\x45", b"\x60", b"\x00\xff"] {
            assert_eq!(Ecn::of(short), Ecn::NotEct);
        }
    }
}
