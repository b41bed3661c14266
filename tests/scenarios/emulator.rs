//! The ISPs of the lab do what their settings say: rate, delay, loss.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a test measures by the clock, and what is missing shall fail it"
)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use lab::laboratory::outer;
use lab::programs::lab_can_run;
use lab::{Isp, Lab};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{self, UdpGroSegment, UdpGsoSegment};

/// Binds a UDP socket at site `id` to its first link's address.
fn bind(lab: &Lab, id: u8) -> UdpSocket {
    let address: IpAddr = outer(1, id).0.into();
    let site = &lab.sites[usize::from(id) - 1];
    let socket = site
        .namespace()
        .enter(move || UdpSocket::bind((address, 4000)))
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    socket
}

fn round_trips(isp: Isp, count: u32) -> Vec<Duration> {
    let lab = Lab::two_sites(&[isp]).unwrap();
    let (a, b) = (bind(&lab, 1), bind(&lab, 2));
    b.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = b.recv_from(&mut buffer) {
            b.send_to(&buffer[..length], from).unwrap();
        }
    });
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        a.send_to(b"ping", (outer(1, 2).0, 4000)).unwrap();
        if a.recv(&mut [0; 100]).is_ok() {
            times.push(start.elapsed());
        }
    }
    echo.join().unwrap();
    times.sort();
    times
}

#[test]
fn the_delay_is_kept_within_a_millisecond() {
    if !lab_can_run() {
        return;
    }
    let times = round_trips(Isp::new(1000, 40), 100);
    let median = times[times.len() / 2];
    println!(
        "round trip of 40 ms: median {median:?}, worst {:?}",
        times.last().unwrap()
    );
    assert!(
        median.abs_diff(Duration::from_millis(40)) < Duration::from_millis(1),
        "{median:?}"
    );
}

#[test]
fn the_loss_is_what_was_asked_for() {
    if !lab_can_run() {
        return;
    }
    let lab = Lab::two_sites(&[Isp::new(1000, 2).with_loss(0.1)]).unwrap();
    let (a, b) = (bind(&lab, 1), bind(&lab, 2));
    let mut arrived = 0;
    for _ in 0..20 {
        (0..100).for_each(|_| drop(a.send_to(&[0; 100], (outer(1, 2).0, 4000))));
        b.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        while b.recv(&mut [0; 200]).is_ok() {
            arrived += 1;
        }
    }
    println!("10 % loss: {arrived} of 2000 arrived");
    assert!((1740..1860).contains(&arrived), "{arrived}");
}

/// Megabits per second that UDP packets of 1,400 bytes get through in two seconds.
fn flood(rate: u64) -> f64 {
    let lab = Lab::two_sites(&[Isp::new(rate, 4)]).unwrap();
    let (a, b) = (bind(&lab, 1), bind(&lab, 2));
    let end = Instant::now() + Duration::from_secs(2);
    let sender = std::thread::spawn(move || {
        while Instant::now() < end {
            (0..10).for_each(|_| drop(a.send_to(&[0; 1372], (outer(1, 2).0, 4000))));
            // As fast as twice the line, not as fast as the processor.
            std::thread::sleep(Duration::from_micros(10 * 1400 * 8 / (2 * rate)));
        }
    });
    let (mut bytes, start) = (0, Instant::now());
    while Instant::now() < end {
        bytes += b.recv(&mut [0; 2000]).map_or(0, |length| length + 28);
    }
    let rate = bytes as f64 * 8.0 / 1e6 / start.elapsed().as_secs_f64();
    sender.join().unwrap();
    rate
}

#[test]
fn the_rate_is_kept() {
    if !lab_can_run() {
        return;
    }
    for rate in [20, 100] {
        let measured = flood(rate);
        println!("{rate} Mbit/s asked for, {measured:.1} measured");
        let share = measured / rate as f64;
        assert!(
            (0.9..=1.03).contains(&share),
            "{measured:.1} of {rate} Mbit/s"
        );
    }
}

/// What crosses a link in the test of its capacity.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// UDP as a WireGuard with segmentation offload sends it: many datagrams in one call.
    Segmented,
    /// UDP, one datagram a call.
    Plain,
    Tcp,
}

/// A WireGuard datagram of full size.
const DATAGRAM: usize = 1452;
const AT_ONCE: usize = 44;

/// What was carried, what it cost the emulator, how long it took.
struct Carried {
    bytes: usize,
    used: Duration,
    duration: Duration,
}

impl Carried {
    fn per_core(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9 / self.used.as_secs_f64()
    }

    fn by_the_clock(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9 / self.duration.as_secs_f64()
    }
}

/// Sends at `rate` Mbit/s until `end`, however irregularly it may run.
fn pour(socket: &UdpSocket, load: Load, rate: usize, end: Instant) {
    let at_once = match load {
        Load::Segmented => AT_ONCE,
        Load::Plain | Load::Tcp => 1,
    };
    let chunk = vec![0; at_once * DATAGRAM];
    if at_once > 1 {
        setsockopt(socket, UdpGsoSegment, &(DATAGRAM as i32)).unwrap();
    }
    let (start, mut sent) = (Instant::now(), 0);
    while Instant::now() < end {
        let due = start.elapsed().as_micros() as usize * rate / 8;
        while sent < due {
            drop(socket.send_to(&chunk, (outer(1, 2).0, 4000)));
            sent += at_once * (DATAGRAM + 28);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn udp_bytes(a: UdpSocket, b: &UdpSocket, load: Load, rate: usize, end: Instant) -> usize {
    setsockopt(b, UdpGroSegment, &true).unwrap();
    setsockopt(b, sockopt::RcvBufForce, &(8 << 20)).unwrap();
    setsockopt(&a, sockopt::SndBufForce, &(8 << 20)).unwrap();
    let sender = std::thread::spawn(move || pour(&a, load, rate, end));
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    while Instant::now() < end {
        let length = b.recv(&mut buffer).unwrap_or(0);
        bytes += length + length.div_ceil(DATAGRAM) * 28;
    }
    sender.join().unwrap();
    bytes
}

fn tcp_bytes(lab: &Lab, end: Instant) -> usize {
    let address: SocketAddr = (IpAddr::from(outer(1, 2).0), 4000).into();
    let listener = lab.sites[1]
        .namespace()
        .enter(move || TcpListener::bind(address))
        .unwrap();
    let sender = lab.sites[0].namespace().run(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        while Instant::now() < end && stream.write_all(&[0; 1 << 16]).is_ok() {}
    });
    let (mut stream, _) = listener.accept().unwrap();
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        bytes += length;
    }
    sender.join().unwrap().unwrap();
    bytes
}

fn carry(load: Load, rate: usize) -> Carried {
    let lab = Lab::two_sites(&[Isp::new(1300, 10)]).unwrap();
    let (start, before) = (Instant::now(), lab.emulation());
    let end = start + Duration::from_secs(3);
    let bytes = match load {
        Load::Segmented | Load::Plain => udp_bytes(bind(&lab, 1), &bind(&lab, 2), load, rate, end),
        Load::Tcp => tcp_bytes(&lab, end),
    };
    let used = lab.emulation() - before;
    Carried {
        bytes,
        used,
        duration: start.elapsed(),
    }
}

#[test]
fn a_link_carries_a_gigabit_per_second_on_one_core() {
    if !lab_can_run() {
        return;
    }
    for load in [Load::Segmented, Load::Plain, Load::Tcp] {
        let carried = carry(load, 1200);
        println!(
            "{load:?}: carried {} MB using {:.2} processor seconds = {:.2} Gbit/s per core; \
             {:.2} Gbit/s by the clock, sender and receiver on the same machine",
            carried.bytes / 1_000_000,
            carried.used.as_secs_f64(),
            carried.per_core(),
            carried.by_the_clock()
        );
    }
}
