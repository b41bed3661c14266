//! Fleet files with one mistake each, and some with several.

mod between;
mod secrets;

use super::{KEY_A, KEY_B, KEY_C};

/// Name of the mistake and the file that makes it.
pub(super) type Mistake = (&'static str, String);

/// Two good sites. `top` comes first; `a` and `b` replace lines of the sites by their key.
pub(super) fn fleet(top: &str, a: &[(&str, &str)], b: &[(&str, &str)]) -> String {
    let site = |name: &str, id: u8, key: &str, changes: &[(&str, &str)]| {
        let lines = [
            ("id", format!("id = {id}")),
            ("public_key", format!("public_key = \"{key}\"")),
            (
                "links",
                format!(
                    "links = [ {{ name = \"fiber\", interface = \"eth1\", endpoint = \"192.0.2.{id}\" }} ]"
                ),
            ),
        ];
        let mut text = format!("[site.{name}]\n");
        for (key, line) in &lines {
            let change = changes.iter().find(|(changed, _)| changed == key);
            text += &(change.map_or(line.clone(), |(_, line)| (*line).to_owned()) + "\n");
        }
        let more = changes
            .iter()
            .filter(|(key, _)| !lines.iter().any(|(known, _)| known == key));
        text += &more
            .map(|(_, line)| format!("{line}\n"))
            .collect::<String>();
        text
    };
    let [a, b] = [site("nara", 1, KEY_A, a), site("tainan", 2, KEY_B, b)];
    format!("{top}\n{a}\n{b}")
}

fn link(rest: &str) -> String {
    format!("links = [ {{ name = \"fiber\", interface = \"eth1\"{rest} }} ]")
}

fn top(text: &str) -> String {
    fleet(text, &[], &[])
}

fn a(key: &'static str, line: &str) -> String {
    fleet("", &[(key, line)], &[])
}

fn links(rest: &str) -> String {
    a("links", &link(rest))
}

fn subnets(text: &str) -> String {
    a("subnets", &format!("subnets = {text}"))
}

fn after(text: &str) -> String {
    fleet("", &[], &[]) + text
}

fn path(ends: &str) -> String {
    after(&format!("\n[[path]]\nbetween = {ends}\n"))
}

fn wireguard(rest: &str) -> String {
    fleet("", &[("kind", "kind = \"wireguard\"")], &[]) + rest
}

fn many() -> String {
    let link = |k| format!("{{ name = \"l{k}\", interface = \"eth{k}\" }},");
    (0..10).map(link).collect()
}

pub(super) fn all() -> Vec<Mistake> {
    [
        of_the_file(),
        of_a_site(),
        of_names_and_lists(),
        of_a_link(),
        of_addresses(),
        of_numbers_and_subnets(),
        of_paths(),
        secrets::all(),
        between::all(),
        several(),
    ]
    .concat()
}

fn of_the_file() -> Vec<Mistake> {
    vec![
        ("nothing at all", String::new()),
        ("not TOML", top("listen_port =")),
        ("two TOML errors", top("listen_port =\nleak_guard = maybe")),
        ("an unknown key at the top", top("listen_prot = 1")),
        (
            "an unknown key that resembles none",
            top("colour = \"blue\""),
        ),
        ("an unknown key of a site", a("color", "color = \"red\"")),
        (
            "an unknown key of a link",
            links(", endpont = \"192.0.2.1\""),
        ),
        ("a port of the wrong type", top("listen_port = \"51820\"")),
        ("port zero", top("listen_port = 0")),
        ("a port beyond the last", top("listen_port = 65536")),
        (
            "a guard that is neither true nor false",
            top("leak_guard = \"no\""),
        ),
        ("metrics without a port", top("metrics = \"127.0.0.1\"")),
        ("metrics on port zero", top("metrics = \"[::1]:0\"")),
        (
            "metrics on a socket without its path",
            a("metrics", "metrics = \"unix:metrics.sock\""),
        ),
        (
            "a path manager that there is not",
            top("path_manager = \"kernal\""),
        ),
        ("an overlay that is no prefix", top("overlay = [\"ten\"]")),
        (
            "an overlay of the wrong length",
            top("overlay = [\"10.0.0.0/8\", \"fd00::/64\"]"),
        ),
        (
            "an overlay with host bits",
            top("overlay = [\"10.213.1.0/16\"]"),
        ),
        (
            "two overlays of one family",
            top("overlay = [\"10.1.0.0/16\", \"10.2.0.0/16\"]"),
        ),
        ("an empty overlay", top("listen_port = 51820\noverlay = []")),
        (
            "overlays of addresses that no site can have",
            top("overlay = [\"127.0.0.0/16\", \"fe80::/48\"]"),
        ),
        (
            "a port beyond all numbers",
            top("listen_port = 99999999999999999999"),
        ),
        ("an empty table of sites", "[site]\n".to_owned()),
        ("a key with an escape", top("\"a\\u001b[31m\" = 1")),
        (
            "one plain wg site only",
            format!(
                "[site.nara]\nid = 1\nkind = \"wireguard\"\npublic_key = \"{KEY_A}\"\n{}",
                link("")
            ),
        ),
    ]
}

fn of_a_site() -> Vec<Mistake> {
    vec![
        ("a site that is no table", "site = 1".to_owned()),
        ("no id", a("id", "")),
        ("id zero", a("id", "id = 0")),
        ("an id beyond the last", a("id", "id = 255")),
        ("an id that is a text", a("id", "id = \"one\"")),
        ("the same id twice", a("id", "id = 2")),
        ("no public key", a("public_key", "")),
        (
            "a key that was cut",
            a("public_key", "public_key = \"HIgo9xNzJMWLKASShiTqIyb\""),
        ),
        (
            "a low-order key",
            a(
                "public_key",
                "public_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
            ),
        ),
        (
            "the same key twice",
            a("public_key", &format!("public_key = \"{KEY_B}\"")),
        ),
    ]
}

fn of_names_and_lists() -> Vec<Mistake> {
    vec![
        ("an unknown kind", a("kind", "kind = \"openvpn\"")),
        (
            "a name with capitals",
            fleet("", &[], &[]).replace("[site.nara]", "[site.Nara]"),
        ),
        ("no links", a("links", "")),
        ("an empty list of links", a("links", "links = []")),
        (
            "a site that is a number",
            "site = { nara = 1, tainan = 2 }".to_owned(),
        ),
        ("links that are texts", a("links", "links = [\"eth1\"]")),
        (
            "a link without a name",
            a("links", "links = [ { interface = \"eth1\" } ]"),
        ),
        (
            "a link with a bad name",
            a(
                "links",
                "links = [ { name = \"a b\", interface = \"eth1\" } ]",
            ),
        ),
        (
            "a link without a device",
            a("links", "links = [ { name = \"fiber\" } ]"),
        ),
        (
            "two links of one name",
            a(
                "links",
                "links = [ { name = \"x\", interface = \"a\" }, { name = \"x\", interface = \"b\" } ]",
            ),
        ),
        (
            "two links on one device",
            a(
                "links",
                "links = [ { name = \"x\", interface = \"a\" }, { name = \"y\", interface = \"a\" } ]",
            ),
        ),
        (
            "two links with one endpoint",
            a(
                "links",
                "links = [ { name = \"x\", interface = \"a\", endpoint = \"h.example\" }, \
                        { name = \"y\", interface = \"b\", endpoint = \"h.example\" } ]",
            ),
        ),
    ]
}

fn of_a_link() -> Vec<Mistake> {
    vec![
        (
            "an interface name that is too long",
            a(
                "links",
                "links = [ { name = \"x\", interface = \"a-very-long-name\" } ]",
            ),
        ),
        (
            "a tunnel as a link",
            a(
                "links",
                "links = [ { name = \"x\", interface = \"pw-tainan-1\" } ]",
            ),
        ),
        ("a source that is no address", links(", source = \"eth1\"")),
        (
            "two sources of one family",
            links(", source = [\"192.0.2.1\", \"192.0.2.2\"]"),
        ),
        (
            "a source inside the overlay",
            links(", source = \"10.213.1.1\""),
        ),
        (
            "an endpoint without brackets",
            links(", endpoint = \"2001:db8::1\""),
        ),
        (
            "an endpoint with port zero",
            links(", endpoint = \"192.0.2.1:0\""),
        ),
        (
            "an endpoint with a mistyped address",
            links(", endpoint = \"192.0.2.256\""),
        ),
        (
            "an endpoint inside the overlay",
            links(", endpoint = \"10.213.2.1\""),
        ),
    ]
}

fn of_addresses() -> Vec<Mistake> {
    let endpoint = |text: &str| links(&format!(", endpoint = \"{text}\""));
    let source = |text: &str| links(&format!(", source = \"{text}\""));
    vec![
        ("an unspecified endpoint", endpoint("0.0.0.0")),
        ("an unspecified IPv6 endpoint", endpoint("[::]:51820")),
        ("a loopback endpoint", endpoint("127.0.0.1:51821")),
        ("a loopback IPv6 endpoint", endpoint("[::1]")),
        ("a link-local endpoint", endpoint("169.254.7.7")),
        ("a link-local IPv6 endpoint", endpoint("[fe80::1]")),
        ("a multicast endpoint", endpoint("239.1.1.1")),
        ("a multicast IPv6 endpoint", endpoint("[ff02::1]")),
        ("a broadcast endpoint", endpoint("255.255.255.255")),
        ("an IPv4-mapped endpoint", endpoint("[::ffff:192.0.2.1]")),
        ("an unspecified source", source("0.0.0.0")),
        ("a loopback source", source("127.0.0.1")),
        ("a multicast source", source("ff02::1")),
        ("a source that needs its device", source("fe80::1")),
    ]
}

fn of_numbers_and_subnets() -> Vec<Mistake> {
    vec![
        ("an unknown cost", links(", cost = \"cheap\"")),
        ("a rate without a unit", links(", up = \"100\"")),
        ("a rate in bytes", links(", down = \"10 MB/s\"")),
        ("an mtu that is too small", links(", mtu = 1300")),
        (
            "a key on a link of a pathweave site",
            links(&format!(", public_key = \"{KEY_C}\"")),
        ),
        ("a subnet that is none", subnets("[\"lan\"]")),
        ("a subnet with host bits", subnets("[\"192.168.10.7/24\"]")),
        ("the whole Internet as a subnet", subnets("[\"0.0.0.0/0\"]")),
        (
            "half the Internet as a subnet",
            subnets("[\"128.0.0.0/1\", \"8000::/1\"]"),
        ),
        ("multicast as a subnet", subnets("[\"224.0.0.0/4\"]")),
        (
            "a subnet that holds the overlay",
            subnets("[\"10.0.0.0/8\", \"fd00::/8\"]"),
        ),
        (
            "a subnet inside the overlay",
            subnets("[\"10.213.9.0/24\"]"),
        ),
        (
            "subnets of two sites that overlap",
            fleet(
                "",
                &[("subnets", "subnets = [\"192.168.0.0/16\"]")],
                &[("subnets", "subnets = [\"192.168.20.0/24\"]")],
            ),
        ),
    ]
}

fn of_paths() -> Vec<Mistake> {
    vec![
        (
            "a path to an unknown site",
            path("[\"nara/fiber\", \"osaka/fiber\"]"),
        ),
        (
            "a path to an unknown link",
            path("[\"nara/fiber\", \"tainan/lte\"]"),
        ),
        (
            "a path end without a link",
            path("[\"nara\", \"tainan/fiber\"]"),
        ),
        (
            "a path within one site",
            path("[\"nara/fiber\", \"nara/fiber\"]"),
        ),
        (
            "a path with three ends",
            path("[\"nara/fiber\", \"tainan/fiber\", \"nara/fiber\"]"),
        ),
        (
            "the same path twice",
            path(
                "[\"nara/fiber\", \"tainan/fiber\"]\n[[path]]\nbetween = [\"tainan/fiber\", \"nara/fiber\"]",
            ),
        ),
        ("a path without ends", after("\n[[path]]\n")),
        (
            "a path between two plain wg sites",
            wireguard(&format!(
                "kind = \"wireguard\"\n[site.oslo]\nid = 3\npublic_key = \"{KEY_C}\"\n{}\n\
                 [[path]]\nbetween = [\"nara/fiber\", \"tainan/fiber\"]\n",
                link(""),
            )),
        ),
        (
            "more paths than the kernel takes",
            a("links", &format!("links = [{}]", many())),
        ),
    ]
}

fn several() -> Vec<Mistake> {
    let unreadable = |line: &'static str| {
        let paths = "[[path]]\nbetween = [\"nara/fiber\", \"tainan/fiber\"]\n";
        fleet("", &[("id", line)], &[]) + paths
    };
    vec![
        (
            "five mistakes at once",
            fleet(
                "listen_port = 0",
                &[
                    ("id", "id = 0"),
                    ("links", "links = [ { name = \"A\", cost = \"x\" } ]"),
                ],
                &[("kind", "kind = \"x\"")],
            ),
        ),
        ("a path to a site whose id is wrong", unreadable("id = 0")),
        (
            "a path to a site whose name is wrong",
            unreadable("id = 1").replace("nara", "Nara"),
        ),
        (
            "a path to a link without a name",
            unreadable("id = 1").replacen("name = \"fiber\", ", "", 1),
        ),
        (
            "a kind that is misspelled and what hangs on it",
            fleet(
                "",
                &[
                    ("kind", "kind = \"wire-guard\""),
                    (
                        "links",
                        &format!("links = [ {{ name = \"wg0\", public_key = \"{KEY_C}\" }} ]"),
                    ),
                ],
                &[],
            ),
        ),
        (
            "mistakes of the file, of a site, of a link, between sites and of a path",
            fleet(
                "overlay = []",
                &[("id", "id = 0"), ("links", &link(", mtu = 1"))],
                &[("public_key", &format!("public_key = \"{KEY_A}\""))],
            ) + "[[path]]\nbetween = [\"nara/fiber\", \"osaka/fiber\"]\n",
        ),
    ]
}
