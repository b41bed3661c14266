mod files;
mod mistakes;
mod properties;
mod reference;

use std::fs;
use std::path::{Path as FilePath, PathBuf};

use super::*;
use crate::names::{PrivateKey, PublicKey};
use mistakes::fleet;

fn examples() -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../config-examples")
}

/// The examples that are fleet files.
fn fleet_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(examples()).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files
}

const KEY_A: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
const KEY_B: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const KEY_C: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const KEY_D: &str = "xTxQCVsg8ObC1ORl20Oea/Mchovic136K0vp/YFavuc=";
/// That of [`KEY_A`].
const PRIVATE_KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

#[test]
fn every_mistake_is_shown_where_it_is_with_its_remedy() {
    let mistakes = mistakes::all();
    assert!(mistakes.len() >= 120, "{} mistakes", mistakes.len());
    let mut report = String::new();
    for (name, text) in &mistakes {
        let errors = parse("fleet.toml", text).expect_err(name);
        let errors = errors.to_string();
        assert!(
            !errors.contains("yAnz5TF"),
            "{name} shows a private key:\n{errors}"
        );
        report += &format!("━━━ {name}\n{errors}\n\n");
    }
    insta::assert_snapshot!(report);
}

#[test]
fn every_example_is_good_and_every_pathweave_site_finds_itself_in_it() {
    let mut count = 0;
    for path in fleet_files() {
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
    let nas = format!(
        "[site.nas]\nid = 3\nkind = \"wireguard\"\npublic_key = \"{KEY_C}\"\nlinks = [\n  {{ name = \
         \"wg0\" }},\n  {{ name = \"wg1\", public_key = \"{KEY_D}\" }},\n]\n"
    );
    let fleet = parse("f", &(fleet("", &[], &[]) + &nas)).unwrap();
    let say = |key: PublicKey| fleet.view(&key).unwrap_err().to_string();
    let private: PrivateKey = PRIVATE_KEY.parse().unwrap();
    let unknown = PrivateKey::from_bytes([7; 32]).public();
    assert!(fleet.view(&private.public()).is_ok());
    let messages = [
        say(unknown),
        say(KEY_C.parse().unwrap()),
        say(KEY_D.parse().unwrap()),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_private_key_in_place_of_the_public_one_is_noticed_and_not_shown() {
    let line = format!("public_key = \"{PRIVATE_KEY}\"");
    let fleet = parse("f", &fleet("", &[("public_key", &line)], &[])).unwrap();
    let private: PrivateKey = PRIVATE_KEY.parse().unwrap();
    let error = fleet.view(&private.public()).unwrap_err().to_string();
    assert!(!error.contains(&PRIVATE_KEY[..20]), "{error}");
    insta::assert_snapshot!(error);
}

#[test]
fn what_resembles_a_mistake_and_is_none() {
    let link =
        |a: &str, b: &str| format!("links = [ {{ name = \"a\", {a} }}, {{ name = \"b\", {b} }} ]");
    for (why, good) in [
        (
            "one device, each link with a family of its own",
            link(
                "interface = \"eth1\", source = \"192.0.2.9\"",
                "interface = \"eth1\", source = \"2001:db8::9\"",
            ),
        ),
        (
            "no device, each link with an address of its own",
            link("source = \"192.0.2.9\"", "source = \"192.0.2.10\""),
        ),
        (
            "one public address, each link with a port of its own",
            link(
                "interface = \"eth1\", endpoint = \"198.51.100.1:1\"",
                "interface = \"eth2\", endpoint = \"198.51.100.1:2\"",
            ),
        ),
        (
            "a source inside of the site's own network",
            link(
                "interface = \"eth1\", source = \"192.168.7.9\"",
                "interface = \"eth2\"",
            ) + "\nsubnets = [\"192.168.7.0/24\"]",
        ),
        (
            "a large network, and public ones",
            link("interface = \"eth1\"", "interface = \"eth2\"")
                + "\nsubnets = [\"172.16.0.0/12\", \"8.0.0.0/7\", \"2001:db8::/32\"]",
        ),
    ] {
        let text = fleet("", &[("links", &good)], &[]);
        parse("fleet.toml", &text).unwrap_or_else(|error| panic!("{why}:\n{error}"));
    }
}
