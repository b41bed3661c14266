//! Paths that nobody uses: what they cost, how soon the status tells the truth about them, and
//! how soon they are back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it, and it takes the time itself"
)]

use std::fs;
use std::time::{Duration, Instant};

use lab::programs::{have, lab_can_run};
use lab::{Isp, Lab, Site};
use pathweaved::control::{PathState, PathStatus};

fn started() -> Lab {
    let mut lab = Lab::two_sites(&[Isp::new(50, 10), Isp::new(50, 30), Isp::new(50, 60)]).unwrap();
    lab.start().unwrap();
    lab
}

/// Bytes in and out of each ISP's device of a site.
fn bytes(site: &Site) -> Vec<u64> {
    let text = site.namespace().shell("cat /proc/net/dev");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let isps = lines.filter(|(name, _)| name.trim().starts_with("isp"));
    let sum = |counters: &str| {
        let counters: Vec<u64> = counters
            .split_whitespace()
            .map(|counter| counter.parse().unwrap())
            .collect();
        counters[0] + counters[8]
    };
    isps.map(|(_, counters)| sum(counters)).collect()
}

/// Time on a processor of all threads of a process.
fn processor_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().map(str::parse);
        nanoseconds.map_or(0, |number| number.unwrap())
    };
    Duration::from_nanos(tasks.map(|task| of_task(task.unwrap())).sum())
}

#[test]
fn an_idle_site_costs_next_to_nothing() {
    if !lab_can_run() {
        return;
    }
    let lab = started();
    std::thread::sleep(Duration::from_secs(8));
    let site = &lab.sites[0];
    let pid = site.daemon.as_ref().unwrap().pid();
    let (begin, sent, time) = (Instant::now(), bytes(site), processor_time(pid));
    std::thread::sleep(Duration::from_secs(20));
    let seconds = begin.elapsed().as_secs_f64();
    let share = (processor_time(pid) - time).as_secs_f64() / seconds;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let rates: Vec<f64> = bytes(site)
        .iter()
        .zip(sent)
        .map(|(now, before)| (now - before) as f64 * 8.0 / seconds)
        .collect();
    println!(
        "1 peer, 3 paths: {:.2} % of a core; bit/s on each path, both ways: {rates:.0?}",
        share * 100.0
    );
    // A busy machine has cold caches: three times the 0.3 % that it should be.
    assert!(share < 0.009, "{share}");
    assert!(rates.iter().all(|rate| *rate < 1000.0), "{rates:?}");
}

fn path(site: &Site, number: usize) -> PathStatus {
    site.home.status().unwrap().peers[0].paths[number - 1].clone()
}

/// How long until each site says so of path 2.
fn until(lab: &Lab, up: bool) -> Vec<f64> {
    let begin = Instant::now();
    let mut seen = vec![None; lab.sites.len()];
    while seen.contains(&None) {
        for (site, seen) in lab.sites.iter().zip(&mut seen) {
            if seen.is_none() && (path(site, 2).state == PathState::Up) == up {
                *seen = Some(begin.elapsed().as_secs_f64());
            }
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "up {up}: {seen:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    seen.into_iter().flatten().collect()
}

#[test]
fn the_status_of_an_idle_path_tells_the_truth_soon() {
    if !lab_can_run() {
        return;
    }
    let lab = started();
    std::thread::sleep(Duration::from_secs(6));
    let link = lab.sites[0].links[1].clone();
    link.blackhole(true);
    let down = until(&lab, false);
    std::thread::sleep(Duration::from_secs(2));
    println!(
        "silent: down after {down:.2?} s, {:?}",
        path(&lab.sites[0], 2).reason
    );
    link.blackhole(false);
    let up = until(&lab, true);
    let back = path(&lab.sites[0], 2);
    println!(
        "repaired: up after {up:.2?} s, went down {} times",
        back.flaps
    );
    assert!(down.iter().all(|seconds| *seconds < 6.0), "{down:?}");
    assert!(up.iter().all(|seconds| *seconds < 4.0), "{up:?}");
    assert_eq!(back.flaps, 1);
}

#[test]
fn a_device_that_goes_down_is_known_at_both_ends_at_once() {
    if !lab_can_run() || !have("ip", "iproute2") {
        return;
    }
    let lab = started();
    std::thread::sleep(Duration::from_secs(6));
    assert!(path(&lab.sites[0], 1).site_path);
    let namespace = lab.sites[0].namespace();
    namespace.shell("ip link set isp2 down");
    let down = until(&lab, false);
    println!(
        "device down: known after {down:.2?} s; there: {:?}",
        path(&lab.sites[1], 2).reason
    );
    namespace.shell("ip link set isp2 up");
    let up = until(&lab, true);
    println!("device up: up after {up:.2?} s");
    assert!(down[0] < 1.0, "{down:?}");
    assert!(down[1] < 2.5, "the end that hears of it: {down:?}");
    assert!(up.iter().all(|seconds| *seconds < 5.0), "{up:?}");
}
