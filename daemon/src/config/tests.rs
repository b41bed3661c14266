mod mistakes;

use std::fs;
use std::path::{Path as FilePath, PathBuf};

use proptest::prelude::*;

use super::*;
use mistakes::fleet;

fn examples() -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../config-examples")
}

const KEY_A: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
const KEY_B: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const KEY_C: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

#[test]
fn every_mistake_is_shown_where_it_is_with_its_remedy() {
    let mistakes = mistakes::all();
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
        drop(parse("f", &text));
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
