//! Paths that nobody uses: what they cost, how soon the status tells the truth about them, and
//! how soon they are back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it, and it takes the time itself"
)]

use std::time::{Duration, Instant};

use lab::idle;
use lab::programs::{have, lab_can_run};
use lab::{Isp, Lab, Site};
use pathweaved::control::{PathState, PathStatus};

fn started() -> Lab {
    let mut lab = Lab::two_sites(&[Isp::new(50, 10), Isp::new(50, 30), Isp::new(50, 60)]).unwrap();
    lab.start().unwrap();
    lab
}

#[test]
fn an_idle_site_costs_next_to_nothing() {
    if !lab_can_run() {
        return;
    }
    let lab = started();
    std::thread::sleep(Duration::from_secs(8));
    let cost = idle::cost(&lab.sites[0], Duration::from_secs(20)).unwrap();
    let (share, rates) = (cost.processor, cost.bits_per_second);
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
