//! A second ISP that is slow, far or lossy must not make the whole slower than the first one
//! alone: that is found out on the running transfer, and the second is left aside. One that helps
//! is kept.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use lab::Isp;
use lab::programs::lab_can_run;
use lab::second_link::{compare, compare_one_bottleneck};

fn compared(name: &str, second: Isp, control: &'static str) -> (f64, Option<String>) {
    let seen = compare(second, control, 18).unwrap();
    println!(
        "{name}, {control}: {:.0} % of the first alone once settled, {:.0} % from the beginning; \
         {:?}",
        seen.settled * 100.0,
        seen.from_the_beginning * 100.0,
        seen.reserve
    );
    (seen.settled, seen.reserve)
}

#[test]
fn a_bad_second_link_never_makes_the_whole_slower() {
    if !lab_can_run() {
        return;
    }
    let far = ("3 Mbit/s, 220 ms", Isp::new(3, 220));
    let lossy = Isp::new(20, 60).with_loss(0.05);
    for (name, second) in [far, ("20 Mbit/s, 60 ms, 5 % lost", lossy)] {
        let (share, reserve) = compared(name, second, "cubic");
        assert!(share >= 0.9, "slower than one alone");
        assert!(reserve.is_some_and(|why| why.contains("in reserve")));
    }
}

#[test]
fn a_second_link_that_is_slower_and_farther_but_helps_is_kept() {
    if !lab_can_run() {
        return;
    }
    let (share, reserve) = compared("30 Mbit/s, 80 ms", Isp::new(30, 80), "bbr");
    assert!(share >= 1.25, "the second link is not used");
    assert_eq!(reserve, None);
}

#[test]
fn two_paths_over_one_bottleneck_are_no_slower_than_one() {
    if !lab_can_run() {
        return;
    }
    let seen = compare_one_bottleneck("cubic", 14).unwrap();
    println!(
        "one bottleneck: {:.0} % of one path alone; {:?}",
        seen.settled * 100.0,
        seen.reserve
    );
    assert!(seen.settled >= 0.9, "slower than one alone");
}
