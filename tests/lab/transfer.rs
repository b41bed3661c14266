//! A transfer with a checksum at both ends, over MPTCP or plain TCP, and what became of it:
//! rate, timeline, longest stall, bytes per subflow.

use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use pathweaved::host::subflows::{self, Subflow};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use socket2::{Domain, Protocol, Socket, Type};

use crate::laboratory::{Family, Site};
use crate::sys;

const IPPROTO_MPTCP: i32 = 262;
/// A bucket of the timeline.
pub const BUCKET: Duration = Duration::from_millis(100);
const CHUNK: usize = 64 << 10;
/// A receiver that waits longer than this tells it.
const LONG: Duration = Duration::from_millis(10);
/// What may be on its way, and in buffers: with less to come, the sender begins to close.
const TAIL: u64 = 8 << 20;
/// A transfer that stands still this long has failed.
const PATIENCE: Duration = Duration::from_secs(100);

/// What to move, and how.
#[derive(Clone, Debug)]
pub struct Transfer {
    pub bytes: u64,
    pub mptcp: bool,
    pub family: Family,
    /// The opener sends; otherwise the acceptor does.
    pub opener_sends: bool,
    /// The opener binds to its site address.
    pub bound: bool,
    /// The listener listens on its site address, not on the wildcard.
    pub listen_on_site: bool,
    /// The opener's socket is IPv6 and connects to `::ffff:<the IPv4 address>`.
    pub mapped: bool,
    /// The listener takes both families, on `[::]`.
    pub dual_stack: bool,
    /// Of TCP at both ends; else the machine's.
    pub congestion_control: Option<&'static str>,
    pub port: u16,
    pub seed: u64,
}

impl Transfer {
    pub fn of(megabytes: u64) -> Self {
        Self {
            bytes: megabytes * 1_000_000,
            mptcp: true,
            family: Family::V4,
            opener_sends: true,
            bound: false,
            listen_on_site: false,
            mapped: false,
            dual_stack: false,
            congestion_control: None,
            port: 7000,
            seed: 1,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub intact: bool,
    /// Both ends spoke MPTCP to the end.
    pub mptcp: bool,
    pub duration: Duration,
    /// Bytes received in each [`BUCKET`].
    pub timeline: Vec<u64>,
    /// The receiver's waits for data that were long.
    pub gaps: Vec<Gap>,
    /// The opener's subflows, as the kernel last told them.
    pub subflows: Vec<Subflow>,
}

/// Nothing came.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// Its end, since the start.
    pub until: Duration,
    pub length: Duration,
}

/// What the receiver tells while it receives.
#[derive(Debug)]
struct Received {
    since: Instant,
    bytes: AtomicU64,
    gaps: Mutex<Vec<Gap>>,
}

impl Received {
    fn gaps(&self) -> std::sync::MutexGuard<'_, Vec<Gap>> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    /// Goodput in Mbit/s.
    pub fn rate(&self) -> f64 {
        let bytes: u64 = self.timeline.iter().sum();
        bytes as f64 * 8.0 / 1e6 / self.duration.as_secs_f64()
    }

    /// Mbit/s from the first second to the last, without start and end of the transfer.
    pub fn steady_rate(&self) -> f64 {
        let skip = 15.min(self.timeline.len() / 4);
        let steady = &self.timeline[skip..self.timeline.len().saturating_sub(5).max(skip + 1)];
        steady.iter().sum::<u64>() as f64 * 8.0 / 1e6 / (steady.len() as f64 * 0.1)
    }

    /// Longest run of empty buckets.
    pub fn longest_stall(&self) -> Duration {
        longest_stall(&self.timeline)
    }
}

/// Of the receiver, whose bytes in each [`BUCKET`] these are.
pub fn longest_stall(timeline: &[u64]) -> Duration {
    let runs = timeline.split(|bytes| *bytes > 0).map(<[u64]>::len);
    BUCKET * runs.max().unwrap_or(0) as u32
}

/// What is known while it runs.
#[derive(Clone, Debug)]
pub struct Progress {
    pub elapsed: Duration,
    pub bytes: u64,
    pub subflows: Vec<Subflow>,
}

/// Moves the bytes from `opener` to `acceptor` (or back) and calls `during` every [`BUCKET`].
pub fn run(
    transfer: &Transfer,
    opener: &Site,
    acceptor: &Site,
    mut during: impl FnMut(&Progress),
) -> io::Result<Outcome> {
    let received = Arc::new(Received {
        since: Instant::now(),
        bytes: AtomicU64::new(0),
        gaps: Mutex::default(),
    });
    let to = SocketAddr::new(acceptor.address(transfer.family), transfer.port);
    let from = SocketAddr::new(opener.address(transfer.family), 0);
    let (listening, ready) = std::sync::mpsc::sync_channel(1);
    let (plan, count) = (transfer.clone(), received.clone());
    let accepting = acceptor
        .namespace()
        .run(move || accept(&plan, to, &count, &listening));
    ready
        .recv()
        .map_err(|_| io::Error::other("the listener failed"))?;
    let start = received.since;
    let (plan, count) = (transfer.clone(), received.clone());
    let opening = opener
        .namespace()
        .run(move || open(&plan, from, to, &count));
    let namespace = opener.namespace().clone();
    let (mut timeline, mut last, mut before) = (Vec::new(), Vec::new(), 0);
    let (mut moved, mut finished) = (start, start);
    while !(opening.is_finished() && accepting.is_finished()) {
        std::thread::sleep(BUCKET.saturating_sub(lag(start, timeline.len())));
        let bytes = received.bytes.load(Relaxed);
        timeline.push(bytes - before);
        if bytes > before {
            moved = Instant::now();
        }
        if bytes < transfer.bytes {
            finished = Instant::now();
        }
        if bytes + TAIL.min(transfer.bytes / 4) < transfer.bytes {
            let port = transfer.port;
            let now = namespace.enter(subflows::all)?;
            let ours = |s: &&Subflow| s.destination_port == port || s.source_port == port;
            last = now.iter().filter(ours).copied().collect();
        }
        before = bytes;
        during(&Progress {
            elapsed: start.elapsed(),
            bytes,
            subflows: last.clone(),
        });
        if moved.elapsed() > PATIENCE {
            let text = format!("the transfer stands still after {bytes} bytes");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
    while timeline.last() == Some(&0) {
        timeline.pop();
    }
    let died = |_| io::Error::other("an end of the transfer died");
    let ends = [opening, accepting].map(|end| end.join().map_err(died).flatten().flatten());
    let [Ok((one, one_mptcp)), Ok((other, other_mptcp))] = ends else {
        let told = ends.map(|end| end.err().map(|error| error.to_string()));
        return Err(io::Error::other(format!("opener and acceptor: {told:?}")));
    };
    Ok(Outcome {
        intact: one == other && received.bytes.load(Relaxed) == transfer.bytes,
        mptcp: one_mptcp && other_mptcp,
        duration: (finished - start).max(BUCKET),
        timeline,
        gaps: std::mem::take(&mut received.gaps()),
        subflows: last,
    })
}

/// How far the sampling is behind its grid.
fn lag(start: Instant, samples: usize) -> Duration {
    start.elapsed().saturating_sub(BUCKET * samples as u32)
}

/// Checksum, and whether MPTCP was spoken to the end.
type End = io::Result<(u64, bool)>;

fn socket(transfer: &Transfer, address: SocketAddr) -> io::Result<Socket> {
    let protocol = if transfer.mptcp {
        Protocol::from(IPPROTO_MPTCP)
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    if let Some(name) = transfer.congestion_control {
        setsockopt(&socket, sockopt::TcpCongestion, &name.into()).map_err(io::Error::from)?;
    }
    Ok(socket)
}

fn accept(
    transfer: &Transfer,
    address: SocketAddr,
    received: &Received,
    ready: &std::sync::mpsc::SyncSender<()>,
) -> End {
    let ip = match transfer.family {
        _ if transfer.listen_on_site => address.ip(),
        _ if transfer.dual_stack => Ipv6Addr::UNSPECIFIED.into(),
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let address = SocketAddr::new(ip, address.port());
    let listener = socket(transfer, address)?;
    if transfer.dual_stack {
        listener.set_only_v6(false)?;
    }
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(8)?;
    ready.send(()).map_err(io::Error::other)?;
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(&stream, transfer, !transfer.opener_sends, received)
}

fn open(transfer: &Transfer, from: SocketAddr, to: SocketAddr, received: &Received) -> End {
    let [from, to] = [from, to].map(|address| match address.ip() {
        IpAddr::V4(v4) if transfer.mapped => {
            SocketAddr::new(v4.to_ipv6_mapped().into(), address.port())
        }
        _ => address,
    });
    let stream = socket(transfer, to)?;
    if transfer.bound {
        stream.bind(&from.into())?;
    }
    stream.connect(&to.into())?;
    // Joins start when the opener is fully established: after data in either direction.
    exchange(&stream, transfer, transfer.opener_sends, received)
}

fn exchange(stream: &Socket, transfer: &Transfer, sends: bool, received: &Received) -> End {
    if sends {
        send(stream, transfer)
    } else {
        receive(stream, received)
    }
}

fn send(mut stream: &Socket, transfer: &Transfer) -> End {
    let mut random = ChaCha8Rng::seed_from_u64(transfer.seed);
    let mut hash = std::hash::DefaultHasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = transfer.bytes;
    while left > 0 {
        let length = left.min(CHUNK as u64) as usize;
        random.fill_bytes(&mut chunk[..length]);
        hash.write(&chunk[..length]);
        stream.write_all(&chunk[..length])?;
        left -= length as u64;
    }
    let mptcp = sys::is_mptcp(stream);
    stream.shutdown(std::net::Shutdown::Write)?;
    // The far end closes when it has everything: only then is the transfer over.
    stream.read_to_end(&mut Vec::new())?;
    Ok((hash.finish(), mptcp))
}

fn receive(mut stream: &Socket, received: &Received) -> End {
    let mut hash = std::hash::DefaultHasher::new();
    let mut chunk = vec![0; 4 * CHUNK];
    let mut before: Option<Duration> = None;
    loop {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        hash.write(&chunk[..length]);
        received.bytes.fetch_add(length as u64, Relaxed);
        let now = received.since.elapsed();
        let wait = now - before.replace(now).unwrap_or(now);
        if wait > LONG {
            received.gaps().push(Gap {
                until: now,
                length: wait,
            });
        }
    }
    Ok((hash.finish(), sys::is_mptcp(stream)))
}
