//! What nobody else needs to see is replaced, the same thing by the same word everywhere. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use pathweaved::config::{Fleet, Host};
use pathweaved::names::{PrivateKey, PublicKey};

/// WireGuard's text form: 43 letters of base64 and a `=`.
const KEY: usize = 43;
const HIDDEN: &str = "(hidden)";

#[derive(Debug, Default)]
pub(super) struct Redaction {
    /// Addresses, names and public keys stay; a private key never does.
    shows: bool,
    public: BTreeSet<String>,
    /// DNS names, the longest first.
    hosts: Vec<String>,
    overlay: Vec<IpNetwork>,
    words: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Redaction {
    pub(super) fn new(shows: bool) -> Self {
        Self {
            shows,
            ..Self::default()
        }
    }

    /// What the fleet file says about keys and names; the overlay's addresses are no secret.
    pub(super) fn learn(&mut self, fleet: &Fleet) {
        for site in fleet.sites.values() {
            let of_links = site.links.iter().filter_map(|link| link.public_key);
            let keys = of_links.chain([site.public_key]);
            self.public
                .extend(keys.map(|key: PublicKey| key.to_string()));
            let endpoints = site.links.iter().filter_map(|link| link.endpoint.as_ref());
            self.hosts
                .extend(endpoints.filter_map(|endpoint| match &endpoint.host {
                    Host::Name(name) => Some(name.clone()),
                    Host::Address(_) => None,
                }));
        }
        self.hosts.sort_by_key(|name| std::cmp::Reverse(name.len()));
        self.hosts.dedup();
        self.overlay = fleet.overlay.networks().collect();
    }

    /// Though it stood in the fleet file by mistake.
    pub(super) fn learn_private(&mut self, key: &PrivateKey) {
        self.public.remove(key.to_text().as_str());
        self.public.insert(key.public().to_string());
    }

    /// How many of each kind were replaced.
    pub(super) fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    pub(super) fn redact(&mut self, text: &str) -> String {
        let text = self.keys(text);
        if self.shows {
            return text;
        }
        let mut text = text;
        for host in self.hosts.clone() {
            if text.contains(&host) {
                let word = self.word("host", &host);
                text = text.replace(&host, &word);
            }
        }
        self.addresses(&text)
    }

    /// The word that stands for it from now on.
    fn word(&mut self, kind: &'static str, secret: &str) -> String {
        if let Some(word) = self.words.get(secret) {
            return word.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let word = format!("{kind}-{count}");
        self.words.insert(secret.to_owned(), word.clone());
        word
    }

    fn keys(&mut self, text: &str) -> String {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_letter) {
            let (before, from) = rest.split_at(start);
            let (letters, after) =
                from.split_at(from.find(|c| !is_letter(c)).unwrap_or(from.len()));
            out += before;
            rest = after;
            match after.strip_prefix('=').filter(|_| letters.len() >= KEY) {
                None => out += letters,
                Some(after) => {
                    // Letters before a key may belong to a path: `/etc/x/KEY=`.
                    let (path, key) = letters.split_at(letters.len() - KEY);
                    out += path;
                    out += &self.key(&format!("{key}="));
                    rest = after;
                }
            }
        }
        out + rest
    }

    /// One that is no site's public key may be a private one.
    fn key(&mut self, key: &str) -> String {
        if !self.public.contains(key) {
            *self.counts.entry("unknown keys").or_default() += 1;
            return HIDDEN.to_owned();
        }
        if self.shows {
            return key.to_owned();
        }
        self.word("key", key)
    }

    fn addresses(&mut self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '.';
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let (before, from) = rest.split_at(start);
            let (run, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
            out += before;
            out += &self.run(run);
            rest = after;
        }
        out + rest
    }

    /// A run of letters, digits, colons and dots: an address, one with a port, or something else.
    fn run(&mut self, run: &str) -> String {
        let whole = run.trim_end_matches(['.', ':']);
        let end = run.get(whole.len()..).unwrap_or_default();
        // `::` belongs to an address at its end.
        for (address, end) in [(run, ""), (whole, end)] {
            if let Ok(address) = address.parse() {
                return self.address(address) + end;
            }
        }
        if is_mac(whole) {
            return self.word("mac", &whole.to_ascii_lowercase()) + end;
        }
        if let Some((word, address)) = run.split_once(':')
            && let Ok(address) = address.parse::<IpAddr>()
        {
            return format!("{word}:{}", self.address(address));
        }
        let pieces = run.split(':').map(|piece| match piece.parse::<Ipv4Addr>() {
            Ok(address) => self.address(address.into()),
            Err(_) => piece.to_owned(),
        });
        pieces.collect::<Vec<_>>().join(":")
    }

    fn address(&mut self, address: IpAddr) -> String {
        let is_mask = matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 255);
        let harmless = address.is_loopback()
            || address.is_unspecified()
            || address.is_multicast()
            || is_mask
            || self.overlay.iter().any(|network| network.contains(address));
        if harmless {
            return address.to_string();
        }
        let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        self.word(kind, &address.to_string())
    }
}

fn is_mac(text: &str) -> bool {
    let is_byte = |part: &str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(is_byte)
}

#[cfg(test)]
mod tests {
    use pathweaved::config;

    use super::*;

    const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
    const PUBLIC: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

    fn redaction(shows: bool) -> Redaction {
        let text = format!(
            "[site.nara]\nid = 1\npublic_key = \"{PUBLIC}\"\nlinks = [ {{ name = \"a\", interface \
             = \"eth0\", endpoint = \"nara.example.net\" }} ]\n"
        );
        let mut redaction = Redaction::new(shows);
        redaction.learn(&config::parse("fleet.toml", &text).unwrap());
        redaction.learn_private(&PRIVATE.parse().unwrap());
        redaction
    }

    #[test]
    fn addresses_names_and_keys_become_words_and_the_rest_stays() {
        let mut redaction = redaction(false);
        let table = [
            (
                "to 203.0.113.7:51820, then 203.0.113.7.",
                "to ipv4-1:51820, then ipv4-1.",
            ),
            (
                "[2001:db8::7]:51820 fe80::1%eth0",
                "[ipv6-1]:51820 ipv6-2%eth0",
            ),
            (
                "inet 192.168.1.20/24 brd 192.168.1.255",
                "inet ipv4-2/24 brd ipv4-3",
            ),
            (
                "saddr4:203.0.113.7 saddr6:2001:db8::7",
                "saddr4:ipv4-1 saddr6:ipv6-1",
            ),
            (
                "link/ether 52:54:00:12:34:56 mtu 1500",
                "link/ether mac-1 mtu 1500",
            ),
            (
                "10.213.1.1 127.0.0.1 0.0.0.0 :: ::1",
                "10.213.1.1 127.0.0.1 0.0.0.0 :: ::1",
            ),
            (
                "at 12:34:56 Linux 6.18.0 config::parse",
                "at 12:34:56 Linux 6.18.0 config::parse",
            ),
            ("x nara.example.net:51820", "x host-1:51820"),
            ("255.255.255.0 default", "255.255.255.0 default"),
        ];
        for (text, expected) in table {
            assert_eq!(redaction.redact(text), expected);
        }
        let keys = format!("key \"{PUBLIC}\" and {PRIVATE}; /a/{PUBLIC}");
        assert_eq!(
            redaction.redact(&keys),
            "key \"key-1\" and (hidden); /a/key-1"
        );
    }

    #[test]
    fn a_private_key_is_hidden_from_those_who_may_see_all_else() {
        let mut redaction = redaction(true);
        let text = format!("{PUBLIC} {PRIVATE} 203.0.113.7 nara.example.net");
        let expected = format!("{PUBLIC} (hidden) 203.0.113.7 nara.example.net");
        assert_eq!(redaction.redact(&text), expected);
    }
}
