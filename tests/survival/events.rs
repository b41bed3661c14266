//! What happens in the bench, once each, in a laboratory of its own: a path that has flapped is
//! held back for a while, and that is another story.

use std::io;
use std::time::Duration;

use lab::outage::{self, Outage, Seen, tenths};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};

/// 60 Mbit/s together.
pub fn lab() -> io::Result<Lab> {
    let mut lab = Lab::two_sites(&[Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)])?;
    lab.start()?;
    Ok(lab)
}

pub fn silence(paths: &[usize], outage: Outage) -> io::Result<Seen> {
    let seconds = outage.repair as u64 / 10 + 6;
    let megabytes = if paths.len() == 3 { 120 } else { seconds * 6 };
    outage::of_paths(&lab()?, &Transfer::of(megabytes), outage, paths)
}

/// The first path's device is taken down, and comes back with its route.
pub fn device_down() -> io::Result<Seen> {
    let lab = lab()?;
    let namespace = lab.sites[0].namespace().clone();
    let route = namespace.shell("ip route show default dev isp1");
    outage::run(&lab, &Transfer::of(90), Outage::SHORT, |down| {
        let line = if down {
            "ip link set isp1 down".to_owned()
        } else {
            format!(
                "ip link set isp1 up; ip route replace {} dev isp1",
                route.trim()
            )
        };
        namespace.shell(&line);
    })
}

/// The opener's daemon is killed and started again.
pub fn restart() -> io::Result<Seen> {
    let mut lab = lab()?;
    let mut daemon = lab.sites[0].daemon.take();
    let home = lab.sites[0].home.clone();
    let mut failed = Ok(());
    let seen = outage::run(&lab, &Transfer::of(60), Outage::SHORT, |now| {
        if now && let Some(old) = daemon.take() {
            failed = old
                .kill()
                .and_then(|()| home.start())
                .map(|new| daemon = Some(new));
        }
    });
    failed?;
    seen
}

/// Of three sites, one loses its first path: the longest wait for data of a connection to the
/// other, in the two seconds before and in those until all is as before.
pub fn neighbour() -> io::Result<[Duration; 2]> {
    let mut lab = Lab::three_sites(&[Isp::new(30, 10), Isp::new(20, 40)])?;
    lab.start()?;
    let [nara, tainan, oslo] = lab.sites.as_slice() else {
        return Err(io::Error::other("three sites are three"));
    };
    let bounds = |port| Transfer {
        port,
        ..Transfer::of(35)
    };
    let (mut dead, link) = (false, tainan.links[0].clone());
    std::thread::scope(|scope| {
        let to_tainan = scope.spawn(|| transfer::run(&bounds(7001), nara, tainan, |_| {}));
        let seen = transfer::run(&bounds(7002), nara, oslo, |progress| {
            let now = (30..70).contains(&tenths(progress));
            if now != dead {
                dead = now;
                link.blackhole(dead);
            }
        })?;
        link.blackhole(false);
        let other = to_tainan
            .join()
            .map_err(|_| io::Error::other("a transfer died"))?;
        other?;
        let longest = |from: u64, to: u64| {
            let range = Duration::from_millis(from * 100)..Duration::from_millis(to * 100);
            let there = seen.gaps.iter().filter(|gap| range.contains(&gap.until));
            there.map(|gap| gap.length).max().unwrap_or_default()
        };
        Ok([longest(10, 30), longest(30, 80)])
    })
}
