//! `run`: what is put into a program's environment, and what is refused with its reason.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{pathweave, seen, skipped};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (String, String, i32) {
    let mut command = pathweave(Path::new("/nonexistent"));
    command
        .env("PATH", "/usr/bin:/bin")
        .envs(environment.iter().copied());
    seen(&command.arg("run").args(arguments).output().unwrap())
}

fn have_library() -> bool {
    let (_, remarks, code) = run(&["--dry-run", "--", "sh"], &[]);
    if code != 0 {
        skipped(&format!(
            "mptcpize is not installed (apt install mptcpize): {remarks}"
        ));
    }
    code == 0
}

#[test]
fn a_program_gets_the_library_and_the_setting_and_keeps_its_exit_code() {
    if !have_library() {
        return;
    }
    let line = "echo $LD_PRELOAD; echo $GODEBUG; exit 7";
    let environment = [("GODEBUG", "netdns=go")];
    let (out, remarks, code) = run(&["--", "sh", "-c", line], &environment);
    assert_eq!((remarks.as_str(), code), ("", 7));
    assert!(out.contains("libmptcpwrap.so"), "{out}");
    assert!(out.ends_with("netdns=go,multipathtcp=1\n"), "{out}");
    // Without `--`, and a script whose interpreter is looked up.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/usr/bin/env sh\necho \"$1 $LD_PRELOAD\"\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let (out, remarks, code) = run(&[script.to_str().unwrap(), "-a"], &[]);
    assert_eq!((remarks.as_str(), code), ("", 0));
    assert!(out.starts_with("-a /"), "{out}");
}

#[test]
fn what_cannot_be_helped_is_said_and_not_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let source = file("it.c");
    fs::write(
        &source,
        "#include <stdio.h>\nint main(void) { puts(\"ran\"); return 0; }\n",
    )
    .unwrap();
    let fixed = file("static");
    let built = Command::new("cc")
        .args(["-static", "-o", &fixed, &source])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        skipped("no C compiler makes a static program here (apt install gcc libc6-dev)");
        return;
    }
    let (out, remarks, code) = run(&["--", &fixed], &[]);
    assert_eq!((out.as_str(), code), ("", 1), "{remarks}");
    assert!(remarks.contains("linked statically"), "{remarks}");
    let (out, remarks, code) = run(&["--force", "--", &fixed], &[]);
    assert_eq!((out.as_str(), code), ("ran\n", 0));
    assert!(remarks.contains("started with plain TCP"), "{remarks}");

    // As a Go program carries its version, of old and of new.
    for (minor, expected) in [(20, "built with Go 1.20"), (24, "GODEBUG=multipathtcp=1")] {
        let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
        info.resize(32, 0);
        info.push(6);
        info.extend(format!("go1.{minor}").as_bytes());
        let (section, go) = (file("buildinfo"), file("go"));
        fs::write(&section, info).unwrap();
        let mut objcopy = Command::new("objcopy");
        objcopy
            .arg("--add-section")
            .arg(format!(".go.buildinfo={section}"));
        assert!(objcopy.args([&fixed, &go]).status().unwrap().success());
        let (out, remarks, _) = run(&["--dry-run", "--", &go], &[]);
        assert!((out + &remarks).contains(expected), "{expected} of {go}");
    }
    for (arguments, words) in [
        (&["--", "no-such-program"][..], "is called no-such-program"),
        (&["--", "/etc/passwd"], "is no program that can be started"),
    ] {
        let (_, remarks, code) = run(arguments, &[]);
        assert_eq!(code, 1);
        assert!(remarks.contains(words), "{remarks}");
    }
    assert_eq!(run(&[], &[]).2, 2);
}
