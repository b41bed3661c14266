//! A second ISP that is slow, far, lossy or bloated must not make the whole slower than the first
//! one alone: it is found out on the running transfer, and left aside.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use lab::programs::lab_can_run;
use lab::transfer::{self, BUCKET, Outcome, Transfer};
use lab::{Isp, Lab};

const CONTROLS: [&str; 2] = ["cubic", "bbr"];

/// Of the first ISP alone.
const GOOD: Isp = Isp::new(60, 20);

fn run(lab: &Lab, control: &'static str, megabytes: u64) -> Outcome {
    let transfer = Transfer {
        congestion_control: Some(control),
        ..Transfer::of(megabytes)
    };
    transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {}).unwrap()
}

/// Mbit/s from the tenth second on: what came of the trials is decided by then.
fn settled(outcome: &Outcome) -> f64 {
    let whole = outcome.timeline.len().saturating_sub(1);
    let late = outcome.timeline.get(100..whole).unwrap_or_default();
    let seconds = late.len() as f64 * BUCKET.as_secs_f64();
    late.iter().sum::<u64>() as f64 * 8.0 / 1e6 / seconds
}

/// The total with a second link ÷ the first alone, in percent; and why the second is left aside.
fn with_second(second: Isp, control: &'static str) -> (f64, f64, Option<String>) {
    let mut lab = Lab::two_sites(&[GOOD, second]).unwrap();
    lab.start().unwrap();
    let path = |state: &str| {
        for (site, peer) in lab.sites.iter().zip(["tainan", "nara"]) {
            site.home.cli(&["path", state, peer, "2"]).unwrap();
        }
    };
    path("down");
    let alone = run(&lab, control, 60).steady_rate();
    path("up");
    lab.sites[0].home.wait_until_all_up();
    let both = run(&lab, control, 160);
    assert!(both.intact, "the data came out different");
    let status = lab.sites[0].home.status().unwrap();
    let path = &status.peers[0].paths[1];
    let why = path.reserve.clone();
    (settled(&both) / alone, both.rate() / alone, why)
}

#[test]
fn a_bad_second_link_never_makes_the_whole_slower() {
    if !lab_can_run() {
        return;
    }
    let cases = [
        ("3 Mbit/s, 220 ms", Isp::new(3, 220)),
        (
            "3 Mbit/s, 220 ms, 3 % lost",
            Isp::new(3, 220).with_loss(0.03),
        ),
        (
            "20 Mbit/s, 60 ms, 5 % lost",
            Isp::new(20, 60).with_loss(0.05),
        ),
    ];
    for (name, second) in cases {
        for control in CONTROLS {
            let (settled, whole, why) = with_second(second, control);
            println!(
                "{name}, {control}: {:.0} % of the first alone once settled, {:.0} % from the \
                 beginning; {why:?}",
                settled * 100.0,
                whole * 100.0
            );
            assert!(settled >= 0.90, "{name}, {control}: slower than one alone");
        }
    }
}
