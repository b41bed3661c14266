//! The first evening, without a daemon: `init`, `init --join`, `apply`, and what stands in their
//! way.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{pathweave, seen, skipped};

/// One machine's /etc.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("etc/pathweave/pathweave.toml")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("etc/pathweave/private.key")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = pathweave(Path::new("/nonexistent/pathweave.sock"));
        command.args(arguments);
        command
            .arg("--config")
            .arg(self.config())
            .arg("--key")
            .arg(self.key());
        command
    }

    /// stdout, stderr, exit code.
    fn run(&self, arguments: &[&str], input: &str) -> (String, String, i32) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        // Who reads nothing has gone already, perhaps.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        seen(&child.wait_with_output().unwrap())
    }

    fn fleet(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }
}

const FIBER: &str = "fiber,interface=eth1";
const LTE: &str = "lte,interface=wwan0";

fn init(machine: &Machine, site: &str, more: &[&str], input: &str) -> (String, String, i32) {
    // Each site has an address of its own.
    let fiber = format!("{FIBER},endpoint={site}.example.net");
    let links = ["--link", fiber.as_str(), "--link", LTE];
    let arguments = [&["init", "--yes", "--site", site][..], &links, more].concat();
    machine.run(&arguments, input)
}

#[test]
fn two_sites_find_each_other_by_what_they_print() {
    let (nara, tainan) = (Machine::new(), Machine::new());
    let (first, remarks, code) = init(&nara, "nara", &[], "");
    assert_eq!(code, 0, "{remarks}");
    assert_eq!(first, nara.fleet(), "stdout is not the file");
    for part in [
        "pathweave init --join -",
        "udp dport 51820",
        "enable --now pathweaved",
    ] {
        assert!(remarks.contains(part), "{part} is missing in:\n{remarks}");
    }
    let (both, remarks, code) = init(&tainan, "tainan", &["--join", "-"], &first);
    assert_eq!(code, 0, "{remarks}");
    assert_eq!(both, tainan.fleet());
    assert!(
        both.starts_with(&first),
        "the first site was changed:\n{both}"
    );
    for part in [
        "path 1 to nara: fiber ↔ fiber\n",
        "lte ↔ lte; neither end has",
        "apply -",
    ] {
        assert!(remarks.contains(part), "{part} is missing in:\n{remarks}");
    }
    let (_, remarks, code) = nara.run(&["apply", "-"], &both);
    assert_eq!(code, 0, "{remarks}");
    assert_eq!(nara.fleet(), both);
    for (machine, name) in [(&nara, "nara"), (&tainan, "tainan")] {
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(
            (mode(&machine.key()), mode(&machine.config())),
            (0o600, 0o644)
        );
        let config = machine.config().display().to_string();
        let mut check = pathweave(Path::new("/nonexistent"));
        let output = check
            .args(["check", &config, "--key"])
            .arg(machine.key())
            .output();
        let (out, remarks, code) = seen(&output.unwrap());
        assert_eq!((remarks.as_str(), code), ("", 0));
        assert!(out.contains(&format!("this machine is {name}")), "{out}");
    }
}

#[test]
fn what_is_there_is_not_overwritten_and_a_key_that_is_there_is_used() {
    let (nara, tainan) = (Machine::new(), Machine::new());
    fs::create_dir_all(nara.key().parent().unwrap()).unwrap();
    let private = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
    fs::write(nara.key(), private).unwrap();
    fs::set_permissions(nara.key(), Permissions::from_mode(0o600)).unwrap();
    let (first, remarks, _) = init(&nara, "nara", &[], "");
    assert!(
        first.contains("HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="),
        "{remarks}"
    );
    assert_eq!(fs::read_to_string(nara.key()).unwrap(), private);
    let (out, remarks, code) = init(&nara, "other", &[], "");
    assert_eq!((out.as_str(), code), ("", 1));
    assert!(
        remarks.contains("is there already, and is not overwritten"),
        "{remarks}"
    );
    assert_eq!(nara.fleet(), first);

    init(&tainan, "tainan", &["--join", "-"], &first);
    let (foreign, ..) = init(&Machine::new(), "oslo", &[], "");
    let both = tainan.fleet();
    let (_, remarks, code) = init(&tainan, "tainan", &["--join", "-"], &foreign);
    assert_eq!(code, 1, "{remarks}");
    assert_eq!(tainan.fleet(), both, "another fleet's file replaced it");
    // The same once more changes nothing, and is no failure.
    let (out, remarks, code) = init(&tainan, "tainan", &["--join", "-"], &both);
    assert_eq!((out.as_str(), code), (both.as_str(), 0), "{remarks}");
}

#[test]
fn nonsense_is_refused_with_its_reason_and_nothing_is_made() {
    let (first, ..) = init(&Machine::new(), "nara", &[], "");
    let table = [
        (&["--join", "-"][..], "", 1, "nothing came"),
        (&["--join", "-"], "hello\n", 5, "what was pasted"),
        (&["--join", "-", "--id", "1"], first.as_str(), 5, "id"),
        (
            &["--join", "/nonexistent"],
            "",
            5,
            "/nonexistent does not exist",
        ),
        (&["--link", "=x"], "", 1, "NAME,key=value"),
        (
            &["--link", "dsl,interface=eth0,endpoint=127.0.0.1"],
            "",
            5,
            "loopback",
        ),
        (&["--id", "255"], "", 2, "255"),
        (&["--listen-port", "0"], "", 5, "port"),
    ];
    for (more, input, expected, words) in table {
        let machine = Machine::new();
        let (out, remarks, code) = init(&machine, "tainan", more, input);
        assert_eq!((out.as_str(), code), ("", expected), "{more:?}: {remarks}");
        assert!(remarks.contains(words), "{more:?} said: {remarks}");
        assert_eq!(
            fs::read_dir(machine.0.path()).unwrap().count(),
            0,
            "{more:?}"
        );
    }
}

#[test]
fn a_fleet_file_without_this_machine_is_not_applied() {
    let nara = Machine::new();
    let (first, ..) = init(&nara, "nara", &[], "");
    let (foreign, ..) = init(&Machine::new(), "oslo", &[], "");
    let (_, remarks, code) = nara.run(&["apply", "-"], &foreign);
    assert_eq!(code, 5, "{remarks}");
    assert!(
        remarks.contains("no site of the fleet file has this machine's"),
        "{remarks}"
    );
    assert_eq!(nara.fleet(), first);
}

#[test]
fn a_full_or_read_only_disk_leaves_nothing_half_written() {
    for (what, option) in [("full", "size=4k"), ("read-only", "ro")] {
        let machine = Machine::new();
        let line = format!(
            "mount -t tmpfs -o {option} none \"$1\" && shift && (\"$@\"; echo $? >&2; ls -A \"$0\")"
        );
        let arguments = ["init", "--yes", "--site", "nara", "--link", FIBER];
        let inner = machine.command(&arguments);
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &line])
            .arg(machine.0.path());
        command
            .arg(machine.0.path())
            .arg(inner.get_program())
            .args(inner.get_args());
        let (out, remarks, code) = seen(&command.output().unwrap());
        if code != 0 && remarks.contains("unshare") {
            skipped("not root: no disk can be mounted");
            return;
        }
        assert_eq!(out, "", "left on the {what} disk; {remarks}");
        assert!(
            remarks.contains("is the disk full, or read-only?"),
            "{what}: {remarks}"
        );
        assert!(remarks.ends_with("\n1\n"), "{what}: {remarks}");
    }
}
