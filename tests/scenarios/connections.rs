//! What an operator sees of connections and paths: `flows`, `ping` and `speed`, on two sites with
//! three unequal ISPs.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test: what is missing shall fail it, and time passes by itself"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use lab::laboratory::Site;
use lab::programs::{have, lab_can_run};
use lab::transfer::{self, Progress, Transfer};
use lab::{Isp, Lab};
use serde_json::Value;

const ISPS: [Isp; 3] = [Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)];

fn lab() -> Lab {
    let mut lab = Lab::two_sites(&ISPS).unwrap();
    lab.start().unwrap();
    lab
}

fn text(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap_or(-1);
    (text(&output.stdout), text(&output.stderr), code)
}

fn cli(site: &Site, arguments: &[&str]) -> (String, String, i32) {
    text(&site.home.cli(arguments).unwrap())
}

fn json(site: &Site, arguments: &[&str]) -> Value {
    let (out, said, _) = cli(site, &[arguments, &["--json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}{said}"))
}

fn connections(site: &Site) -> Vec<Value> {
    let flows = json(site, &["flows"]);
    assert_eq!(flows["schema"], 1);
    flows["connections"].as_array().unwrap().clone()
}

/// Waits for a connection as it is wished, and gives it back.
fn wait_for(site: &Site, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let now = connections(site);
        if let Some(found) = now.iter().find(|one| wished(one)) {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "no connection {what}: {now:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn sum(connection: &Value, what: &str) -> u64 {
    let flows = connection["flows"].as_array().unwrap().iter();
    flows.map(|flow| flow[what].as_u64().unwrap()).sum()
}

fn paths(of: &Value) -> Vec<u64> {
    let all = of.as_array().unwrap().iter();
    all.map(|one| one["path"].as_u64().unwrap_or(0)).collect()
}

#[test]
fn flows_show_each_path_of_a_transfer_its_program_and_the_path_it_lacks() {
    if !lab_can_run() {
        return;
    }
    let lab = lab();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let whole = |one: &Value| paths(&one["flows"]) == [1, 2, 3] && sum(one, "sent") > 2_000_000;
    let (mut looked, mut down) = (false, false);
    let outcome = transfer::run(&Transfer::of(80), here, there, |progress: &Progress| {
        if !looked && progress.bytes > 4_000_000 {
            looked = true;
            let one = wait_for(here, "over three paths", whole);
            println!("{one:#}");
            assert_eq!(
                (&one["kind"], &one["peer"]),
                (&"multipath".into(), &"tainan".into())
            );
            assert_eq!(one["opened_here"], true);
            assert_eq!(one["remote"], "10.213.2.1:7000");
            assert_eq!(one["lacks"], Value::Array(Vec::new()));
            assert!(one["age_s"].as_u64().unwrap() < 60);
            let program = one["program"]["pid"].as_u64().unwrap();
            assert_eq!(program, u64::from(std::process::id()), "whose is it?");
            // The connection's own count leaves out what went twice.
            let (parts, all) = (
                sum(&one, "sent") as f64,
                one["sent"].as_u64().unwrap() as f64,
            );
            assert!(
                (0.8..1.5).contains(&(parts / all)),
                "{parts} of {all} bytes"
            );
            let (shown, said, code) = cli(here, &["flows", "tainan"]);
            println!("{shown}");
            assert_eq!((said.as_str(), code), ("", 0));
            assert!(shown.contains("Mbit/s") && shown.contains('█'), "{shown}");
        }
        if looked && !down {
            down = true;
            let accepted = wait_for(there, "at the other end", whole_received);
            assert_eq!(accepted["opened_here"], false);
            cli(here, &["path", "down", "tainan", "2"]);
            let one = wait_for(here, "without path 2", |one| paths(&one["lacks"]) == [2]);
            let why = one["lacks"][0]["why"].as_str().unwrap();
            assert!(why.contains("pathweave path down"), "{why}");
        }
    })
    .unwrap();
    assert!(outcome.intact && looked && down);
}

fn whole_received(one: &Value) -> bool {
    paths(&one["flows"]) == [1, 2, 3] && sum(one, "received") > 2_000_000
}

#[test]
fn plain_tcp_is_shown_with_its_program_and_the_reason() {
    if !(lab_can_run() && have("busybox", "busybox")) {
        return;
    }
    let lab = lab();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let listener = there
        .namespace()
        .enter(|| TcpListener::bind("10.213.2.1:7100"))
        .unwrap();
    // Its input stays open, so that the connection does.
    let mut client = here.namespace().command("busybox").unwrap();
    let client = client
        .args(["nc", "10.213.2.1", "7100"])
        .stdin(Stdio::piped());
    let mut client = client.stdout(Stdio::null()).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"storage").unwrap();
    let one = wait_for(here, "of plain TCP", |one| one["kind"] == "plain");
    println!("{one:#}");
    assert_eq!(one["program"]["name"], "busybox");
    assert_eq!(one["opened_here"], true);
    assert_eq!(paths(&one["flows"]), [1]);
    assert_eq!(one["received"], 7);
    let why = one["reason"].as_str().unwrap();
    assert!(why.contains("busybox") && why.contains("mptcpize"), "{why}");
    let there = wait_for(there, "at the listener", |one| one["kind"] == "plain");
    let why = there["reason"].as_str().unwrap();
    assert!(why.contains("listens with plain TCP"), "{why}");
    let (shown, ..) = cli(here, &["flows"]);
    assert!(shown.contains("plain TCP, on one path only"), "{shown}");
    let (_, said, code) = cli(here, &["flows", "tianan"]);
    assert_eq!(code, 1);
    assert!(said.contains("did you mean tainan?"), "{said}");
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn ping_measures_each_path_there_and_back_by_itself_and_finds_the_dead_one() {
    if !lab_can_run() {
        return;
    }
    let lab = lab();
    let here = &lab.sites[0];
    let before = here.home.status().unwrap();
    let arguments = ["ping", "tainan", "-c", "10", "-i", "0.1"];
    for more in [&[][..], &["-6"]] {
        let seen = json(here, &[&arguments[..], more].concat());
        println!("{seen}");
        for (path, isp) in seen["paths"].as_array().unwrap().iter().zip(ISPS) {
            let delay = isp.round_trip.as_secs_f64() * 1000.0;
            let least = path["rtt_min_ms"].as_f64().unwrap();
            // A busy machine is late, never early.
            assert!(least >= delay * 0.95, "{path}: faster than the ISP");
            assert!(least < delay + 25.0, "{path}: by another path?");
            assert_eq!(
                (&path["sent"], &path["full_size"]),
                (&10.into(), &true.into())
            );
            assert!(path["received"].as_u64().unwrap() >= 5, "{path}");
        }
    }
    let after = here.home.status().unwrap();
    for (before, after) in before.peers[0].paths.iter().zip(&after.peers[0].paths) {
        let sent = after.tx_bytes - before.tx_bytes;
        let received = after.rx_bytes - before.rx_bytes;
        // Twenty of 84 or 104 bytes and one of full size in each family, both ways.
        assert!(sent >= 4000 && received >= 4000, "path {}", after.path);
    }
    lab.sites[0].links[2].set(|line| line.loss = 1.0);
    let quick = ["ping", "tainan", "-c", "2", "-i", "0.1", "-W", "0.5"];
    let (shown, said, code) = cli(here, &quick);
    println!("{shown}{said}");
    assert_eq!(code, 1, "a dead path is a failure");
    assert!(
        shown.contains("1  path 3  isp3 → isp3  no answer"),
        "{shown}"
    );
    assert_eq!(cli(here, &[&quick[..], &["--path", "1"]].concat()).2, 0);
    let (_, said, _) = cli(here, &["ping", "tainan", "--path", "9"]);
    assert!(said.contains("its paths are: 1, 2, 3"), "{said}");
}

#[test]
fn speed_is_that_of_the_links_alone_and_together_and_metered_ones_are_spared() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&ISPS).unwrap();
    lab.edit_fleet(|text| {
        text.replacen(
            "name = \"isp3\",",
            "name = \"isp3\", cost = \"metered\",",
            1,
        )
    })
    .unwrap();
    lab.start().unwrap();
    let here = &lab.sites[0];
    let (shown, said, code) = cli(here, &["speed", "tainan", "--time", "3"]);
    assert_eq!((shown.as_str(), code), ("", 1));
    assert!(said.contains("--metered"), "{said}");
    let seen = json(here, &["speed", "tainan", "--metered"]);
    println!("{seen}");
    let paths = seen["paths"].as_array().unwrap().iter();
    for (path, isp) in paths.zip(ISPS) {
        let share = path["rate"].as_f64().unwrap() / 1e6 / isp.rate as f64;
        assert!((0.7..1.1).contains(&share), "{path}");
        assert!(path["retransmitted"].as_f64().unwrap() < 0.5, "{path}");
    }
    let shares = seen["together"]["shares"].as_array().unwrap();
    assert_eq!(shares.len(), 3);
    let used = |one: &Value| one["share"].as_f64().unwrap() > 0.02;
    assert!(shares.iter().all(used), "{seen}");
    let together = seen["together"]["rate"].as_f64().unwrap() / 1e6;
    let sum: u64 = ISPS.iter().map(|isp| isp.rate).sum();
    assert!(together / sum as f64 > 0.7, "{together} of {sum} Mbit/s");
    assert!(seen["gain"].as_f64().unwrap() > 1.2, "{seen}");
    let back = ["speed", "tainan", "--time", "3", "--reverse", "--path", "2"];
    let seen = json(here, &back);
    println!("{seen}");
    assert_eq!(seen["together"], Value::Null);
    let share = seen["paths"][0]["rate"].as_f64().unwrap() / 1e6 / ISPS[1].rate as f64;
    assert!((0.7..1.1).contains(&share), "{seen}");
}

#[test]
fn nobody_but_a_peer_is_served_and_the_fleet_file_switches_it_off() {
    if !lab_can_run() {
        return;
    }
    let lab = lab();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    // The site's own network is no peer.
    let heard = there.namespace().enter(|| {
        let mut stream = std::net::TcpStream::connect("10.213.2.1:51820")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut heard = Vec::new();
        // Hung up on; what was not read resets the connection.
        let ended = stream
            .write_all(b"pathweave-speed 1 down 1\n")
            .and_then(|()| stream.read_to_end(&mut heard));
        Ok((
            heard,
            ended.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
        ))
    });
    assert_eq!(heard.unwrap(), (Vec::new(), false));
    lab.edit_fleet(|text| format!("speed_test = false\n{text}"))
        .unwrap();
    let (_, said, code) = cli(there, &["reload"]);
    assert_eq!(code, 0, "{said}");
    let (shown, said, code) = cli(here, &["speed", "tainan", "--time", "2", "--path", "1"]);
    assert_eq!(code, 1);
    assert!(said.contains("not everything could be measured"), "{said}");
    assert!(shown.contains("takes no speed tests"), "{shown}");
}
