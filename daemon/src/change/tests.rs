use super::*;
use crate::config;
use crate::names::PrivateKey;

const NARA: &str = "6NjT3Bcq0tmU4aTAmEpRTxwU48ppeO2fDH41hZwg+5g=";
const TAINAN: &str = "ZOkQs7L/cIWCx8xXn24XRQ2aHgRwM1BAjPtremu2j2U=";
const OSLO: &str = "XnzNRKywzTQdAZqswkXPr4mnValkEvT6REgpp6nLGYQ=";

/// A fleet of nara with these links and tainan with those, and what else there is.
fn fleet(before: &str, nara: &str, tainan: &str, more: &str) -> String {
    format!(
        "{before}\n[site.nara]\nid = 1\npublic_key = \"{NARA}\"\nlinks = [{nara}]\n\
         [site.tainan]\nid = 2\npublic_key = \"{TAINAN}\"\nlinks = [{tainan}]\n{more}"
    )
}

fn link(name: &str, more: &str) -> String {
    format!(
        "{{ name = \"{name}\", interface = \"{name}0\", endpoint = \"{name}.example.net\"{more} }},"
    )
}

fn two(names: [&str; 2]) -> String {
    names.map(|name| link(name, "")).concat()
}

fn view(text: &str) -> View {
    let fleet = config::parse("fleet.toml", text).unwrap_or_else(|errors| panic!("{errors}"));
    fleet.view(&NARA.parse().unwrap()).unwrap()
}

fn told(old: &str, new: &str) -> String {
    match Changes::between(&view(old), &view(new)) {
        Err(refused) => refused.to_string(),
        Ok(changes) => {
            let fates: Vec<_> = changes
                .fates
                .iter()
                .map(|(p, f)| format!("{p} {f:?}"))
                .collect();
            let lines: String = changes
                .told
                .iter()
                .map(|line| format!("{line}\n"))
                .collect();
            format!("{lines}[{}]", fates.join(", "))
        }
    }
}

#[test]
fn each_change_of_the_file_is_told_in_a_line() {
    let (nara, tainan) = (two(["fiber", "cable"]), two(["glass", "copper"]));
    let base = fleet("", &nara, &tainan, "");
    let three = format!("{tainan}{}", link("lte", ", cost = \"metered\""));
    let oslo = format!(
        "[site.oslo]\nid = 3\npublic_key = \"{OSLO}\"\nlinks = [{}]\n",
        link("dsl", "")
    );
    let subnets = fleet("", &nara, &tainan, "subnets = [\"192.168.20.0/24\"]\n");
    let slower = format!(
        "{}{}",
        link("fiber", ", up = \"5 Mbit/s\", mtu = 1400"),
        link("cable", "")
    );
    let whole = format!(
        "{}{}",
        link("glass", ", offload = false"),
        link("copper", ", endpoint = \"192.0.2.1\"").replacen(
            "endpoint = \"copper.example.net\", ",
            "",
            1
        )
    );
    let other_key = PrivateKey::from_bytes([7; 32]).public().to_string();
    let cases = [
        ("nothing", base.clone()),
        ("a third link there", fleet("", &nara, &three, "")),
        (
            "links in another order",
            fleet("", &two(["cable", "fiber"]), &tainan, ""),
        ),
        (
            "one link less here and there",
            fleet("", &link("fiber", ""), &link("glass", ""), ""),
        ),
        ("a peer more", fleet("", &nara, &tainan, &oslo)),
        (
            "another peer in its place",
            base.replace(TAINAN, OSLO)
                .replace("tainan", "oslo")
                .replace("id = 2", "id = 3"),
        ),
        ("a peer's new key", base.replace(TAINAN, &other_key)),
        ("a peer's new name", base.replace("tainan", "kaohsiung")),
        ("subnets", subnets),
        ("rate and size of a link", fleet("", &slower, &tainan, "")),
        ("a far end's address", fleet("", &nara, &whole, "")),
        (
            "port, guard, metrics and speed tests",
            fleet(
                "listen_port = 443\nleak_guard = false\nspeed_test = false\nmetrics = \"[::1]:9586\"",
                &nara,
                &tainan,
                "",
            ),
        ),
        ("our own id", base.replace("id = 1", "id = 9")),
        (
            "the overlay",
            fleet("overlay = \"10.9.0.0/16\"", &nara, &tainan, ""),
        ),
        (
            "the path manager",
            fleet("path_manager = \"kernel\"", &nara, &tainan, ""),
        ),
    ];
    let report = cases.map(|(name, new)| format!("━━━ {name}\n{}\n\n", told(&base, &new)));
    insta::assert_snapshot!(report.concat());
}

#[test]
fn back_again_is_the_opposite() {
    let (one, both) = (link("fiber", ""), two(["fiber", "cable"]));
    let far = |links: &str| links.replace("fiber", "glass").replace("cable", "copper");
    let fleet = |links: &str| view(&fleet("", links, &far(links), ""));
    let (small, large) = (fleet(&one), fleet(&both));
    let there = Changes::between(&small, &large).unwrap();
    let back = Changes::between(&large, &small).unwrap();
    assert!(there.paths(Fate::Added).eq(back.paths(Fate::Removed)));
    assert!(there.paths(Fate::Kept).eq(back.paths(Fate::Kept)));
    assert!(Changes::between(&large, &large).unwrap().is_empty());
}
