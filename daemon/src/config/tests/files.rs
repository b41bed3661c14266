//! Whatever is named in place of the key file or the fleet file is refused with its remedy, and
//! nothing waits.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::PRIVATE_KEY;
use super::mistakes::fleet;
use crate::config::{read, read_credential, read_private_key};

fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What an operator is told about each, without the folder's name.
fn said(folder: &Path, names: &[&str], read: impl Fn(&Path) -> Result<(), String>) -> String {
    let one = |name: &&str| {
        let said = read(&folder.join(name)).err().unwrap_or("good".to_owned());
        format!("{name}: {said}\n").replace(&format!("{}/", folder.display()), "")
    };
    names.iter().map(one).collect()
}

#[test]
fn a_key_file_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let good = format!("{PRIVATE_KEY}\n");
    write(&at("good"), good.as_bytes(), 0o600);
    symlink(at("good"), at("link")).unwrap();
    write(&at("open"), good.as_bytes(), 0o644);
    write(&at("half-open"), good.as_bytes(), 0o640);
    write(&at("short"), b"secret", 0o600);
    write(&at("long"), good.repeat(3).as_bytes(), 0o600);
    write(&at("binary"), &[0xff; 44], 0o600);
    write(&at("empty"), b"", 0o600);
    fs::create_dir(at("folder")).unwrap();
    mkfifo(&at("pipe"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/zero", at("device")).unwrap();
    let names = [
        "absent",
        "good",
        "link",
        "open",
        "half-open",
        "short",
        "long",
        "binary",
        "empty",
        "folder",
        "pipe",
        "socket",
        "device",
    ];
    insta::assert_snapshot!(said(folder.path(), &names, |path| {
        read_private_key(path)
            .map(drop)
            .map_err(|error| error.to_string())
    }));
}

#[test]
fn a_key_from_systemd_may_be_read_by_whom_systemd_lets_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, accepted) in [(0o400, true), (0o440, true), (0o444, false)] {
        let path = folder.path().join(format!("{mode:o}"));
        write(&path, PRIVATE_KEY.as_bytes(), mode);
        assert_eq!(read_credential(&path).is_ok(), accepted, "mode {mode:o}");
    }
    let none = folder.path().join("none");
    write(&none, b"missing", 0o400);
    let said = read_credential(&none).unwrap_err().to_string();
    assert!(said.contains("pathweave init"), "it says {said}");
}

#[test]
fn what_is_no_fleet_file_is_refused_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let good = fleet("", &[], &[]);
    write(&at("good"), good.as_bytes(), 0o644);
    symlink(at("good"), at("link")).unwrap();
    let padded = good.clone() + &"\n".repeat((1 << 20) - good.len());
    write(&at("full"), padded.as_bytes(), 0o644);
    write(&at("overfull"), format!("{padded}\n").as_bytes(), 0o644);
    write(&at("latin1"), b"listen_port = 1\n# caf\xe9\n", 0o644);
    fs::create_dir(at("folder")).unwrap();
    mkfifo(&at("pipe"), Mode::S_IRUSR).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/zero", at("device")).unwrap();
    let names = [
        "absent", "good", "link", "full", "overfull", "latin1", "folder", "pipe", "socket",
        "device",
    ];
    insta::assert_snapshot!(said(folder.path(), &names, |path| {
        read(path).map(drop).map_err(|error| error.to_string())
    }));
}
