//! What comes to the socket that is not the command: wrong requests, too many of them, slow ones,
//! and callers without the right.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pathweaved::control::Failure;

use super::daemon::{Answer, Daemon};
use super::{seen, skipped};

const NOBODY: u32 = 65534;

/// Sends bytes, reads the answer to its end: status code and body.
fn send(socket: &Path, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (code.unwrap_or(0), body.to_owned())
}

fn post(url: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\
         \r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn a_wrong_request_gets_a_failure_that_says_what_is_wrong() {
    let daemon = Daemon::start(Answer::AllUp);
    let get = |url| format!("GET {url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let admin = "/v1/paths/tainan/2/admin";
    let long = "x".repeat(5000);
    let table = [
        (get("/v2/status"), 404, "of one version"),
        (get(admin), 405, "cannot be asked with GET"),
        (post("/v1/status", ""), 405, "cannot be asked with POST"),
        (post(admin, "nonsense"), 400, r#"send {"state":"up"}"#),
        (
            post(admin, r#"{"state":"sideways"}"#),
            422,
            r#"send {"state":"up"}"#,
        ),
        (post(admin, &long), 413, r#"send {"state":"up"}"#),
        (
            post("/v1/paths/tainan/999/admin", r#"{"state":"up"}"#),
            400,
            "999",
        ),
        (
            post("/v1/paths/tainan/9/admin", r#"{"state":"up"}"#),
            404,
            "1, 2",
        ),
        (
            post("/v1/paths/n%2f/1/admin", r#"{"state":"up"}"#),
            404,
            "tainan",
        ),
    ];
    for (request, expected, words) in table {
        let (code, body) = send(&daemon.socket, &request);
        assert_eq!(code, expected, "{request}\n{body}");
        let failure: Failure = serde_json::from_str(&body)
            .unwrap_or_else(|error| panic!("{request}: no failure but {body:?}: {error}"));
        assert!(
            failure.error.contains(words),
            "{request}\n{}",
            failure.error
        );
    }
}

#[test]
fn noise_does_not_harm_the_socket() {
    let daemon = Daemon::start(Answer::AllUp);
    for noise in [&b"\0\0\0\0"[..], b"GET", b"\x16\x03\x01\x02\x00\r\n\r\n"] {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        stream.write_all(noise).unwrap();
    }
    assert_eq!(seen(&super::run(&daemon.socket, &["status"])).2, 0);
}

/// Sixty-four may be in at a time; where others wait, those who say nothing make room.
#[test]
fn hundreds_of_callers_that_say_nothing_do_not_keep_others_out() {
    let daemon = Daemon::start(Answer::AllUp);
    let silent: Vec<_> = (0..500)
        .map(|_| UnixStream::connect(&daemon.socket).unwrap())
        .collect();
    let start = Instant::now();
    while seen(&super::run(&daemon.socket, &["status"])).2 != 0 {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(25), "shut out for {waited:?}");
    }
    println!("served after {:?}", start.elapsed());
    let hung_up = |mut caller: &UnixStream| {
        caller.set_nonblocking(true).unwrap();
        matches!(caller.read(&mut [0]), Ok(0))
    };
    let inside = silent.iter().filter(|caller| !hung_up(caller)).count();
    assert!(inside <= 64, "{inside} callers are in: nothing bounds them");
}

/// Who says its request a byte at a time is shown out after ten seconds.
#[test]
fn slow_callers_are_shown_out() {
    let daemon = Daemon::start(Answer::AllUp);
    let mut slow: Vec<_> = (0..64)
        .map(|_| UnixStream::connect(&daemon.socket).unwrap())
        .collect();
    slow.iter_mut()
        .for_each(|caller| caller.write_all(b"G").unwrap());
    let start = Instant::now();
    while seen(&super::run(&daemon.socket, &["status"])).2 != 0 {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(25), "shut out for {waited:?}");
    }
}

/// The command run as somebody who is neither root nor in the socket's group.
fn as_nobody(daemon: &Daemon, arguments: &[&str]) -> (String, String, i32) {
    let folder = daemon.socket.parent().unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("pathweave");
    if !copy.exists() {
        fs::copy(env!("CARGO_BIN_EXE_pathweave"), &copy).unwrap();
    }
    let mut command = Command::new(copy);
    command.env_clear().env("PATHWEAVE_SOCKET", &daemon.socket);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    seen(&command.args(arguments).output().unwrap())
}

fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        skipped("not root: another user's rights cannot be tried");
    }
    root
}

#[test]
fn the_socket_is_for_its_owner_and_its_group() {
    let daemon = Daemon::start(Answer::AllUp);
    let mode = fs::metadata(&daemon.socket).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o660);
    if is_root() {
        let (out, remarks, code) = as_nobody(&daemon, &["status"]);
        assert_eq!((out.as_str(), code), ("", 4), "{remarks}");
        assert!(
            remarks.contains("try again with sudo, or join the group"),
            "{remarks}"
        );
    }
}

#[test]
fn who_may_read_may_not_change() {
    let daemon = Daemon::start(Answer::AllUp);
    if !is_root() {
        return;
    }
    fs::set_permissions(&daemon.socket, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(as_nobody(&daemon, &["status"]).2, 0);
    let (out, remarks, code) = as_nobody(&daemon, &["path", "down", "tainan", "2"]);
    assert_eq!((out.as_str(), code), ("", 4));
    assert!(remarks.contains("only root may change a path"), "{remarks}");
}
