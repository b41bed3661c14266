//! What a site costs that nobody uses.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::laboratory::Site;

/// Of one site, while nothing was asked of it.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Of one core, 0.0..=1.0.
    pub processor: f64,
    /// On each link, both ways together, outer headers and all.
    pub bits_per_second: Vec<f64>,
}

/// Watches a site for a while.
#[expect(clippy::cast_precision_loss, reason = "some thousands")]
pub fn cost(site: &Site, time: Duration) -> io::Result<Cost> {
    let pid = site.daemon.as_ref().map_or(0, Daemon::pid);
    let (begin, bytes, used) = (Instant::now(), link_bytes(site), processor_time(pid)?);
    std::thread::sleep(time);
    let seconds = begin.elapsed().as_secs_f64();
    let rate = |(now, before): (u64, u64)| (now - before) as f64 * 8.0 / seconds;
    Ok(Cost {
        processor: (processor_time(pid)? - used).as_secs_f64() / seconds,
        bits_per_second: link_bytes(site).into_iter().zip(bytes).map(rate).collect(),
    })
}

/// Bytes in and out of each ISP's device of a site.
fn link_bytes(site: &Site) -> Vec<u64> {
    let text = site.namespace().shell("cat /proc/net/dev");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let isps = lines.filter(|(name, _)| name.trim().starts_with("isp"));
    let sum = |counters: &str| {
        let counters = counters.split_whitespace().map(str::parse::<u64>);
        let counters: Vec<_> = counters.map(Result::unwrap_or_default).collect();
        counters[0] + counters[8]
    };
    isps.map(|(_, counters)| sum(counters)).collect()
}

/// Time on a processor of all threads of a process.
fn processor_time(pid: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
        sum += Duration::from_nanos(nanoseconds.unwrap_or(0));
    }
    Ok(sum)
}
