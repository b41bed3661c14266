//! The first evening of an administrator, with what the commands print as the only thing that is
//! carried from site to site; and a fleet file on trial, which nobody cuts himself off with.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lab::daemon::{Home, binary};
use lab::laboratory::{Family, Site};
use lab::outage::{by_source, one_per_path};
use lab::programs::{have, lab_can_run, start};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use pathweaved::control::PathState;
use tempfile::TempDir;

/// What nobody has to wait for long.
const SOON: Duration = Duration::from_secs(20);

/// Two machines with two ISPs each, and nothing of ours on them.
fn fresh() -> (Lab, TempDir) {
    let mut lab = Lab::two_sites(&[Isp::new(30, 10), Isp::new(20, 40)]).unwrap();
    let disks = tempfile::tempdir().unwrap();
    for site in &mut lab.sites {
        let folder = disks.path().join(&site.name).join("home");
        fs::create_dir_all(&folder).unwrap();
        site.home = Home {
            namespace: site.home.namespace.clone(),
            folder,
        };
    }
    (lab, disks)
}

fn config(site: &Site) -> PathBuf {
    site.home.folder.with_file_name("fleet.toml")
}

/// stdout, stderr and exit code of a command at this site, with its files.
fn said(site: &Site, arguments: &[&str]) -> (String, String, i32) {
    let config = config(site).display().to_string();
    let key = site.home.folder.join("private.key").display().to_string();
    let files = ["--config", config.as_str(), "--key", key.as_str()];
    let output = site.home.cli(&[arguments, &files].concat()).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    (text(&output.stdout), text(&output.stderr), code)
}

fn operator(site: &Site, arguments: &[&str]) -> String {
    let (out, remarks, code) = said(site, arguments);
    assert_eq!(code, 0, "{arguments:?}: {remarks}\n{}", site.home.log());
    print!("{remarks}{out}");
    out
}

/// As it would be carried, in a file.
fn carried(disks: &TempDir, text: &str) -> String {
    let file = disks.path().join("carried.toml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// Both sites made by `init`, and up.
fn two_sites() -> (Lab, TempDir) {
    let (mut lab, disks) = fresh();
    let first = operator(&lab.sites[0], &["init", "--yes", "--site", "nara"]);
    // Alone is a sensible state.
    lab.sites[0].daemon = Some(lab.sites[0].home.start().unwrap());
    lab.sites[0]
        .home
        .wait_until("alone", SOON, |status| status.peers.is_empty());
    let output = lab.sites[0].home.cli(&["status"]).unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("no other site yet"), "{shown}");

    let file = carried(&disks, &first);
    let both = operator(
        &lab.sites[1],
        &["init", "--yes", "--site", "tainan", "--join", &file],
    );
    lab.sites[1].daemon = Some(lab.sites[1].home.start().unwrap());
    let file = carried(&disks, &both);
    let changes = operator(&lab.sites[0], &["apply", &file]);
    assert!(changes.contains("+ peer tainan (2 paths)"), "{changes}");
    for site in &lab.sites {
        site.home.wait_until_all_up();
    }
    (lab, disks)
}

#[test]
fn two_machines_become_two_sites_and_the_first_transfer_goes_over_both_isps() {
    if !lab_can_run() {
        return;
    }
    let (lab, _disks) = two_sites();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let mut last = Default::default();
    let outcome = transfer::run(&Transfer::of(12), here, there, |progress| {
        last = by_source(progress);
    })
    .unwrap();
    assert!(outcome.intact, "the data came out different");
    assert_eq!(last, one_per_path(here), "subflows");
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn an_unmodified_program_under_run_uses_both_paths() {
    if !lab_can_run() || !have("iperf3", "iperf3") || !have("mptcpize", "mptcpize") {
        return;
    }
    let (lab, _disks) = two_sites();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let pathweave = binary("pathweave").display().to_string();
    let to = there.address(Family::V4).to_string();
    let run = |site: &Site, arguments: &[&str]| {
        let arguments = [&["run", "--", "iperf3"], arguments].concat();
        start(site.namespace(), &pathweave, &arguments)
    };
    let _server = run(there, &["-s"]);
    // Port 5201.
    let listens = "timeout 20 sh -c 'until grep -q :1451 /proc/net/tcp*; do sleep 0.1; done'";
    there.namespace().shell(listens);
    let _client = run(here, &["-c", &to, "-t", "20"]);
    here.home
        .wait_until("a subflow on each path", SOON, |status| {
            status.peers[0].paths.iter().all(|path| path.subflows >= 1)
        });
}

fn all_down(status: &pathweaved::control::Status) -> bool {
    let mut paths = status.peers.iter().flat_map(|peer| &peer.paths);
    paths.all(|path| path.state != PathState::Up)
}

#[test]
fn a_fleet_file_on_trial_that_cuts_the_operator_off_is_gone_again_by_itself() {
    if !lab_can_run() {
        return;
    }
    let (mut lab, disks) = two_sites();
    let good = fs::read_to_string(config(&lab.sites[0])).unwrap();
    // As when the wrong devices are named.
    let bad = carried(
        &disks,
        &good.replace("interface = \"isp", "interface = \"ips"),
    );
    let here = &lab.sites[0];
    let (_, remarks, code) = said(here, &["apply", &bad, "--confirm-within", "6s"]);
    assert_eq!(code, 0, "{remarks}");
    assert!(remarks.contains("on trial: in 6 s"), "{remarks}");
    let status = here.home.wait_until("cut off", SOON, all_down);
    let warnings = status.site.warnings.join("\n");
    assert!(warnings.contains("a fleet file is on trial"), "{warnings}");
    here.home.wait_until_all_up();
    assert_eq!(fs::read_to_string(config(here)).unwrap(), good);
    let output = here.home.cli(&["confirm"]).unwrap();
    let late = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(late.contains("no fleet file is on trial"), "{late}");

    // A daemon that is killed meanwhile begins with what the disk says.
    assert_eq!(said(here, &["apply", &bad, "--confirm-within", "1h"]).2, 0);
    here.home.wait_until("cut off", SOON, all_down);
    lab.sites[0].daemon.take().unwrap().kill().unwrap();
    lab.sites[0].daemon = Some(lab.sites[0].home.start().unwrap());
    lab.sites[0].home.wait_until_all_up();
}

#[test]
fn a_fleet_file_on_trial_that_is_confirmed_comes_onto_the_disk() {
    if !lab_can_run() {
        return;
    }
    let (lab, disks) = two_sites();
    let here = &lab.sites[0];
    let good = fs::read_to_string(config(here)).unwrap();
    let pair = "\n[[path]]\nbetween = [\"nara/isp1\", \"tainan/isp1\"]\n";
    let one_path = carried(&disks, &format!("{good}{pair}"));
    let try_out = || {
        assert_eq!(
            said(here, &["apply", &one_path, "--confirm-within", "1h"]).2,
            0
        );
        here.home
            .wait_until("one path", SOON, |status| status.peers[0].paths.len() == 1);
        assert_eq!(fs::read_to_string(config(here)).unwrap(), good);
    };
    try_out();
    // A reload goes back to what the disk says.
    assert!(here.home.cli(&["reload"]).unwrap().status.success());
    here.home
        .wait_until("two paths", SOON, |status| status.peers[0].paths.len() == 2);
    try_out();
    // Somebody else's change in the meantime is not lost.
    fs::write(config(here), format!("# mine\n{good}")).unwrap();
    let output = here.home.cli(&["confirm"]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    fs::write(config(here), &good).unwrap();
    assert!(here.home.cli(&["confirm"]).unwrap().status.success());
    assert_eq!(
        fs::read_to_string(config(here)).unwrap(),
        format!("{good}{pair}")
    );
    let status = here.home.status().unwrap();
    assert_eq!(status.peers[0].paths.len(), 1);
    let warnings = status.site.warnings.join("\n");
    assert!(!warnings.contains("on trial"), "{warnings}");
}
