//! Two sites with three paths, and under a transfer a path that dies and returns: with each path
//! manager, the first path and another one. And a connection that is opened while all is silent.
//! What comes out is told, and what must come out is asserted.

use anyhow::ensure;
use lab::laboratory::Family;
use lab::outage::{self, Outage, Seen, one_per_path, tenths};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};

/// 6 Mbit/s together: an emulated processor has not much to give.
const ISPS: [Isp; 3] = [Isp::new(3, 10), Isp::new(2, 40), Isp::new(1, 80)];
const OUTAGE: Outage = Outage {
    death: 40,
    repair: 110,
};
const MEGABYTES: u64 = 16;
/// Long enough for three SYNs, which go out at once, after one second and after three.
const SILENCE: usize = 40;

pub fn run() -> anyhow::Result<()> {
    lab::enter::check().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("Linux {}", release.trim());
    let mut wrong = Vec::new();
    for wish in ["userspace", "auto"] {
        for path in [1, 2] {
            wrong.extend(path_dies(wish, path)?);
        }
    }
    wrong.extend(opened_in_silence()?);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn lab(wish: &str) -> anyhow::Result<Lab> {
    let mut lab = Lab::new(2, &ISPS, Family::V4, &format!("path_manager = \"{wish}\""))?;
    lab.start()?;
    Ok(lab)
}

/// One outage; gives what went wrong in it.
fn path_dies(wish: &str, path: usize) -> anyhow::Result<Vec<String>> {
    let lab = lab(wish)?;
    let seen = outage::of_paths(&lab, &Transfer::of(MEGABYTES), OUTAGE, &[path])?;
    let here = &lab.sites[0];
    let site = here.home.status()?.site;
    println!(
        "path_manager = {wish}, in charge {}; path {path} silent from 4 s to 11 s: subflows {}; \
         longest stall {:.1} s; {:?}; warnings {:?}",
        site.path_manager,
        story(&seen),
        seen.stall().as_secs_f64(),
        site.healing,
        site.warnings
    );
    let doctor = here.home.cli(&["doctor", "--json"])?;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let whole = seen.changes.iter().any(|(_, counts)| counts == &[1; 3]);
    let expected = [
        (whole, "never one subflow per path"),
        (seen.outcome.intact, "the data came out different"),
        (seen.outcome.mptcp, "it was not MPTCP to the end"),
        (
            seen.subflows == one_per_path(here),
            "not one subflow per path after the repair",
        ),
        (lab.cleartext().is_empty(), "cleartext at an ISP"),
        (
            said.contains("is older than that of Linux 6.12"),
            "the doctor does not say that the kernel is old",
        ),
    ];
    let wrong = expected.iter().filter(|(fine, _)| !fine);
    Ok(wrong
        .map(|(_, what)| format!("{wish}, path {path}: {what}"))
        .collect())
}

/// All paths are silent when the first SYN goes out: is it MPTCP when they are back?
fn opened_in_silence() -> anyhow::Result<Option<String>> {
    let lab = lab("auto")?;
    let links = &lab.sites[0].links;
    links.iter().for_each(|link| link.blackhole(true));
    let outcome = transfer::run(&Transfer::of(2), &lab.sites[0], &lab.sites[1], |progress| {
        if tenths(progress) >= SILENCE {
            links.iter().for_each(|link| link.blackhole(false));
        }
    })?;
    println!("opened while all was silent: MPTCP {}", outcome.mptcp);
    let text = "a connection that was opened in an outage is plain TCP";
    Ok((!outcome.mptcp).then(|| text.to_owned()))
}

/// `0.3 s 1+1+1, 6.5 s 1+1 …`
fn story(seen: &Seen) -> String {
    let change = |(tenths, counts): &(usize, Vec<u32>)| {
        let counts: Vec<_> = counts.iter().map(u32::to_string).collect();
        format!("{:.1} s {}", *tenths as f64 / 10.0, counts.join("+"))
    };
    seen.changes
        .iter()
        .map(change)
        .collect::<Vec<_>>()
        .join(", ")
}
