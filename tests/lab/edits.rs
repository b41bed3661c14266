//! A path that is taken out of the fleet file and put back, under a transfer.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use crate::laboratory::{Lab, Site};
use crate::outage::{by_source, tenths};
use crate::transfer::{self, Outcome, Progress, Transfer};

/// What became of a transfer with reloads.
#[derive(Clone, Debug)]
pub struct Edited {
    /// Reloads at either site.
    pub reloads: usize,
    pub outcome: Outcome,
    /// Established subflows by the opener's address, at the end.
    pub subflows: BTreeMap<IpAddr, u32>,
}

/// Takes path 3 out of the file, or puts it back, at both sites.
pub fn path_three(lab: &Lab, there: bool) -> io::Result<()> {
    let (one, other) = (&lab.sites[0], &lab.sites[1]);
    let file = one.home.folder.with_file_name("fleet.toml");
    let file = file.display().to_string();
    let what = if there { "add" } else { "remove" };
    let pair = ["nara/isp3", "tainan/isp3", "--config", &file];
    operator(one, &[&["path", what], &pair[..]].concat())?;
    operator(other, &["reload"])
}

fn operator(site: &Site, arguments: &[&str]) -> io::Result<()> {
    let output = site.home.cli(arguments)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{arguments:?}: {said}")))
}

/// Moves data from the lab's first site to its second while path 3 goes and comes, `times` each.
pub fn run(lab: &Lab, times: usize) -> io::Result<Edited> {
    let (mut reloads, mut next, mut failed) = (0, 20, Ok(()));
    let mut subflows = BTreeMap::new();
    let during = |progress: &Progress| {
        let now = tenths(progress);
        if now >= next && reloads < 2 * times && failed.is_ok() {
            failed = path_three(lab, reloads % 2 == 1);
            reloads += 1;
            // Once back, it shall be used before it goes again.
            next = now + if reloads % 2 == 0 { 20 } else { 5 };
        }
        subflows = by_source(progress);
    };
    let transfer = Transfer::of(40 + 19 * times as u64);
    let outcome = transfer::run(&transfer, &lab.sites[0], &lab.sites[1], during)?;
    failed?;
    Ok(Edited {
        reloads,
        outcome,
        subflows,
    })
}
