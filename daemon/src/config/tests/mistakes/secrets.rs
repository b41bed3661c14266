//! Secrets that were pasted into the file: no message may show them.

use super::{Mistake, a, fleet, link, links, top};
use crate::config::tests::PRIVATE_KEY;

pub(super) fn all() -> Vec<Mistake> {
    let key = PRIVATE_KEY;
    let quoted = |name: &str| format!("{name} = \"{key}\"");
    vec![
        (
            "a private key in a site",
            a("private_key", &quoted("private_key")),
        ),
        ("a private key at the top", top(&quoted("PrivateKey"))),
        (
            "a private key of a link",
            links(&format!(", {}, mtu = 1", quoted("privkey"))),
        ),
        (
            "a private key as wg writes it",
            top(&format!("PrivateKey = {key}")),
        ),
        ("a private key alone", top(key)),
        ("a private key as a key", top(&format!("\"{key}\" = 1"))),
        (
            "a private key under a name that says nothing",
            a("key", &quoted("key")),
        ),
        (
            "a private key where an address should be",
            links(&format!(", {}", quoted("endpoint"))),
        ),
        (
            "a private key on several lines",
            top(&format!("private_key = \"\"\"\n{key}\n\"\"\"")),
        ),
        (
            "a private key as a site's name",
            fleet("", &[], &[]).replace("[site.nara]", &format!("[site.\"{key}\"]"))
                + "[[path]]\nbetween = [\"nara/fiber\", \"tainan/fiber\"]\n",
        ),
        (
            "a private key beside another mistake",
            fleet(
                "",
                &[("links", &link(&format!(", {}", quoted("private_key"))))],
                &[("id", "id = 0")],
            ),
        ),
        ("a preshared key", a("psk", "preshared_key = \"hunter2\"")),
    ]
}
