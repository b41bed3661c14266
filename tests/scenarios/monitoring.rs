//! What monitoring sees: metrics, printed and served; alerts and dashboard that fit them; our
//! tunnels in `wg show`. And that whoever looks disturbs nobody.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: it runs programs, and what is missing shall fail it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::laboratory::{Family, Site};
use lab::programs::{have, lab_can_run};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pathweaved::control::Status;
use pathweaved::metrics::families;

const PATIENCE: Duration = Duration::from_secs(30);

fn two_isps(top: &str) -> Lab {
    Lab::new(2, &[Isp::new(30, 10), Isp::new(20, 20)], Family::V4, top).unwrap()
}

fn operator(site: &Site, arguments: &[&str]) -> String {
    let output = site.home.cli(arguments).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Head and body of an HTTP answer.
fn get(mut stream: impl Read + Write) -> std::io::Result<(String, String)> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((head.to_owned(), body.to_owned()))
}

fn served(site: &Site) -> std::io::Result<(String, String)> {
    let ask = || get(TcpStream::connect("127.0.0.1:9586")?);
    site.namespace().enter(ask)
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a line is about: name and labels, without the value. Loss is known only after a while.
fn series(text: &str) -> BTreeSet<&str> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_loss_"));
    lines
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect()
}

/// Gives a program text to read, and what it printed.
fn promtool(arguments: &[&str], folder: &Path, input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-examples/monitoring")
}

#[test]
fn metrics_are_printed_and_served_and_follow_the_fleet_file() {
    if !lab_can_run() {
        return;
    }
    let mut lab = two_isps("metrics = \"127.0.0.1:9586\"");
    lab.start().unwrap();
    let site = &lab.sites[0];
    let printed = operator(site, &["metrics"]);
    for line in [
        "pathweave_path_up{peer=\"tainan\",path=\"1\",link=\"isp1\",remote_link=\"isp1\"} 1",
        "pathweave_path_up{peer=\"tainan\",path=\"2\",link=\"isp2\",remote_link=\"isp2\"} 1",
        "pathweave_peer_reachable{peer=\"tainan\"} 1",
    ] {
        let told = |printed: &str| {
            printed
                .lines()
                .any(|told| told.strip_suffix(".0") == Some(line))
        };
        assert!(told(&printed), "no {line} in\n{printed}");
    }
    let (head, body) = until("metrics over HTTP", || served(site).ok());
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert_eq!(series(&body), series(&printed));
    if have("promtool", "prometheus") {
        promtool(&["check", "metrics"], &examples(), &printed);
    }

    let socket = site.home.folder.join("metrics.sock");
    let place = format!("unix:{}", socket.display());
    lab.edit_fleet(|text| text.replace("127.0.0.1:9586", &place))
        .unwrap();
    let told = operator(site, &["reload"]);
    assert!(told.contains("~ metrics 127.0.0.1:9586 → unix:"), "{told}");
    let stream = until("metrics on a socket", || UnixStream::connect(&socket).ok());
    assert_eq!(series(&get(stream).unwrap().1), series(&body));
    assert!(served(site).is_err(), "the old place is served still");

    // A place that cannot be had is no reason not to run.
    lab.edit_fleet(|text| text.replace(&place, "198.51.100.99:9586"))
        .unwrap();
    operator(site, &["reload"]);
    assert!(!socket.exists(), "the old socket was left");
    site.home.wait_until("a warning", PATIENCE, |status| {
        let mut warnings = status.site.warnings.iter();
        warnings.any(|text| text.starts_with("metrics are not served on 198.51.100.99:9586"))
    });
}

/// The names of a text that are ours.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("pathweave_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_what_there_is() {
    let nothing = r#"{"schema": 1, "peers": [], "site":
        {"name": "a", "id": 1, "public_key": "", "version": ""}}"#;
    let status: Status = serde_json::from_str(nothing).unwrap();
    let there = families(&status);
    let there: BTreeSet<_> = there.iter().map(|family| family.name.to_owned()).collect();
    let dashboard = fs::read_to_string(examples().join("grafana-dashboard.json")).unwrap();
    let rules = fs::read_to_string(examples().join("pathweave.rules.yml")).unwrap();
    for (file, text) in [("grafana-dashboard.json", &dashboard), ("rules", &rules)] {
        let asked = names(text);
        assert!(asked.len() > 5, "{file} asks for {asked:?} only");
        let unknown: Vec<_> = asked.difference(&there).collect();
        assert!(unknown.is_empty(), "{file}: there is no {unknown:?}");
    }
    let board: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = board["panels"].as_array().unwrap();
    assert!(panels.len() >= 10);
    if !have("promtool", "prometheus") {
        return;
    }
    promtool(&["check", "config", "prometheus.yml"], &examples(), "");
    promtool(&["test", "rules", "pathweave.test.yml"], &examples(), "");
    // Every question of the dashboard, as if it were a rule.
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules = targets.map(|target| {
        let expr = target["expr"]
            .as_str()
            .unwrap()
            .replace("$__rate_interval", "5m");
        serde_json::json!({ "record": "asked", "expr": expr })
    });
    // One group each: the same name twice in a group would be a mistake.
    let groups: Vec<_> = (0..)
        .zip(rules)
        .map(|(number, rule)| serde_json::json!({ "name": format!("{number}"), "rules": [rule] }))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let text = serde_json::json!({ "groups": groups }).to_string();
    fs::write(folder.path().join("dashboard.yml"), text).unwrap();
    promtool(
        &["check", "rules", "--lint=none", "dashboard.yml"],
        folder.path(),
        "",
    );
}

/// `wg` as it would run on the machine itself: it looks in /run/wireguard.
fn wg(site: &Site, line: &str) -> (String, bool) {
    let folder = site.home.folder.join("wireguard");
    let output = site
        .namespace()
        .command("unshare")
        .unwrap()
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "mount -t tmpfs none /run && ln -s {} /run/wireguard && {line}",
            folder.display()
        ))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.success())
}

#[test]
fn wg_shows_our_tunnels_and_changes_nothing() {
    if !lab_can_run() || !have("wg", "wireguard-tools") {
        return;
    }
    let mut lab = two_isps("");
    lab.start().unwrap();
    let site = &lab.sites[0];
    let status = lab.sites[1].home.status().unwrap();
    let (dump, _) = wg(site, "wg show all dump");
    let lines: Vec<Vec<_>> = dump
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    for path in 1..=2 {
        let name = format!("pw-tainan-{path}");
        let of: Vec<_> = lines.iter().filter(|line| line[0] == name).collect();
        let [device, peer] = of.as_slice() else {
            panic!("{name} in:\n{dump}");
        };
        assert_eq!(device[1..], ["(none)", "(none)", "51820", "off"], "{dump}");
        assert_eq!(peer[1..3], [status.site.public_key.as_str(), "(none)"]);
        assert_eq!(peer[3], format!("198.18.{path}.2:51820"));
        assert_eq!(peer[4], "10.213.2.0/24,fd50:7761:7665:2::/64");
        let handshake: u64 = peer[5].parse().unwrap();
        assert!(handshake > 1_700_000_000, "{dump}");
    }
    let (said, success) = wg(site, "wg set pw-tainan-1 listen-port 1");
    assert!(!success && said.contains("not permitted"), "{said}");

    let path = site.home.folder.join("wireguard/pw-tainan-1.sock");
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"get=1\n\nwhat\n\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("errno=0\n\nerrno=-22\n\n"), "{answer}");
    assert!(!answer.contains("private_key") && !answer.contains("preshared_key"));
}

#[test]
fn sockets_of_wg_come_and_go_with_the_daemon_and_what_others_serve_stays() {
    if !lab_can_run() {
        return;
    }
    let mut lab = two_isps("");
    lab.start().unwrap();
    let folder = lab.sites[0].home.folder.join("wireguard");
    let there = || {
        let entries = fs::read_dir(&folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<_>>()
    };
    let both = BTreeSet::from(["pw-tainan-1.sock".to_owned(), "pw-tainan-2.sock".to_owned()]);
    assert_eq!(there(), both);
    lab.sites[0].daemon.take().unwrap().kill().unwrap();
    assert_eq!(there(), both, "a crash leaves them");
    lab.sites[0].home.run("--cleanup").unwrap();
    assert_eq!(there(), BTreeSet::new(), "--cleanup");

    let others = UnixListener::bind(folder.join("pw-tainan-1.sock")).unwrap();
    let daemon = lab.sites[0].home.start().unwrap();
    lab.sites[0].home.wait_until_all_up();
    assert_eq!(there(), both);
    let log = lab.sites[0].home.log();
    assert!(
        log.contains("`wg show` will not tell of this tunnel"),
        "{log}"
    );
    daemon.stop().unwrap();
    let left = BTreeSet::from(["pw-tainan-1.sock".to_owned()]);
    assert_eq!(
        there(),
        left,
        "what another process serves is not ours to remove"
    );
    others.set_nonblocking(true).unwrap();
    others.accept().unwrap();
}

#[test]
fn a_thousand_idle_callers_disturb_neither_the_operator_nor_the_data() {
    if !lab_can_run() {
        return;
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let mut lab = two_isps("");
    lab.start().unwrap();
    let socket = lab.sites[0].home.folder.join("run/pathweave.sock");
    let connect = || UnixStream::connect(&socket).unwrap();
    let idle: Vec<_> = (0..1000).map(|_| connect()).collect();
    let noise = [&b"GET"[..], b"\0\xff\r\n\r\n", &[b'x'; 100_000]];
    for bytes in noise {
        // It may be shown out in the middle.
        if connect().write_all(bytes).is_err() {}
    }
    until("an answer", || lab.sites[0].home.status().ok());
    let outcome = transfer::run(&Transfer::of(20), &lab.sites[0], &lab.sites[1], |_| {});
    let outcome = outcome.unwrap();
    assert!(outcome.intact && outcome.mptcp);
    println!(
        "{:.1} Mbit/s beside a thousand idle callers",
        outcome.rate()
    );
    lab.sites[0].home.wait_until_all_up();
    drop(idle);
}
