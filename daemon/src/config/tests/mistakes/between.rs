//! Sites, links and paths that are good alone but not together.

use super::{KEY_A, KEY_B, KEY_C, Mistake, a, fleet, link, links, many};

pub(super) fn all() -> Vec<Mistake> {
    [
        of_the_order(),
        of_sites(),
        of_links(),
        of_sources(),
        of_subnets(),
        of_paths(),
        of_many_paths(),
    ]
    .concat()
}

fn two_links(first: &str, second: &str) -> String {
    let links =
        format!("links = [\n  {{ name = \"a\", {first} }},\n  {{ name = \"b\", {second} }},\n]");
    a("links", &links)
}

/// nas runs plain wg, with a key of its own for its second interface.
fn wireguard(key: &str, more: &str) -> String {
    let nas = format!(
        "[site.nas]\nid = 3\nkind = \"wireguard\"\npublic_key = \"{KEY_C}\"\n\
         links = [\n  {{ name = \"wg0\" }},\n  {{ name = \"wg1\", public_key = \"{key}\" }},\n]\n"
    );
    fleet("", &[], &[]) + &nas + more
}

fn paths(ends: &[[&str; 2]]) -> String {
    let path = |[a, b]: &[&str; 2]| format!("[[path]]\nbetween = [\"{a}\", \"{b}\"]\n");
    ends.iter().map(path).collect()
}

/// The second site of the file has the first name of the alphabet.
fn of_the_order() -> Vec<Mistake> {
    let site = |name: &str, id: u8, key: &str| {
        let links = link(&format!(", endpoint = \"192.0.2.{id}\""));
        format!("[site.{name}]\nid = {id}\npublic_key = \"{key}\"\n{links}\n")
    };
    vec![
        (
            "an id that a later name had first",
            site("zeta", 1, KEY_A) + &site("alpha", 1, KEY_B).replace("0.2.1", "0.2.2"),
        ),
        (
            "a key that a later name had first",
            site("zeta", 1, KEY_A) + &site("alpha", 2, KEY_A),
        ),
        (
            "an id three times",
            site("zeta", 1, KEY_A)
                + &site("alpha", 1, KEY_B).replace("0.2.1", "0.2.2")
                + &site("beta", 1, KEY_C).replace("0.2.1", "0.2.3"),
        ),
        (
            "a subnet that a later name had first",
            site("zeta", 1, KEY_A).replace("links", "subnets = [\"192.168.0.0/16\"]\nlinks")
                + &site("alpha", 2, KEY_B)
                    .replace("links", "subnets = [\"192.168.7.0/24\"]\nlinks"),
        ),
    ]
}

fn of_sites() -> Vec<Mistake> {
    let plain = "kind = \"wireguard\"";
    vec![
        (
            "no site where pathweaved runs",
            fleet("", &[("kind", plain)], &[("kind", plain)]),
        ),
        ("a link's key that is another site's", wireguard(KEY_B, "")),
        (
            "two sites with one endpoint",
            fleet(
                "",
                &[],
                &[("links", &link(", endpoint = \"192.0.2.1:51820\""))],
            ),
        ),
        (
            "two sites with one endpoint by name",
            fleet(
                "",
                &[("links", &link(", endpoint = \"vpn.example.net\""))],
                &[("links", &link(", endpoint = \"VPN.example.net\""))],
            ),
        ),
    ]
}

fn of_links() -> Vec<Mistake> {
    vec![
        (
            "two links on one device, of which one has a source",
            two_links(
                "interface = \"eth1\"",
                "interface = \"eth1\", source = \"192.0.2.1\"",
            ),
        ),
        (
            "a link with a device alone and one with a source alone",
            two_links("interface = \"eth1\"", "source = \"192.0.2.1\""),
        ),
        (
            "two links of a plain wg site on one interface",
            wireguard(KEY_C, "")
                .replace("\"wg0\"", "\"wg0\", interface = \"wg0\"")
                .replace("\"wg1\"", "\"wg1\", interface = \"wg0\""),
        ),
    ]
}

fn of_sources() -> Vec<Mistake> {
    vec![
        (
            "one source on two links of one device",
            two_links(
                "interface = \"eth1\", source = \"192.0.2.1\"",
                "interface = \"eth1\", source = [\"2001:db8::1\", \"192.0.2.1\"]",
            ),
        ),
        (
            "one source on two links of two devices",
            two_links(
                "interface = \"eth1\", source = \"192.0.2.1\"",
                "interface = \"eth2\", source = \"192.0.2.1\"",
            ),
        ),
    ]
}

fn of_subnets() -> Vec<Mistake> {
    vec![
        (
            "a subnet that holds an endpoint of its site",
            links(", endpoint = \"198.51.100.7\"\n").replace(
                "[site.tainan]",
                "subnets = [\"198.51.100.0/24\"]\n[site.tainan]",
            ),
        ),
        (
            "a subnet that holds an endpoint of another site",
            a("subnets", "subnets = [\"192.0.2.2/32\"]"),
        ),
        (
            "one subnet twice at a site",
            a(
                "subnets",
                "subnets = [\"192.168.1.0/24\", \"192.168.1.0/24\"]",
            ),
        ),
    ]
}

fn of_paths() -> Vec<Mistake> {
    let second = "{ name = \"cable\", interface = \"eth2\" } ]";
    let two =
        |text: String| text.replacen("192.0.2.1\" } ]", &format!("192.0.2.1\" }}, {second}"), 1);
    vec![
        (
            "two paths to one plain wg interface",
            two(wireguard(
                KEY_C,
                &paths(&[["nara/fiber", "nas/wg0"], ["nas/wg0", "nara/cable"]]),
            )),
        ),
        (
            "a path to a site that is no table",
            fleet("", &[], &[]).replace("[site.nara]", "[site]\nosaka = 1\n[site.nara]")
                + &paths(&[["nara/fiber", "osaka/fiber"]]),
        ),
    ]
}

fn of_many_paths() -> Vec<Mistake> {
    let ten = format!("links = [{}]", many().replace("},", "},\n"));
    let all: Vec<_> = (0..10).map(|k| format!("nara/l{k}")).collect();
    let all: Vec<_> = all
        .iter()
        .map(|name| [name.as_str(), "tainan/fiber"])
        .collect();
    vec![
        (
            "ten links at two sites",
            fleet("", &[("links", &ten)], &[("links", &ten)]),
        ),
        ("ten paths that are named", a("links", &ten) + &paths(&all)),
        (
            "ten links and a path that cannot be read",
            a("links", &ten) + &paths(&[["nara/l0", "tainan/lte"]]),
        ),
    ]
}
