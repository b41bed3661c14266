//! WireGuard's text protocol between a user-space implementation and `wg`
//! (<https://www.wireguard.com/xplatform/>), for reading only: what a tunnel is asked, and what it
//! answers. Private keys and preshared keys are never told.

use std::fmt;
use std::net::SocketAddr;

use ipnetwork::IpNetwork;

use crate::names::PublicKey;

/// By the first line of a request, which ends with an empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Get,
    /// Tunnels are made by the fleet file alone.
    Set,
    Unknown,
}

/// As the kernel numbers them; the protocol sends them negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotPermitted = 1,
    NoDevice = 19,
    Invalid = 22,
}

/// One path's tunnel, as `wg` sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub listen_port: u16,
    pub peer: PublicKey,
    pub endpoint: Option<SocketAddr>,
    pub allowed: Vec<IpNetwork>,
    /// Seconds since 1970.
    pub last_handshake: Option<u64>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

impl Request {
    pub fn of(line: &str) -> Self {
        match line {
            "get=1" => Self::Get,
            "set=1" => Self::Set,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno=-{}\n\n", *self as u8)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listen_port={}", self.listen_port)?;
        write!(f, "public_key=")?;
        let mut key = self.peer.as_bytes().iter();
        key.try_for_each(|byte| write!(f, "{byte:02x}"))?;
        writeln!(f)?;
        if let Some(endpoint) = self.endpoint {
            writeln!(f, "endpoint={endpoint}")?;
        }
        let handshake = self.last_handshake.unwrap_or(0);
        writeln!(f, "last_handshake_time_sec={handshake}")?;
        writeln!(f, "last_handshake_time_nsec=0")?;
        writeln!(f, "tx_bytes={}", self.tx_bytes)?;
        writeln!(f, "rx_bytes={}", self.rx_bytes)?;
        writeln!(f, "persistent_keepalive_interval=0")?;
        for network in &self.allowed {
            writeln!(f, "allowed_ip={network}")?;
        }
        write!(f, "protocol_version=1\nerrno=0\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_told_line_by_line_and_no_secret_with_it() {
        let device = Device {
            listen_port: 51_820,
            peer: PublicKey::from_bytes([0xab; 32]).unwrap(),
            endpoint: Some("[2001:db8::1]:51820".parse().unwrap()),
            allowed: vec!["10.213.2.0/24".parse().unwrap()],
            last_handshake: Some(1_790_000_000),
            rx_bytes: 7,
            tx_bytes: 9,
        };
        let key = "ab".repeat(32);
        let expected = format!(
            "listen_port=51820\npublic_key={key}\nendpoint=[2001:db8::1]:51820\n\
             last_handshake_time_sec=1790000000\nlast_handshake_time_nsec=0\ntx_bytes=9\n\
             rx_bytes=7\npersistent_keepalive_interval=0\nallowed_ip=10.213.2.0/24\n\
             protocol_version=1\nerrno=0\n\n"
        );
        assert_eq!(device.to_string(), expected);
    }

    #[test]
    fn only_reading_is_known() {
        assert_eq!(Request::of("get=1"), Request::Get);
        assert_eq!(Request::of("set=1"), Request::Set);
        for line in ["", "get=2", "get", "GET / HTTP/1.1", "get=1\r"] {
            assert_eq!(Request::of(line), Request::Unknown, "{line:?}");
        }
        assert_eq!(Refusal::NotPermitted.to_string(), "errno=-1\n\n");
    }
}
