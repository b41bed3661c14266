//! The ISPs: a TUN device per link, a thread that serves it, a router in the middle.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use rtnetlink::{LinkUnspec, RouteMessageBuilder};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::capture::Capture;
use crate::impairment::{Impairment, Settings};
use crate::namespace::Namespace;

/// Largest IP packet on an ISP link.
pub const MTU: u16 = 1500;
/// Packets taken in one turn.
const BATCH: usize = 64;

/// All links, by the addresses that they serve.
#[derive(Debug, Default)]
pub struct Internet {
    routes: Arc<RwLock<HashMap<IpAddr, Arc<Access>>>>,
}

/// One site's attachment to the Internet.
#[derive(Debug)]
pub struct Access {
    up: Mutex<Impairment>,
    down: Mutex<Impairment>,
    capture: Mutex<Capture>,
    wake: EventFd,
}

impl Access {
    /// Changes the line in both directions, from now on.
    pub fn set(&self, change: impl Fn(&mut Settings)) {
        for line in [&self.up, &self.down] {
            change(&mut line.lock().unwrap_or_else(PoisonError::into_inner).settings);
        }
    }

    pub fn blackhole(&self, on: bool) {
        self.set(|settings| settings.blackhole = on);
    }

    /// What has passed so far.
    pub fn capture(&self) -> Capture {
        self.capture
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn take(&self, packet: Vec<u8>, now: Instant) {
        self.down
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .handle_packet(packet, now);
        if self.wake.write(1).is_err() {
            // The counter is full: the thread is awake already.
        }
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
        let device = namespace.enter(move || open(&name, addresses, metric))?;
        let [up, down] = lines.map(Mutex::new);
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let access = Arc::new(Access {
            up,
            down,
            capture: Mutex::default(),
            wake,
        });
        self.route(addresses.0.into(), &access);
        self.route(addresses.1.into(), &access);
        let (served, routes) = (access.clone(), self.routes.clone());
        thread::Builder::new()
            .name("isp".to_owned())
            .spawn(move || {
                Server {
                    device,
                    access: served,
                    routes,
                }
                .run()
            })?;
        Ok(access)
    }
}

struct Server {
    device: SyncDevice,
    access: Arc<Access>,
    routes: Arc<RwLock<HashMap<IpAddr, Arc<Access>>>>,
}

impl Server {
    /// Serves until the device is gone.
    fn run(&self) {
        let mut buffer = vec![0; 65_536];
        loop {
            self.wait();
            let now = Instant::now();
            for _ in 0..BATCH {
                match self.device.recv(&mut buffer) {
                    Ok(length) => self.send(&buffer[..length], now),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // EIO: the device is down. Anything else: it is gone.
                    Err(error) if error.raw_os_error() == Some(5) => break,
                    Err(_) => return,
                }
            }
            self.route(Instant::now());
            self.deliver(Instant::now());
        }
    }

    fn send(&self, packet: &[u8], now: Instant) {
        self.look(packet);
        lock(&self.access.up).handle_packet(packet.to_vec(), now);
    }

    fn route(&self, now: Instant) {
        let mut up = lock(&self.access.up);
        while let Some(packet) = up.poll_delivery(now) {
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(there) = destination(&packet).and_then(|address| routes.get(&address)) {
                there.take(packet, now);
            }
        }
    }

    fn deliver(&self, now: Instant) {
        let mut down = lock(&self.access.down);
        while let Some(packet) = down.poll_delivery(now) {
            self.look(&packet);
            if self.device.send(&packet).is_err() {
                // The device is down: the packet is lost, as on a real line.
            }
        }
    }

    fn look(&self, packet: &[u8]) {
        lock(&self.access.capture).look(packet);
    }

    fn wait(&self) {
        let next = [
            lock(&self.access.up).poll_timeout(),
            lock(&self.access.down).poll_timeout(),
        ];
        let until = next.into_iter().flatten().min();
        let timeout = until.map(|at| TimeSpec::from(at.saturating_duration_since(Instant::now())));
        let mut sources = [
            PollFd::new(self.device.as_fd(), PollFlags::POLLIN),
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?).into()),
        6 => Some(Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?).into()),
        _ => None,
    }
}

fn open(name: &str, (v4, v6): (Ipv4Addr, Ipv6Addr), metric: u32) -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new()
        .name(name)
        .mtu(MTU)
        .ipv4(v4, 32, None)
        .ipv6(v6, 128)
        .build_sync()
        .map_err(explain)?;
    device.set_nonblocking(true)?;
    let index = device.if_index()?;
    netlink(async move |handle| {
        let out = RouteMessageBuilder::<Ipv4Addr>::new()
            .output_interface(index)
            .priority(metric);
        handle.route().add(out.build()).execute().await?;
        let out = RouteMessageBuilder::<Ipv6Addr>::new()
            .output_interface(index)
            .priority(metric);
        handle.route().add(out.build()).execute().await
    })?;
    Ok(device)
}

fn explain(error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "/dev/net/tun may not be opened: `sudo chmod 666 /dev/net/tun` (its usual mode), or \
             run as root"
        }
        io::ErrorKind::NotFound => "/dev/net/tun does not exist: `sudo modprobe tun`",
        _ => return error,
    };
    io::Error::new(error.kind(), remedy)
}

pub(crate) fn loopback_up() -> io::Result<()> {
    netlink(async |handle| {
        handle
            .link()
            .set(LinkUnspec::new_with_index(1).up().build())
            .execute()
            .await
    })
}

/// Talks rtnetlink inside the calling thread's namespace.
pub(crate) fn netlink<T>(
    talk: impl AsyncFnOnce(rtnetlink::Handle) -> Result<T, rtnetlink::Error>,
) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        talk(handle).await.map_err(io::Error::other)
    })
}
