//! The fleet file changes while data moves: unchanged paths do not notice, nothing is left behind,
//! and a bad file changes nothing. A daemon that crashed takes up what it left.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use lab::edits;
use lab::held;
use lab::laboratory::Site;
use lab::outage::{by_source, one_per_path, tenths};
use lab::programs::lab_can_run;
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// 60 Mbit/s together.
fn isps() -> Vec<Isp> {
    vec![Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]
}

/// A command of this site's operator that must succeed.
fn operator(site: &Site, arguments: &[&str]) -> String {
    let output = site.home.cli(arguments).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{arguments:?}: {said}\n{}",
        site.home.log()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn config(site: &Site) -> String {
    let file = site.home.folder.with_file_name("fleet.toml");
    file.display().to_string()
}

/// How often a test does what it repeats; PATHWEAVE_REPEAT says otherwise.
fn times(usual: usize) -> usize {
    let wish = std::env::var("PATHWEAVE_REPEAT").ok();
    wish.and_then(|wish| wish.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_path_that_is_removed_and_added_again_and_again_leaves_nothing_and_disturbs_nobody() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let here = &lab.sites[0];
    // From here on the pairs are written down.
    edits::path_three(&lab, false).unwrap();
    edits::path_three(&lab, true).unwrap();
    here.home.wait_until_all_up();
    let before = held::both(&lab.sites);
    let down = |path: u8| format!("path is not up peer=\"tainan\" path={path}");
    let others = || [1, 2].map(|path| here.home.log().matches(&down(path)).count());
    let quiet = others();
    let rounds = times(8);
    let seen = edits::run(&lab, rounds).unwrap();
    println!(
        "{} reloads, {:.1} Mbit/s, longest stall {:?}; subflows {:?}",
        seen.reloads,
        seen.outcome.rate(),
        seen.outcome.longest_stall(),
        seen.subflows
    );
    assert!(seen.outcome.intact, "the data came out different");
    assert_eq!(
        seen.reloads,
        2 * rounds,
        "the transfer ended before the reloads"
    );
    assert_eq!(seen.subflows, one_per_path(here), "subflows at the end");
    assert!(
        seen.outcome.longest_stall() <= Duration::from_secs(1),
        "it stood still"
    );
    here.home.wait_until_all_up();
    let more = held::left_behind(&lab.sites, &before);
    assert_eq!(more, None, "left behind; there was {before:?}");
    assert_eq!(
        others(),
        quiet,
        "another path went down: {}",
        here.home.log()
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_a_good_one_is_taken_at_a_hangup() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let site = &lab.sites[0];
    let good = fs::read_to_string(config(site)).unwrap();
    let look = || {
        let state = site
            .home
            .namespace
            .shell("ip -oneline addr; ip rule; ip route show table all");
        (held::held(site), state)
    };
    let before = look();
    let cases = [
        ("id = 1", "id = 0", 5),
        ("id = 1", "id = 9", 1),
        ("interface = \"isp1\"", "interface = \"isp2\"", 5),
    ];
    for (old, new, code) in cases {
        fs::write(config(site), good.replacen(old, new, 1)).unwrap();
        for dry in [&["reload", "--dry-run"][..], &["reload"]] {
            let output = site.home.cli(dry).unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            println!("{new}: {said}");
            assert_eq!(output.status.code(), Some(code), "{said}");
        }
        assert_eq!(look(), before, "after {new}");
    }
    // A port that another program has: found before anything is changed.
    let taken = site
        .home
        .namespace
        .enter(|| std::net::UdpSocket::bind("0.0.0.0:4433"))
        .unwrap();
    fs::write(config(site), format!("listen_port = 4433\n{good}")).unwrap();
    let output = site.home.cli(&["reload"]).unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(look().1, before.1, "after a port that is taken");
    drop(taken);
    site.home.wait_until_all_up();

    fs::write(config(site), &good).unwrap();
    let file = config(site);
    let pair = [
        "path",
        "remove",
        "nara/isp2",
        "tainan/isp2",
        "--dry-run",
        "--config",
        file.as_str(),
    ];
    println!("{}", operator(site, &pair));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        good,
        "a dry run wrote the file"
    );
    let shorter = good + "\n[[path]]\nbetween = [\"nara/isp1\", \"tainan/isp1\"]\n";
    fs::write(&file, shorter).unwrap();
    let pid = site.daemon.as_ref().unwrap().pid();
    kill(Pid::from_raw(pid as i32), Signal::SIGHUP).unwrap();
    site.home
        .wait_until("one path", Duration::from_secs(5), |status| {
            status.peers[0].paths.len() == 1
        });
}

#[test]
fn a_connection_outlives_a_daemon_that_is_killed_or_restarted() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let rounds = times(4);
    let mut daemon = lab.sites[0].daemon.take();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let (mut done, mut next, mut last) = (0, 20, BTreeMap::new());
    let megabytes = 40 + 40 * rounds as u64;
    let outcome = transfer::run(&Transfer::of(megabytes), here, there, |progress| {
        if tenths(progress) >= next && done < rounds {
            let former = daemon.take().unwrap();
            if done % 2 == 0 {
                former.kill()
            } else {
                former.stop()
            }
            .unwrap();
            daemon = Some(here.home.start_with(&["--keep-on-stop"]).unwrap());
            done += 1;
            next = tenths(progress) + 60;
        }
        last = by_source(progress);
    })
    .unwrap();
    println!(
        "{done} crashes and restarts, {:.1} Mbit/s, longest stall {:?}; subflows {last:?}",
        outcome.rate(),
        outcome.longest_stall()
    );
    assert!(outcome.intact, "the data came out different");
    assert_eq!(done, rounds, "the transfer ended before the restarts");
    assert_eq!(last, one_per_path(here), "subflows at the end");
    assert!(
        outcome.longest_stall() <= Duration::from_secs(4),
        "it stood still"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}
