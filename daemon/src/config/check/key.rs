//! A public key in the file.

use crate::config::problem::Problem;
use crate::config::section::At;
use crate::names::{KeyError, PublicKey};

pub(super) fn public_key(
    (text, place): At<&str>,
    problems: &mut Vec<Problem>,
) -> Option<At<PublicKey>> {
    match text.parse() {
        Ok(key) => Some((key, place)),
        Err(error) => {
            let remedy = match error {
                KeyError::Format => "copy the whole line that `pathweave pubkey` prints",
                KeyError::LowOrder => "make a new key pair: `pathweave genkey`",
            };
            problems.push(Problem::new(
                place,
                format!("this is no public key: {error}"),
                remedy,
            ));
            None
        }
    }
}
