//! The ISPs: a `Port` per link, a thread that serves it, a router in the middle.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use nix::time::ClockId;

use crate::capture::Capture;
use crate::impairment::{Impairment, Settings};
use crate::namespace::Namespace;
use crate::port::Port;

/// Reads in one turn, lest a flood should keep due packets waiting.
const BATCH: usize = 64;
/// What is due within this is handed over together: a wake-up each would cost more than the
/// carrying.
const TICK: Duration = Duration::from_micros(200);
/// After so many reads in one turn the site is sending as fast as it can: a rest lets it, and
/// spares it waking this thread for every packet.
const MANY: usize = 8;

type Routes = Arc<RwLock<HashMap<IpAddr, Arc<Access>>>>;

/// All links, by the addresses that they serve.
#[derive(Debug, Default)]
pub struct Internet {
    routes: Routes,
}

/// One site's attachment to the Internet.
#[derive(Debug)]
pub struct Access {
    up: Mutex<Impairment>,
    down: Mutex<Impairment>,
    capture: Mutex<Capture>,
    wake: EventFd,
    /// Nanoseconds of processor time that the link's thread has used.
    used: AtomicU64,
}

impl Access {
    /// Changes the line in both directions, from now on.
    pub fn set(&self, change: impl Fn(&mut Settings)) {
        for line in [&self.up, &self.down] {
            change(&mut lock(line).settings);
        }
    }

    pub fn blackhole(&self, on: bool) {
        self.set(|settings| settings.blackhole = on);
    }

    /// Brings the site a packet that anybody might have sent, whoever it says it is from.
    pub fn forge(&self, packet: Vec<u8>) {
        self.take(packet, Instant::now());
    }

    /// What has passed so far.
    pub fn capture(&self) -> Capture {
        lock(&self.capture).clone()
    }

    /// Wakes the link's thread only if it would sleep too long: while packets are under way it
    /// comes by itself.
    fn take(&self, packet: Vec<u8>, now: Instant) {
        let mut down = lock(&self.down);
        let before = down.poll_timeout();
        down.handle_packet(packet, now);
        let after = down.poll_timeout();
        let sooner = before.is_none_or(|before| after.is_some_and(|after| after < before));
        if sooner && after.is_some() && self.wake.write(1).is_err() {
            // The counter is full: the thread is awake already.
        }
    }

    /// Processor time that the link has cost, without what its site's programs used.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed))
    }
}

impl Internet {
    /// Packets for `address` go to this link.
    pub fn route(&self, address: IpAddr, to: &Arc<Access>) {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.insert(address, to.clone());
    }

    /// Makes the device `name` inside `namespace`, with its addresses and a default route of
    /// `metric`, and begins to serve it.
    pub fn attach(
        &self,
        namespace: &Namespace,
        name: &str,
        addresses: (Ipv4Addr, Ipv6Addr),
        metric: u32,
        lines: [Impairment; 2],
    ) -> io::Result<Arc<Access>> {
        let name = name.to_owned();
        let port = namespace.enter(move || Port::open(&name, addresses, metric))?;
        let [up, down] = lines.map(Mutex::new);
        let access = Arc::new(Access {
            up,
            down,
            capture: Mutex::default(),
            wake: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            used: AtomicU64::new(0),
        });
        self.route(addresses.0.into(), &access);
        self.route(addresses.1.into(), &access);
        let server = Server {
            port,
            access: access.clone(),
            routes: self.routes.clone(),
        };
        thread::Builder::new()
            .name("isp".to_owned())
            .spawn(move || server.run())?;
        Ok(access)
    }
}

struct Server {
    port: Port,
    access: Arc<Access>,
    routes: Routes,
}

impl Server {
    /// Serves until the device is gone.
    fn run(mut self) {
        if prctl::set_timerslack(1).is_err() {
            // Delays are longer by the usual 50 µs.
        }
        while self.turn().is_ok() {
            if let Ok(used) = ClockId::CLOCK_THREAD_CPUTIME_ID.now() {
                let used = Duration::from(used).as_nanos() as u64;
                self.access.used.store(used, Relaxed);
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let reads = self.collect(Instant::now())?;
        self.route(Instant::now());
        self.deliver(Instant::now());
        if (MANY..BATCH).contains(&reads) {
            thread::sleep(TICK);
        } else if reads < MANY {
            self.wait();
        }
        Ok(())
    }

    /// Takes what the site has sent; gives how many reads that took.
    fn collect(&mut self, now: Instant) -> io::Result<usize> {
        for reads in 0..BATCH {
            let Some(packets) = self.port.read()? else {
                return Ok(reads);
            };
            let (mut capture, mut up) = (lock(&self.access.capture), lock(&self.access.up));
            for packet in packets {
                capture.look(packet);
                up.handle_packet(packet.to_vec(), now);
            }
        }
        Ok(BATCH)
    }

    /// A packet goes on from the moment it was due, however late this thread is.
    fn route(&self, now: Instant) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut up = lock(&self.access.up);
        while let Some(due) = up.poll_timeout()
            && let Some(packet) = up.poll_delivery(now)
        {
            let Some(there) = destination(&packet).and_then(|address| routes.get(&address)) else {
                continue;
            };
            there.take(packet, due);
        }
    }

    fn deliver(&mut self, now: Instant) {
        let mut due = Vec::new();
        let mut down = lock(&self.access.down);
        while let Some(packet) = down.poll_delivery(now) {
            due.push(packet);
        }
        drop(down);
        if due.is_empty() {
            return;
        }
        let mut capture = lock(&self.access.capture);
        due.iter().for_each(|packet| capture.look(packet));
        drop(capture);
        due.iter().for_each(|packet| self.port.write(packet));
        self.port.flush();
    }

    fn wait(&self) {
        let next = [
            lock(&self.access.up).poll_timeout(),
            lock(&self.access.down).poll_timeout(),
        ];
        let until = next.into_iter().flatten().min();
        let timeout = until.map(|at| {
            let early = at.saturating_duration_since(Instant::now());
            TimeSpec::from(early.max(TICK))
        });
        let mut sources = [
            PollFd::new(self.port.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.access.wake.as_fd(), PollFlags::POLLIN),
        ];
        if ppoll(&mut sources, timeout, None).is_err() {
            thread::yield_now();
        }
        if sources[1].any() == Some(true) && self.access.wake.read().is_err() {
            // Somebody else's wake-up was taken together with this one.
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?).into()),
        6 => Some(Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?).into()),
        _ => None,
    }
}
