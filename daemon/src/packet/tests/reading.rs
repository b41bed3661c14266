//! A TCP packet read by etherparse.

use etherparse::{IpSlice, TcpSlice};

/// What a packet says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// IPv4's; 0 in IPv6.
    pub identification: u16,
    pub tos: u8,
    pub hop_limit: u8,
    pub source_port: u16,
    pub sequence: u32,
    pub window: u16,
    pub fin: bool,
    pub psh: bool,
    pub cwr: bool,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

/// `Err` says what is wrong with the packet.
pub fn read(packet: &[u8]) -> Result<Reading, String> {
    let ip = IpSlice::from_slice(packet).map_err(|error| error.to_string())?;
    if ip.is_fragmenting_payload() {
        return Err("a fragment".to_owned());
    }
    let tcp = TcpSlice::from_slice(ip.payload().payload).map_err(|error| error.to_string())?;
    let (identification, tos, hop_limit) = ip_fields(&ip, packet.len())?;
    if tcp_checksum(&ip, &tcp)? != tcp.checksum() {
        return Err("TCP checksum".to_owned());
    }
    Ok(Reading {
        identification,
        tos,
        hop_limit,
        source_port: tcp.source_port(),
        sequence: tcp.sequence_number(),
        window: tcp.window_size(),
        fin: tcp.fin(),
        psh: tcp.psh(),
        cwr: tcp.cwr(),
        options: tcp.options().to_vec(),
        payload: tcp.payload().to_vec(),
    })
}

fn ip_fields(ip: &IpSlice<'_>, length: usize) -> Result<(u16, u8, u8), String> {
    match ip {
        IpSlice::Ipv4(v4) => {
            let header = v4.header();
            if usize::from(header.total_len()) != length {
                return Err("total length".to_owned());
            }
            if header.to_header().calc_header_checksum() != header.header_checksum() {
                return Err("IPv4 header checksum".to_owned());
            }
            let tos = header.dcp().value() << 2 | header.ecn().value();
            Ok((header.identification(), tos, header.ttl()))
        }
        IpSlice::Ipv6(v6) => {
            let header = v6.header();
            if usize::from(header.payload_length()) + 40 != length {
                return Err("payload length".to_owned());
            }
            Ok((0, header.traffic_class(), header.hop_limit()))
        }
    }
}

fn tcp_checksum(ip: &IpSlice<'_>, tcp: &TcpSlice<'_>) -> Result<u16, String> {
    let checksum = match ip {
        IpSlice::Ipv4(v4) => {
            tcp.calc_checksum_ipv4(v4.header().source(), v4.header().destination())
        }
        IpSlice::Ipv6(v6) => {
            tcp.calc_checksum_ipv6(v6.header().source(), v6.header().destination())
        }
    };
    checksum.map_err(|error| error.to_string())
}
