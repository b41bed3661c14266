//! The real command against the daemon's real control socket, in a folder of the test's own. Only
//! the supervisor behind the socket is the test's: it answers what the case needs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: it runs the command, and what is missing shall fail it"
)]

#[path = "end_to_end/bugreport.rs"]
mod bugreport;
#[path = "end_to_end/daemon.rs"]
mod daemon;
#[path = "end_to_end/files.rs"]
mod files;
#[path = "end_to_end/init.rs"]
mod init;
#[path = "end_to_end/requests.rs"]
mod requests;
#[path = "end_to_end/run.rs"]
mod run;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use daemon::{Answer, Daemon};

/// The command with an environment of its own.
fn pathweave(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pathweave"));
    command.env_clear().env("PATHWEAVE_SOCKET", socket);
    command
}

fn run(socket: &Path, arguments: &[&str]) -> Output {
    pathweave(socket).args(arguments).output().unwrap()
}

/// What an operator would have seen: stdout, stderr, exit code.
fn seen(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap_or(-1);
    (text(&output.stdout), text(&output.stderr), code)
}

/// Says why a test did not run: on stderr, and in the file PATHWEAVE_SKIPPED for the summary.
fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    eprintln!("skipped: {test}: {why}");
    if let Some(file) = std::env::var_os("PATHWEAVE_SKIPPED") {
        let file = File::options().create(true).append(true).open(file);
        writeln!(file.unwrap(), "{test}: {why}").unwrap();
    }
}

#[test]
fn status_is_0_when_all_paths_are_up_and_1_when_one_is_not() {
    let daemon = Daemon::start(Answer::AllUp);
    let (out, remarks, code) = seen(&run(&daemon.socket, &["status"]));
    assert!(out.contains("all 2 paths up"), "{out}");
    assert_eq!((remarks.as_str(), code), ("", 0));

    let daemon = Daemon::start(Answer::OneDown);
    let (out, remarks, code) = seen(&run(&daemon.socket, &["status"]));
    assert!(out.contains("device eth2 does not exist"), "{out}");
    assert_eq!((remarks.as_str(), code), ("", 1));
}

#[test]
fn a_daemon_of_another_version_is_told_and_no_failure() {
    let daemon = Daemon::start(Answer::Older);
    let (_, remarks, code) = seen(&run(&daemon.socket, &["status"]));
    assert!(
        remarks.contains("the daemon is pathweaved 0.0.9"),
        "{remarks}"
    );
    assert_eq!(code, 0);
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let daemon = Daemon::start(Answer::OneDown);
    let shown = |arguments: &[&str]| {
        let (out, remarks, code) = seen(&run(&daemon.socket, arguments));
        assert_eq!(remarks, "", "{arguments:?}");
        (
            out.contains("fiber → fiber"),
            out.contains("cable → fiber"),
            code,
        )
    };
    assert_eq!(shown(&["status", "--down"]), (false, true, 1));
    assert_eq!(shown(&["status", "--link", "cable"]), (false, true, 1));
    assert_eq!(shown(&["path", "list", "--down"]), (false, true, 0));
    assert_eq!(
        shown(&["path", "list", "--peer", "tainan"]),
        (true, true, 0)
    );
    let daemon = Daemon::start(Answer::AllUp);
    let (out, _, code) = seen(&run(&daemon.socket, &["status", "--down"]));
    assert!(out.contains("nothing is down"), "{out}");
    assert_eq!(code, 0);
}

#[test]
fn a_watch_looks_again_until_its_reader_goes_away() {
    let daemon = Daemon::start(Answer::AllUp);
    let mut command = pathweave(&daemon.socket);
    command
        .args(["status", "--json", "--watch", "1"])
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with(r#"{"schema":1"#), "{line}");
    }
    drop(lines);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_dry_run_says_what_taking_a_path_down_would_mean_and_does_nothing() {
    let daemon = Daemon::start(Answer::AllUp);
    let said = |daemon: &Daemon, arguments: &[&str]| {
        let arguments = [arguments, &["--dry-run"]].concat();
        let (out, remarks, code) = seen(&run(&daemon.socket, &arguments));
        assert_eq!((remarks.as_str(), code), ("", 0));
        out
    };
    let down = ["path", "down", "tainan", "1"];
    assert_eq!(
        said(&daemon, &down),
        "path 1 to tainan would go out of use: what 1 subflow carries moves to path 2\n"
    );
    let alone = Daemon::start(Answer::OneDown);
    assert!(said(&alone, &down).contains("is the last live path to tainan"));
    let up = said(&daemon, &["path", "up", "tainan", "2"]);
    assert!(up.contains("was not taken down"), "{up}");
    run(&daemon.socket, &["path", "down", "tainan", "2"]);
    assert_eq!(
        daemon.heard(),
        "tainan/2 Down",
        "a dry run reached the daemon"
    );
}

#[test]
fn a_path_that_the_operator_took_down_is_no_trouble() {
    let daemon = Daemon::start(Answer::OneTakenDown);
    let (out, _, code) = seen(&run(&daemon.socket, &["status"]));
    assert!(out.contains("admin-down"), "{out}");
    assert_eq!(code, 0);
}

#[test]
fn every_read_command_speaks_json_with_its_schema() {
    let daemon = Daemon::start(Answer::OneDown);
    for arguments in [
        &["status"][..],
        &["peer", "list"],
        &["peer", "show", "tainan"],
        &["path", "list"],
        &["path", "show", "tainan", "2"],
    ] {
        let json = [arguments, &["--json"]].concat();
        let (out, remarks, _) = seen(&run(&daemon.socket, &json));
        let value: serde_json::Value = serde_json::from_str(&out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}{remarks}"));
        assert_eq!(value["schema"], 1, "{arguments:?} printed {out}");
    }
    let (out, ..) = seen(&run(
        &daemon.socket,
        &["path", "show", "tainan", "2", "--json"],
    ));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["path"]["peer"], "tainan");
    assert_eq!(value["path"]["state"], "down");
    assert_eq!(value["path"]["reason"], "device eth2 does not exist");
    assert_eq!(value["path"]["rtt_ms"], serde_json::Value::Null);
}

#[test]
fn a_peer_or_path_that_is_not_there_is_answered_with_those_that_are() {
    let daemon = Daemon::start(Answer::AllUp);
    let table = [
        (&["peer", "show", "nowhere"][..], "the peers are: tainan"),
        (&["path", "show", "tainan", "7"], "its paths are: 1, 2"),
        (&["path", "down", "nowhere", "1"], "the peers are: tainan"),
        (&["path", "down", "tainan", "7"], "its paths are: 1, 2"),
        (&["path", "down", "../status", "1"], "the peers are: tainan"),
        (&["peer", "show", "tianan"], "did you mean tainan?"),
        (
            &["path", "up", "tianan", "1", "--dry-run"],
            "did you mean tainan?",
        ),
        (&["status", "--peer", "tainam"], "did you mean tainan?"),
        (&["path", "list", "--link", "cabel"], "did you mean cable?"),
    ];
    for (arguments, remedy) in table {
        let (out, remarks, code) = seen(&run(&daemon.socket, arguments));
        assert_eq!((out.as_str(), code), ("", 1), "{arguments:?}");
        assert!(remarks.contains(remedy), "{arguments:?} said: {remarks}");
    }
}

#[test]
fn taking_a_path_down_reaches_the_daemon_and_says_nothing() {
    let daemon = Daemon::start(Answer::AllUp);
    for (word, heard) in [("down", "tainan/2 Down"), ("up", "tainan/2 Up")] {
        let output = run(&daemon.socket, &["path", word, "tainan", "2"]);
        assert_eq!(seen(&output), (String::new(), String::new(), 0));
        assert_eq!(daemon.heard(), heard);
    }
}

#[test]
fn without_a_daemon_the_exit_code_is_3_and_the_remedy_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for socket in ["none.sock", "no/such/folder.sock"] {
        let (out, remarks, code) = seen(&run(&folder.path().join(socket), &["status"]));
        assert_eq!((out.as_str(), code), ("", 3));
        assert!(
            remarks.contains("is pathweaved running? `systemctl status pathweaved`"),
            "{remarks}"
        );
    }
}

#[test]
fn a_stuck_daemon_is_told_from_a_missing_one() {
    let daemon = Daemon::start(Answer::Nothing);
    let (out, remarks, code) = seen(&run(&daemon.socket, &["status"]));
    assert_eq!((out.as_str(), code), ("", 3));
    assert!(remarks.contains("hears but does not answer"), "{remarks}");
}

#[test]
fn the_socket_goes_when_the_daemon_stops_and_replaces_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let left_by_a_dead_daemon = folder.path().join("pathweave.sock");
    drop(std::os::unix::net::UnixListener::bind(&left_by_a_dead_daemon).unwrap());
    let daemon = Daemon::start_in(folder.path(), Answer::AllUp);
    assert_eq!(seen(&run(&daemon.socket, &["status"])).2, 0);
    let socket = daemon.socket.clone();
    drop(daemon);
    assert!(!socket.exists(), "the socket outlived its daemon");
    assert_eq!(seen(&run(&socket, &["status"])).2, 3);
}

#[test]
fn wrong_usage_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["path", "up", "tainan"],
        &["path", "up", "tainan", "256"],
        &["--color", "sometimes", "status"],
    ] {
        let (_, remarks, code) = seen(&run(&socket, arguments));
        assert_eq!(code, 2, "{arguments:?} said: {remarks}");
    }
}

#[test]
fn colour_comes_when_asked_for_and_only_then() {
    let daemon = Daemon::start(Answer::OneDown);
    let colored = |arguments: &[&str], no_color: bool| {
        let mut command = pathweave(&daemon.socket);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let output = command.args(arguments).output().unwrap();
        seen(&output).0.contains('\u{1b}')
    };
    assert!(!colored(&["status"], false), "colour in a pipe");
    assert!(colored(&["status", "--color", "always"], false));
    assert!(!colored(&["status", "--color", "never"], false));
    assert!(!colored(&["status"], true));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let daemon = Daemon::start(Answer::AllUp);
    let mut command = pathweave(&daemon.socket);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.arg("status").stdout(writer).output().unwrap();
    assert_eq!(seen(&output), (String::new(), String::new(), 0));
}

#[test]
fn a_full_disk_is_a_failure() {
    let daemon = Daemon::start(Answer::AllUp);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = pathweave(&daemon.socket)
        .arg("genkey")
        .stdout(full)
        .output()
        .unwrap();
    let (_, remarks, code) = seen(&output);
    assert_eq!(code, 1, "half a key was taken for a key: {remarks}");
}
