//! The texts of the file that mean something: endpoints, rates.

use std::net::{IpAddr, SocketAddr};

use super::checked::{Endpoint, Host, Listen};

/// `host`, `host:port`, `[v6]:port`; a bare IPv6 address is refused, its last group would look
/// like a port. DNS names come out in lower case: they are equal in any. The text says what is
/// wrong.
pub(super) fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err("after the bracket there may be only `:port`"),
            };
            if !matches!(inside.parse(), Ok(IpAddr::V6(_))) {
                return Err("in brackets there must be an IPv6 address");
            }
            (inside, port)
        }
        None if text.matches(':').count() > 1 => {
            return Err("an IPv6 address stands in brackets");
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => default_port,
        Some(port) => match port.parse::<u16>() {
            Ok(0) | Err(_) => return Err("a port is a number from 1 to 65535"),
            Ok(port) => port,
        },
    };
    let host = match host.parse::<IpAddr>() {
        Ok(address) => Host::Address(address),
        Err(_) if is_dns_name(host) => Host::Name(host.to_ascii_lowercase()),
        Err(_) => return Err("this is neither an address nor a DNS name"),
    };
    Ok(Endpoint { host, port })
}

/// Letters, digits and hyphens in labels of 1 to 63 (RFC 1123 section 2.1); not all numeric,
/// which would be a mistyped address.
fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(good) && !label.starts_with('-')
    };
    let numeric = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    !text.is_empty() && text.len() <= 253 && text.split('.').all(label) && !numeric(text)
}

/// `address:port`, `[v6]:port`, `unix:/path`. The text says what is wrong.
pub(super) fn listen(text: &str) -> Result<Listen, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        // sockaddr_un has room for 107 bytes; a draft's suffix stands beside the name.
        return match path.len() {
            2..=100 if path.starts_with('/') && !path.ends_with('/') => {
                Ok(Listen::Unix(path.into()))
            }
            101.. => Err("the socket's path is longer than the kernel takes"),
            _ => Err("after unix: there must be the whole path of a socket"),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("a port is a number from 1 to 65535"),
        Ok(address) => Ok(Listen::Tcp(address)),
        Err(_) => Err("this is not an address with a port"),
    }
}

/// "100 Mbit/s" → bit/s.
pub(super) fn rate(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "kbit/s" => 1e3,
        "Mbit/s" => 1e6,
        "Gbit/s" => 1e9,
        _ => return None,
    };
    let rate = number.trim().parse::<f64>().ok()? * factor;
    if !(1e3..=1e12).contains(&rate) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between a thousand and a trillion"
    )]
    Some(rate.round() as u64)
}
