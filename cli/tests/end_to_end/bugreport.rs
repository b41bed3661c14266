//! The report is unpacked and searched for what must not be in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::{Answer, Daemon};
use super::{pathweave, seen};

const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PUBLIC: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
const STRAY: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

/// A site's files, with a key where it does not belong.
fn prepare(folder: &Path) {
    let fleet = format!(
        "# an old key of ours: {STRAY}\n[site.nara]\nid = 1\npublic_key = \"{PUBLIC}\"\nlinks = [ \
         {{ name = \"fiber\", interface = \"eth1\", endpoint = \"nara.example.net\" }}, {{ name = \
         \"cable\", interface = \"eth2\", endpoint = \"203.0.113.7\" }} ]\n"
    );
    fs::write(folder.join("fleet.toml"), fleet).unwrap();
    let key = folder.join("private.key");
    fs::write(&key, PRIVATE).unwrap();
    fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
}

/// What the command printed, and the report's file.
fn report(socket: &Path, folder: &Path, more: &[&str]) -> (String, PathBuf) {
    let mut command = pathweave(socket);
    command
        .current_dir(folder)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.args([
        "bugreport",
        "--config",
        "fleet.toml",
        "--key",
        "private.key",
    ]);
    let (out, remarks, code) = seen(&command.args(more).output().unwrap());
    assert_eq!(code, 0, "{remarks}");
    let is_report = |path: &PathBuf| path.to_string_lossy().ends_with(".tar.gz");
    let mut entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    (out, entries.find(is_report).unwrap())
}

fn unpacked(file: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(file).arg("-C").arg(folder.path());
    assert!(tar.status().unwrap().success());
    let top = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let files = fs::read_dir(top.path()).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    texts.collect()
}

#[test]
fn nothing_secret_is_in_a_report_and_what_is_in_it_is_told() {
    let daemon = Daemon::start(Answer::OneDown);
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let (out, file) = report(&daemon.socket, folder.path(), &[]);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    for part in ["status.json", "nft.txt", "1 host", "unknown keys", "1 key"] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
    let text = unpacked(&file);
    // The endpoint of the status, the names and addresses of the fleet file, all keys.
    let secrets = [
        "198.51.100.20",
        "nara.example.net",
        "203.0.113.7",
        PUBLIC,
        PRIVATE,
        STRAY,
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the report");
    }
    for part in [
        "device eth2 does not exist",
        "public_key = \"key-1\"",
        "net/mptcp/enabled = ",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn addresses_stay_on_request_and_private_keys_never() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let nowhere = Path::new("/nonexistent/pathweave.sock");
    let (out, file) = report(nowhere, folder.path(), &["--with-addresses", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["schema"], 1);
    let text = unpacked(&file);
    for part in [
        "nara.example.net",
        "203.0.113.7",
        PUBLIC,
        "is pathweaved running?",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    for secret in [PRIVATE, STRAY] {
        assert!(!text.contains(secret), "{secret} is in the report");
    }
}
