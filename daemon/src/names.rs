//! Small checked types that every room speaks in. A value that exists is valid.

mod key;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use key::{KeyError, PrivateKey, PublicKey};

/// A site's number, 1..=254; it is the third octet of its overlay addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SiteId(u8);

impl SiteId {
    /// `None` outside 1..=254.
    pub fn new(id: u8) -> Option<Self> {
        (1..=254).contains(&id).then_some(Self(id))
    }

    pub fn value(self) -> u8 {
        self.0
    }
}

/// Which of the paths between two sites, from 1. Path 1 carries the site address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PathNumber(u8);

impl PathNumber {
    /// The in-kernel path manager opens at most 8 subflows beside the first one
    /// (`MPTCP_SUBFLOWS_MAX`, net/mptcp/pm_netlink.c).
    pub const MAX: u8 = 9;
    pub const FIRST: Self = Self(1);
    pub const LAST: Self = Self(Self::MAX);

    /// `None` outside 1..=[`PathNumber::MAX`].
    pub fn new(number: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    pub fn value(self) -> u8 {
        self.0
    }
}

/// One path of this site: which peer, and which of the paths to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId {
    pub peer: SiteId,
    pub number: PathNumber,
}

macro_rules! display_number {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_number!(SiteId, PathNumber);

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.peer, self.number)
    }
}

/// Why a name was refused; the text says what a good one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name has 1 to 32 characters")]
    Length,
    #[error("a name has only lower-case letters, digits and `-`, and starts with a letter")]
    Characters,
    #[error("an interface name has 1 to 15 characters, none of them `/`, `:` or white space")]
    Interface,
}

/// The name of a site or of a link: `[a-z][a-z0-9-]{0,31}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > 32 {
            return Err(NameError::Length);
        }
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(good) {
            return Err(NameError::Characters);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a network interface, as the kernel accepts it (`dev_valid_name`, 15 bytes).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Every interface of ours starts with this.
    pub const OURS: &str = "pw-";

    /// `pw-<peer>-<k>`, or `pw-s<id>-<k>` where the peer's name would make it too long, or is
    /// itself an `s` and a number: no two paths of a machine have one name.
    pub fn of_path(peer_name: &Name, path: PathId) -> Self {
        let by_name = format!("{}{}-{}", Self::OURS, peer_name, path.number);
        let number = peer_name.as_str().strip_prefix('s').unwrap_or_default();
        let like_an_id = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        if by_name.len() <= 15 && !like_an_id {
            return Self(by_name);
        }
        Self(format!("{}s{}-{}", Self::OURS, path.peer, path.number))
    }
}

impl FromStr for InterfaceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.len() > 15 || text == "." || text == ".." || text.contains(bad) {
            return Err(NameError::Interface);
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! string_name {
    ($($type:ty),*) => {$(
        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
    )*};
}
string_name!(Name, InterfaceName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_peer_name_gives_an_interface_by_number_and_no_other_peer_has_it() {
        let path = |peer, number| PathId {
            peer: SiteId::new(peer).unwrap(),
            number: PathNumber::new(number).unwrap(),
        };
        let short = InterfaceName::of_path(&"tainan".parse().unwrap(), path(2, 1));
        assert_eq!(short.as_str(), "pw-tainan-1");
        let long = InterfaceName::of_path(&"amsterdam-south".parse().unwrap(), path(254, 9));
        assert_eq!(long.as_str(), "pw-s254-9");
        let like_an_id = InterfaceName::of_path(&"s254".parse().unwrap(), path(3, 9));
        assert_eq!(like_an_id.as_str(), "pw-s3-9");
        let own_id = InterfaceName::of_path(&"s2".parse().unwrap(), path(2, 1));
        assert_eq!(own_id.as_str(), "pw-s2-1");
    }

    #[test]
    fn names_that_would_confuse_a_person_are_refused() {
        for bad in ["", "Nara", "9lives", "a b", "über", "a/b", &"a".repeat(33)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} was accepted");
        }
        for bad in ["", "a/b", "a b", "..", "sixteen-letters-"] {
            assert!(
                bad.parse::<InterfaceName>().is_err(),
                "{bad:?} was accepted"
            );
        }
    }
}
