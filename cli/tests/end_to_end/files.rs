//! The commands that need no daemon: keys and the check of a fleet file.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{pathweave, seen, skipped};

const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PUBLIC: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
const OTHER_PUBLIC: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

fn nowhere() -> &'static Path {
    Path::new("/nonexistent/pathweave.sock")
}

fn fed(mut command: Command, input: &[u8]) -> (String, String, i32) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    seen(&child.wait_with_output().unwrap())
}

fn pubkey(input: &[u8]) -> (String, String, i32) {
    let mut command = pathweave(nowhere());
    command.arg("pubkey");
    fed(command, input)
}

#[test]
fn pubkey_prints_what_wg_prints() {
    let expected = (format!("{PUBLIC}\n"), String::new(), 0);
    assert_eq!(pubkey(format!("{PRIVATE}\n").as_bytes()), expected);
    assert_eq!(pubkey(PRIVATE.as_bytes()), expected);
}

#[test]
fn pubkey_refuses_what_is_no_key() {
    for input in [&b""[..], b"short\n", b"\xff\xfe\n", &[b'A'; 200]] {
        let (out, remarks, code) = pubkey(input);
        assert_eq!((out.as_str(), code), ("", 1), "{input:?}: {remarks}");
        assert!(remarks.starts_with("error: standard input"), "{remarks}");
    }
}

#[test]
fn genkey_makes_a_new_key_each_time_that_wg_agrees_with() {
    let key = || seen(&pathweave(nowhere()).arg("genkey").output().unwrap());
    let ((first, remarks, code), (second, ..)) = (key(), key());
    assert_eq!((first.len(), remarks.as_str(), code), (45, "", 0));
    assert_ne!(first, second);
    let ours = pubkey(first.as_bytes());
    if Command::new("wg").arg("--version").output().is_err() {
        skipped("wg is not installed (apt install wireguard-tools)");
        return;
    }
    let mut wg = Command::new("wg");
    wg.arg("pubkey");
    assert_eq!(fed(wg, first.as_bytes()), ours);
}

#[test]
fn genkey_warns_when_others_could_read_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, warns) in [(0o644, true), (0o600, false)] {
        let path = folder.path().join(format!("{mode:o}"));
        let file = File::create(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let output = pathweave(nowhere()).arg("genkey").stdout(file).output();
        let (_, remarks, code) = seen(&output.unwrap());
        assert_eq!(code, 0);
        assert_eq!(
            remarks.contains("umask 077"),
            warns,
            "{mode:o}: {remarks:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 45);
    }
}

fn fleet(nara: &str) -> String {
    let site = |name: &str, id: u8, key: &str| {
        format!(
            "[site.{name}]\nid = {id}\npublic_key = \"{key}\"\nlinks = [{{ name = \"fiber\", \
             interface = \"eth1\", endpoint = \"192.0.2.{id}\" }}]\n"
        )
    };
    site("nara", 1, nara) + &site("tainan", 2, OTHER_PUBLIC)
}

/// Runs `check` in a folder with this fleet file and, maybe, this key.
fn check(text: &str, key: Option<&str>, more: &[&str]) -> (String, String, i32) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fleet.toml"), text).unwrap();
    if let Some(key) = key {
        let path = folder.path().join("private.key");
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let mut command = pathweave(nowhere());
    command.current_dir(folder.path());
    command.args(["check", "fleet.toml", "--key", "private.key"]);
    seen(&command.args(more).output().unwrap())
}

#[test]
fn check_says_which_site_this_machine_is() {
    let (out, remarks, code) = check(&fleet(PUBLIC), Some(PRIVATE), &[]);
    assert_eq!(
        out,
        "fleet.toml is good: nara, tainan\nthis machine is nara\n"
    );
    assert_eq!((remarks.as_str(), code), ("", 0));
    let (out, _, code) = check(&fleet(PUBLIC), Some(PRIVATE), &["--json"]);
    let expected =
        r#"{"schema":1,"file":"fleet.toml","sites":["nara","tainan"],"this_site":"nara"}"#;
    assert_eq!((out.trim_end(), code), (expected, 0));
}

#[test]
fn a_fleet_file_can_be_checked_where_no_key_is() {
    let (out, remarks, code) = check(&fleet(PUBLIC), None, &[]);
    assert_eq!(
        (out.as_str(), code),
        ("fleet.toml is good: nara, tainan\n", 0)
    );
    assert!(remarks.starts_with("remark: "), "{remarks}");
}

#[test]
fn every_error_of_a_file_is_shown_with_its_line_and_the_exit_code_is_5() {
    let wrong = fleet("not a key").replace("id = 2", "id = 700\nfrobnicate = true");
    let (out, remarks, code) = check(&wrong, None, &[]);
    assert_eq!((out.as_str(), code), ("", 5));
    for part in ["fleet.toml:3", "fleet.toml:7", "frobnicate", "has 3 errors"] {
        assert!(remarks.contains(part), "{part} is missing in:\n{remarks}");
    }
    assert!(!remarks.contains('\u{1b}'), "colour in a pipe:\n{remarks}");
}

#[test]
fn a_private_key_in_the_fleet_file_is_refused_and_not_shown() {
    let pasted = format!("PrivateKey = {PRIVATE}\n");
    let quoted = format!("id = 1\nprivate_key = \"{PRIVATE}\"\n");
    for wrong in [
        pasted + &fleet(PUBLIC),
        fleet(PUBLIC).replace("id = 1\n", &quoted),
        fleet(PRIVATE),
    ] {
        let (out, remarks, code) = check(&wrong, Some(PRIVATE), &[]);
        assert_eq!((out.as_str(), code), ("", 5), "{remarks}");
        assert!(remarks.contains("copied to every site"), "{remarks}");
        assert!(!remarks.contains(&PRIVATE[..20]), "{remarks}");
    }
}

#[test]
fn a_key_of_no_site_and_a_missing_file_are_5_as_well() {
    let third = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
    let (_, remarks, code) = check(&fleet(third), Some(PRIVATE), &[]);
    assert_eq!(code, 5, "{remarks}");
    for line in [
        format!("nara    {third}"),
        format!("tainan  {OTHER_PUBLIC}"),
    ] {
        assert!(remarks.contains(&line), "{remarks}");
    }
    let mut command = pathweave(nowhere());
    let output = command.args(["check", "/nonexistent.toml"]).output();
    let (_, remarks, code) = seen(&output.unwrap());
    assert_eq!(code, 5);
    assert!(
        remarks.contains("/nonexistent.toml does not exist"),
        "{remarks}"
    );
}
