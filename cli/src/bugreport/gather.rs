//! What a report holds: what this machine says about itself. What is missing is said, and no
//! reason to stop.

use std::fs;
use std::path::Path;
use std::process::Output;

use pathweaved::config;

use crate::client::Client;

/// A file of the report.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// File, program, arguments.
type Ask = (&'static str, &'static str, &'static [&'static str]);

const PROGRAMS: [Ask; 12] = [
    ("ip-address.txt", "ip", &["-details", "address"]),
    ("ip-rule.txt", "ip", &["rule"]),
    ("ip-rule6.txt", "ip", &["-6", "rule"]),
    ("ip-route.txt", "ip", &["route", "show", "table", "all"]),
    (
        "ip-route6.txt",
        "ip",
        &["-6", "route", "show", "table", "all"],
    ),
    ("ip-mptcp.txt", "ip", &["mptcp", "endpoint"]),
    ("ip-mptcp-limits.txt", "ip", &["mptcp", "limits"]),
    ("nft.txt", "nft", &["list", "ruleset"]),
    ("ss-mptcp.txt", "ss", &["-niM"]),
    ("ss-udp.txt", "ss", &["-nlup"]),
    (
        "service.txt",
        "systemctl",
        &["status", "--no-pager", "pathweaved"],
    ),
    (
        "journal.txt",
        "journalctl",
        &[
            "--unit",
            "pathweaved",
            "--lines",
            "2000",
            "--no-hostname",
            "--no-pager",
            "--output",
            "short-iso",
        ],
    ),
];

const FILES: [(&str, &[&str]); 3] = [
    (
        "system.txt",
        &[
            "/proc/version",
            "/etc/os-release",
            "/proc/uptime",
            "/proc/meminfo",
        ],
    ),
    (
        "network-counters.txt",
        &["/proc/net/netstat", "/proc/net/snmp", "/proc/net/dev"],
    ),
    ("sysctl.txt", &[]),
];

/// Below /proc/sys/net.
const SYSCTLS: [&str; 9] = [
    "mptcp",
    "core/rmem_max",
    "core/wmem_max",
    "ipv4/tcp_rmem",
    "ipv4/tcp_wmem",
    "ipv4/tcp_congestion_control",
    "ipv4/ip_forward",
    "ipv4/conf/all/rp_filter",
    "ipv4/conf/default/rp_filter",
];

pub(super) fn gather(client: &Client, config: &Path) -> Vec<Piece> {
    let piece = |name, text| Piece { name, text };
    let mut pieces = vec![
        piece(
            "version.txt",
            format!("pathweave {}\n", env!("CARGO_PKG_VERSION")),
        ),
        piece("status.json", status(client)),
        piece("pathweave.toml", read(config)),
    ];
    for (name, files) in FILES {
        let text = match files {
            [] => sysctls(),
            files => files
                .iter()
                .map(|file| headed(file, &read(Path::new(file))))
                .collect(),
        };
        pieces.push(piece(name, text));
    }
    for (name, program, arguments) in PROGRAMS {
        pieces.push(piece(name, asked(program, arguments)));
    }
    pieces.push(piece("doctor.txt", doctor(client)));
    pieces
}

fn headed(what: &str, text: &str) -> String {
    format!("── {what}\n{}\n", text.trim_end())
}

fn status(client: &Client) -> String {
    let status = client
        .status()
        .map(|status| serde_json::to_string_pretty(&status));
    match status {
        Ok(Ok(text)) => text + "\n",
        Ok(Err(error)) => format!("{error}\n"),
        Err(failure) => format!("{failure}\n"),
    }
}

/// The fleet file and the kernel's own files alike.
fn read(file: &Path) -> String {
    fs::read(file).map_or_else(
        |error| format!("{} cannot be read: {error}\n", file.display()),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn sysctls() -> String {
    let mut lines = Vec::new();
    for name in SYSCTLS {
        let path = Path::new("/proc/sys/net").join(name);
        let inner = fs::read_dir(&path).into_iter().flatten().flatten();
        let mut files: Vec<_> = inner.map(|entry| entry.path()).collect();
        if files.is_empty() {
            files.push(path);
        }
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            lines.push(format!("{} = {}\n", file.display(), read(file).trim()));
        }
    }
    lines.concat()
}

fn asked(program: &str, arguments: &[&str]) -> String {
    match run(Path::new(program), arguments) {
        Err(error) => format!("{program} cannot be started: {error}\n"),
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let command = format!("{program} {}", arguments.join(" "));
            headed(&command, &(text(&output.stdout) + &text(&output.stderr)))
        }
    }
}

/// This command itself, where it knows how.
fn doctor(client: &Client) -> String {
    let me = std::env::current_exe().unwrap_or_default();
    let socket = client.socket().display().to_string();
    match run(&me, &["--socket", &socket, "doctor"]) {
        Err(error) => format!("{error}\n"),
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

fn run(program: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the report holds what the system's tools say"
    )]
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null());
    command.output()
}

/// Of the fleet file, what has to be hidden.
pub(super) fn fleet(config: &Path) -> Option<config::Fleet> {
    config::read(config).ok()
}
