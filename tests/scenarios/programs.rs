//! Real programs, rsync and iperf3, under mptcpize.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing shall fail it"
)]

use std::fs;
use std::time::Duration;

use lab::enter;
use lab::programs::{have, lab_can_run, start};
use lab::{Isp, Lab};
use pathweaved::control::Status;

fn subflows(status: &Status) -> Vec<u32> {
    status.peers[0]
        .paths
        .iter()
        .map(|path| path.subflows)
        .collect()
}

/// Bytes that each path has sent, as the operator sees them.
fn sent(status: &Status) -> Vec<u64> {
    status.peers[0]
        .paths
        .iter()
        .map(|path| path.tx_bytes)
        .collect()
}

#[test]
fn rsync_moves_a_directory_over_all_paths() {
    if !(lab_can_run() && have("rsync", "rsync") && have("mptcpize", "mptcpize")) {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(50, 10), Isp::new(30, 20), Isp::new(20, 40)]).unwrap();
    lab.start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir_all(&from).unwrap();
    fs::create_dir_all(&to).unwrap();
    for file in 0..200u32 {
        let content: Vec<u8> = (0..200_000u32)
            .map(|byte| (byte * 31 + file).to_le_bytes()[0])
            .collect();
        fs::write(from.join(format!("file-{file}")), content).unwrap();
    }
    let config = folder.path().join("rsyncd.conf");
    // Root may choose its server's user; in a user namespace there is nobody to become, and the
    // server must not even take itself for root.
    let (unshare, user): (&[&str], _) = if enter::inside() {
        (&["unshare", "--user"], "")
    } else {
        (&["env"], "uid = 0\ngid = 0\n")
    };
    let module = format!(
        "use chroot = no\n{user}[to]\npath = {}\nread only = no\n",
        to.display()
    );
    fs::write(&config, module).unwrap();
    let config = format!("--config={}", config.display());
    let server = [
        "mptcpize",
        "run",
        "rsync",
        "--daemon",
        "--no-detach",
        "--port=8730",
        &config,
    ];
    let arguments = [&unshare[1..], &server].concat();
    let _server = start(lab.sites[1].namespace(), unshare[0], &arguments);
    std::thread::sleep(Duration::from_millis(500));
    let source = format!("{}/", from.display());
    let target = "rsync://10.213.2.1:8730/to/";
    let mut client = start(
        lab.sites[0].namespace(),
        "mptcpize",
        &["run", "rsync", "--archive", "--whole-file", &source, target],
    );
    let seen = lab.sites[0].home.wait_until(
        "rsync has one subflow on every path",
        Duration::from_secs(10),
        |status| subflows(status).iter().all(|count| *count == 1),
    );
    println!("rsync: subflows {:?}", subflows(&seen));
    assert!(client.wait().unwrap().success(), "rsync failed");
    let same = lab.sites[0].namespace().shell(&format!(
        "diff -r {} {} && ls {} | wc -l",
        from.display(),
        to.display(),
        to.display()
    ));
    assert_eq!(same.trim(), "200");
    let bytes = sent(&lab.sites[0].home.status().unwrap());
    println!("rsync: 200 files, 40 MB; sent per path {bytes:?}");
    assert!(
        bytes.iter().all(|bytes| *bytes > 1_000_000),
        "a path was not used: {bytes:?}"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn iperf3_under_mptcpize_uses_all_paths_with_one_stream() {
    if !(lab_can_run() && have("iperf3", "iperf3") && have("mptcpize", "mptcpize")) {
        return;
    }
    let mut lab = Lab::two_sites(&[Isp::new(30, 10); 3]).unwrap();
    lab.start().unwrap();
    let _server = start(
        lab.sites[1].namespace(),
        "mptcpize",
        &["run", "iperf3", "-s", "-1"],
    );
    std::thread::sleep(Duration::from_millis(500));
    let line = "mptcpize run iperf3 -c 10.213.2.1 -t 5 -f m | grep receiver";
    println!("iperf3: {}", lab.sites[0].namespace().shell(line).trim());
    let bytes = sent(&lab.sites[0].home.status().unwrap());
    println!("iperf3: sent per path {bytes:?}");
    assert!(
        bytes.iter().all(|bytes| *bytes > 5_000_000),
        "a path was not used: {bytes:?}"
    );
}
