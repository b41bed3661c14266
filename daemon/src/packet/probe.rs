//! The in-tunnel probe: what two daemons say to each other inside a path's tunnel, and never
//! through the TUN. Its fields follow the BFD control packet (RFC 5880 section 4.1); WireGuard
//! authenticates it and keeps replays out.
//!
//! ```text
//!  IP header, protocol 253 (RFC 3692), A_k → P_k
//!  | version | state | path | 0 |
//!  | sequence                   |
//!  | interval, µs               |   until the sender's next probe
//!  | hold, µs                   |   how long the sender held the echoed stamp
//!  | stamp, µs          64 bits |   the sender's clock, any origin
//!  | echo, µs           64 bits |   the last stamp it had from us, 0 = none
//! ```

use std::net::IpAddr;

use super::inner;

/// Protocol number for experiments (RFC 3692 section 2.1): no kernel answers to it.
pub const PROTOCOL: u8 = 253;
const VERSION: u8 = 1;
const LENGTH: usize = 32;

/// What the sender believes of the path (RFC 5880 section 4.1, Sta).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    AdminDown,
    Down,
    Init,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub state: ProbeState,
    pub path: u8,
    /// Counts the sender's probes on this path.
    pub sequence: u32,
    /// Microseconds until the sender's next probe.
    pub interval_us: u32,
    /// Microseconds between the arrival of the echoed stamp and this probe.
    pub hold_us: u32,
    /// The sender's clock in microseconds, never 0.
    pub stamp_us: u64,
    /// The last stamp received from the other end; 0 = none.
    pub echo_us: u64,
}

impl Probe {
    /// The whole inner packet. `None` if the addresses are of two families.
    pub fn to_packet(&self, source: IpAddr, destination: IpAddr) -> Option<Vec<u8>> {
        let mut body = Vec::with_capacity(LENGTH);
        body.extend([VERSION, state_code(self.state), self.path, 0]);
        body.extend(self.sequence.to_be_bytes());
        body.extend(self.interval_us.to_be_bytes());
        body.extend(self.hold_us.to_be_bytes());
        body.extend(self.stamp_us.to_be_bytes());
        body.extend(self.echo_us.to_be_bytes());
        inner::packet(source, destination, PROTOCOL, &body)
    }

    /// `None` for anything that is not a probe of this version.
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        let (PROTOCOL, body) = inner::payload(packet)? else {
            return None;
        };
        let [VERSION, state, path, _] = *body.first_chunk::<4>()? else {
            return None;
        };
        Some(Self {
            state: state_of(state)?,
            path,
            sequence: u32::from_be_bytes(field(body, 4)?),
            interval_us: u32::from_be_bytes(field(body, 8)?),
            hold_us: u32::from_be_bytes(field(body, 12)?),
            stamp_us: u64::from_be_bytes(field(body, 16)?),
            echo_us: u64::from_be_bytes(field(body, 24)?),
        })
    }
}

fn state_code(state: ProbeState) -> u8 {
    match state {
        ProbeState::AdminDown => 0,
        ProbeState::Down => 1,
        ProbeState::Init => 2,
        ProbeState::Up => 3,
    }
}

fn state_of(code: u8) -> Option<ProbeState> {
    match code {
        0 => Some(ProbeState::AdminDown),
        1 => Some(ProbeState::Down),
        2 => Some(ProbeState::Init),
        3 => Some(ProbeState::Up),
        _ => None,
    }
}

fn field<const N: usize>(body: &[u8], at: usize) -> Option<[u8; N]> {
    body.get(at..)?.first_chunk::<N>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> Probe {
        Probe {
            state: ProbeState::Init,
            path: 3,
            sequence: 7,
            interval_us: 400_000,
            hold_us: 12,
            stamp_us: 1,
            echo_us: u64::MAX,
        }
    }

    #[test]
    fn a_probe_survives_the_way_through_the_tunnel_in_both_families() {
        for (a, b) in [("10.213.1.3", "10.213.2.3"), ("fd50::1", "fd50::2")] {
            let packet = probe()
                .to_packet(a.parse().unwrap(), b.parse().unwrap())
                .unwrap();
            assert_eq!(Probe::from_packet(&packet), Some(probe()), "{a}");
        }
    }

    #[test]
    fn a_cut_or_foreign_packet_is_no_probe() {
        let packet = probe()
            .to_packet("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
            .unwrap();
        for length in 0..packet.len() {
            assert_eq!(
                Probe::from_packet(&packet[..length]),
                None,
                "{length} bytes"
            );
        }
        let mut foreign = packet;
        foreign[9] = 17;
        assert_eq!(Probe::from_packet(&foreign), None);
    }
}
