//! What the coalescer writes, and what a kernel that must send it on makes of it.

use tun_rs::{VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VirtioNetHdr};

use super::super::batch::LARGEST_PACKET;
use super::super::coalesce::{Coalescer, HEADROOM};
use super::reading;
use super::superpacket::{Buffers, CHECKSUM, NEEDS_CSUM, split_as_it_says};

/// One write to the TUN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub bytes: Vec<u8>,
    pub packets: usize,
}

pub fn coalesce(packets: &[Vec<u8>]) -> Vec<Written> {
    let mut coalescer = Coalescer::default();
    let mut written = Vec::new();
    for packet in packets {
        coalescer.push(packet, |frame| written.push(Written::of(frame)));
    }
    coalescer.flush(|frame| written.push(Written::of(frame)));
    written
}

impl Written {
    fn of(frame: super::super::coalesce::Frame<'_>) -> Self {
        Self {
            bytes: frame.bytes.to_vec(),
            packets: frame.packets,
        }
    }

    pub fn packet(&self) -> &[u8] {
        &self.bytes[HEADROOM..]
    }

    pub fn header(&self) -> VirtioNetHdr {
        VirtioNetHdr::decode(&self.bytes).unwrap()
    }

    /// The packets that it is made of. Those of a merged one are whole and sound.
    pub fn split(&self) -> Vec<Vec<u8>> {
        if self.packets == 1 {
            assert_eq!(
                self.bytes[..HEADROOM],
                [0; HEADROOM],
                "nobody verified this packet"
            );
            return vec![self.packet().to_vec()];
        }
        self.check_header();
        let mut buffers = Buffers::new(self.packets, self.header().gso_size);
        let pieces = split_as_it_says(self.header(), self.packet(), &mut buffers).unwrap();
        assert_eq!(pieces.len(), self.packets, "as many as were put together");
        for piece in &pieces {
            reading::read(piece).unwrap();
        }
        pieces
    }

    /// The virtio-net header says what etherparse finds in the packet.
    fn check_header(&self) {
        let (header, packet) = (self.header(), self.packet());
        assert!(packet.len() <= LARGEST_PACKET);
        let ip = etherparse::IpSlice::from_slice(packet).unwrap();
        let tcp = etherparse::TcpSlice::from_slice(ip.payload().payload).unwrap();
        let headers = packet.len() - tcp.payload().len();
        let kind = if ip.ipv6().is_some() {
            VIRTIO_NET_HDR_GSO_TCPV6
        } else {
            VIRTIO_NET_HDR_GSO_TCPV4
        };
        let start = headers - tcp.header_slice().len();
        assert_eq!((header.flags, header.gso_type), (NEEDS_CSUM, kind));
        assert_eq!(usize::from(header.hdr_len), headers);
        assert_eq!(usize::from(header.csum_start), start);
        assert_eq!(header.csum_offset, CHECKSUM);
        let segments = tcp.payload().len().div_ceil(usize::from(header.gso_size));
        assert_eq!(segments, self.packets, "gso_size {}", header.gso_size);
    }
}

/// What all of it is made of, in order.
pub fn split_all(written: &[Written]) -> Vec<Vec<u8>> {
    written.iter().flat_map(Written::split).collect()
}

pub fn counts(written: &[Written]) -> Vec<usize> {
    written.iter().map(|frame| frame.packets).collect()
}
