use std::fs;
use std::path::{Path as FilePath, PathBuf};

use proptest::prelude::*;

use super::*;

fn examples() -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../config-examples")
}

const KEY_A: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
const KEY_B: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const KEY_C: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

/// Two good sites. `top` comes first; `a` and `b` replace lines of the sites by their key.
fn fleet(top: &str, a: &[(&str, &str)], b: &[(&str, &str)]) -> String {
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

/// Name of the mistake and the file that makes it.
fn mistakes() -> Vec<(&'static str, String)> {
    let top = |text: &str| fleet(text, &[], &[]);
    let a = |key: &'static str, line: &str| fleet("", &[(key, line)], &[]);
    let links = |rest: &str| a("links", &link(rest));
    let subnets = |text: &str| a("subnets", &format!("subnets = {text}"));
    let after = |text: &str| fleet("", &[], &[]) + text;
    let path = |ends: &str| after(&format!("\n[[path]]\nbetween = {ends}\n"));
    let wireguard = |rest: &str| fleet("", &[("kind", "kind = \"wireguard\"")], &[]) + rest;
    let many: String = (0..10)
        .map(|k| format!("{{ name = \"l{k}\", interface = \"eth{k}\" }},"))
        .collect();
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
        ("an empty overlay", top("overlay = []")),
        (
            "one site only",
            format!(
                "[site.nara]\nid = 1\npublic_key = \"{KEY_A}\"\n{}",
                link("")
            ),
        ),
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
        ("an unknown kind", a("kind", "kind = \"openvpn\"")),
        (
            "a name with capitals",
            fleet("", &[], &[]).replace("[site.nara]", "[site.Nara]"),
        ),
        ("no links", a("links", "")),
        ("an empty list of links", a("links", "links = []")),
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
            "an endpoint that nobody can reach",
            links(", endpoint = \"0.0.0.0\""),
        ),
        (
            "an endpoint inside the overlay",
            links(", endpoint = \"10.213.2.1\""),
        ),
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
            wireguard(
                "kind = \"wireguard\"\n[[path]]\nbetween = [\"nara/fiber\", \"tainan/fiber\"]\n",
            ),
        ),
        (
            "more paths than the kernel takes",
            a("links", &format!("links = [{many}]")),
        ),
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
    ]
}

#[test]
fn every_mistake_is_shown_where_it_is_with_its_remedy() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 40);
    let mut report = String::new();
    for (name, text) in &mistakes {
        let errors = parse("fleet.toml", text).expect_err(name);
        report += &format!("━━━ {name}\n{errors}\n\n");
    }
    insta::assert_snapshot!(report);
}

#[test]
fn every_example_is_good_and_every_pathweave_site_finds_itself_in_it() {
    let mut count = 0;
    for entry in fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        let fleet = read(&path).unwrap_or_else(|error| panic!("{error}"));
        for site in fleet
            .sites
            .values()
            .filter(|site| site.kind == SiteKind::Pathweave)
        {
            let view = fleet.view(&site.public_key).unwrap();
            assert!(
                view.paths().count() > 0,
                "{}: {} has no path",
                path.display(),
                site.name
            );
        }
        count += 1;
    }
    assert!(count >= 6, "{count} examples");
}

#[test]
fn the_reference_explains_every_key_that_the_parser_knows() {
    let reference = fs::read_to_string(examples().join("reference.toml")).unwrap();
    let words: Vec<&str> = reference
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    for (table, keys) in KEYS {
        for key in keys {
            assert!(
                words.contains(key),
                "{table}: `{key}` is not in config-examples/reference.toml"
            );
        }
    }
}

#[test]
fn the_shorter_list_of_links_wraps_round() {
    let links = "links = [ { name = \"a\", interface = \"a\" }, { name = \"b\", interface = \"b\" }, \
                 { name = \"c\", interface = \"c\" } ]";
    let fleet = parse("f", &fleet("", &[("links", links)], &[])).unwrap();
    let view = fleet.view(&KEY_B.parse().unwrap()).unwrap();
    let pairs: Vec<_> = view
        .paths()
        .map(|(_, path)| (path.link, path.remote_link))
        .collect();
    assert_eq!(pairs, [(0, 0), (0, 1), (0, 2)]);
    let names: Vec<_> = view
        .paths()
        .map(|(_, path)| path.interface.to_string())
        .collect();
    assert_eq!(names, ["pw-nara-1", "pw-nara-2", "pw-nara-3"]);
}

#[test]
fn a_machine_whose_key_is_in_no_site_is_told_which_sites_there_are() {
    let fleet = parse("f", &fleet("", &[], &[])).unwrap();
    let error = fleet.view(&KEY_C.parse().unwrap()).unwrap_err().to_string();
    assert!(
        error.ends_with("or use the key file of one of: nara, tainan"),
        "{error}"
    );
}

#[test]
fn a_key_file_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let mut messages = Vec::new();
    let mut try_it = |text: Option<&str>, mode: u32| {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let said =
            read_private_key(&path).map_or_else(|error| error.to_string(), |_| "good".into());
        messages.push(said.replace(&path.display().to_string(), "KEY"));
    };
    let good = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n";
    try_it(None, 0);
    try_it(Some(good), 0o600);
    try_it(Some(good), 0o644);
    try_it(Some(good), 0o640);
    try_it(Some("secret"), 0o600);
    try_it(Some(&good.repeat(3)), 0o600);
    insta::assert_snapshot!(messages.join("\n"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _: bool = parse("f", &text).is_ok();
    }

    #[test]
    fn no_change_of_one_letter_makes_the_parser_panic(at in 0usize..400, letter in any::<char>()) {
        let good = fleet("", &[], &[]);
        let mut letters: Vec<char> = good.chars().collect();
        let at = at % letters.len();
        letters[at] = letter;
        let changed: String = letters.into_iter().collect();
        if let Err(errors) = parse("f", &changed) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }
}
