//! What CPU time a load cost: that of the contender's threads, of the load's own programs, and of
//! the kernel's softirq threads. Softirq work in the context of a process is in that process's
//! time. Counted in nanoseconds by the scheduler; other programs of the machine do not count.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// A moment's counters.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    processes: Duration,
    ended_children: Duration,
}

impl Moment {
    /// `pids`: the contender's processes.
    pub fn now(pids: &[u32]) -> Self {
        let softirq = softirq_threads();
        let processes = pids.iter().chain(&softirq).map(|pid| on_cpu(*pid)).sum();
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let time = |value: nix::sys::time::TimeVal| {
            Duration::from_secs(value.tv_sec().unsigned_abs())
                + Duration::from_micros(value.tv_usec().unsigned_abs())
        };
        Self {
            processes,
            ended_children: time(usage.user_time()) + time(usage.system_time()),
        }
    }

    /// CPU time since then; the load's programs must have ended and been waited for.
    pub fn until(self, later: Self) -> Duration {
        later.processes.saturating_sub(self.processes) + later.ended_children - self.ended_children
    }
}

/// Nanoseconds on a CPU of all threads of a process (Documentation/scheduler/sched-stats.rst).
pub fn on_cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let threads = threads.into_iter().flatten().flatten().filter_map(of);
    Duration::from_nanos(threads.sum())
}

fn softirq_threads() -> Vec<u32> {
    let of = |process: fs::DirEntry| {
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        let pid = process.file_name().to_str()?.parse().ok()?;
        name.starts_with("ksoftirqd/").then_some(pid)
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(of).collect()
}
