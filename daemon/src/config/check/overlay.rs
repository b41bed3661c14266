//! `overlay`: where overlay addresses come from.

use ipnetwork::IpNetwork;

use crate::config::checked::OverlayPrefixes;
use crate::config::problem::Problem;
use crate::config::section::Section;

use super::address::special;

const DEFAULT: [&str; 2] = ["10.213.0.0/16", "fd50:7761:7665::/48"];
const REMEDY: &str =
    "give one IPv4 prefix of length 16 and one IPv6 prefix of length 48, or one of them";

pub(super) fn read(file: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<OverlayPrefixes> {
    if !file.has("overlay") {
        let [v4, v6] = DEFAULT;
        return OverlayPrefixes::new(v4.parse().ok(), v6.parse().ok());
    }
    let before = problems.len();
    let (mut v4, mut v6) = (None, None);
    for (text, place) in file.texts("overlay", problems)? {
        let refused = match prefix(text) {
            Ok(IpNetwork::V4(net)) => v4.replace(net).map(|_| "two IPv4 prefixes".to_owned()),
            Ok(IpNetwork::V6(net)) => v6.replace(net).map(|_| "two IPv6 prefixes".to_owned()),
            Err(what) => Some(what),
        };
        problems.extend(refused.map(|what| Problem::new(place, what, REMEDY)));
    }
    if (v4, v6) == (None, None) && problems.len() == before {
        let what = "the overlay has no prefix";
        problems.push(Problem::new(file.place_of("overlay"), what, REMEDY));
    }
    OverlayPrefixes::new(v4, v6)
}

fn prefix(text: &str) -> Result<IpNetwork, String> {
    let net: IpNetwork = text.parse().map_err(|_| format!("{text:?} is no prefix"))?;
    let length = if net.is_ipv4() { 16 } else { 48 };
    if net.network() != net.ip() {
        Err(format!("{net} has host bits set"))
    } else if net.prefix() != length {
        Err(format!("{net} is no /{length}"))
    } else if let Some(what) = special(net) {
        Err(format!("{net} is no overlay: it holds {what} addresses"))
    } else {
        Ok(net)
    }
}
