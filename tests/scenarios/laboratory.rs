//! The laboratory itself: whatever ends it, nothing is left on the machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::daemon::binary;
use lab::programs::lab_can_run;

#[test]
fn a_demo_that_is_killed_leaves_no_process_namespace_or_file() {
    if !lab_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(binary("demo"))
        .env("TMPDIR", folder.path())
        .env("CARGO", "/bin/true")
        .env("PATHWEAVE_BIN_DIR", binary("pathweaved").parent().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait("the demo's daemons run", || daemons(folder.path()) == 2);
    let spaces = namespaces(folder.path());
    assert_eq!(spaces.len(), 2, "{spaces:?}");
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait("the daemons are gone", || daemons(folder.path()) == 0);
    wait("the namespaces are gone", || {
        !all_namespaces().iter().any(|one| spaces.contains(one))
    });
    wait("the folder is empty", || {
        fs::read_dir(folder.path()).unwrap().count() == 0
    });
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes whose command line names the folder, but for those that sweep it.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let of = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let ours = line.contains(folder) && line.contains("--config");
        ours.then(|| entry.path().display().to_string())
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(of)
        .collect()
}

fn daemons(folder: &Path) -> usize {
    processes(folder).len()
}

/// A daemon that is about to start `nft` is seen twice.
fn namespaces(folder: &Path) -> BTreeSet<String> {
    processes(folder)
        .iter()
        .filter_map(|process| namespace(process))
        .collect()
}

fn all_namespaces() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| namespace(entry.path().to_str()?))
        .collect()
}

fn namespace(process: &str) -> Option<String> {
    let link = fs::read_link(format!("{process}/ns/net")).ok()?;
    Some(link.to_str()?.to_owned())
}
