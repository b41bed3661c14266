//! Small packets: how many 64-byte packets a second come out at the far end. The sender keeps no
//! more than a window under way, so that it takes no more of the machine than it needs.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::contender::Contender;

const PORT: u16 = 9;
/// A 64-byte IPv4 packet's payload.
const PAYLOAD: usize = 36;
const BATCH: usize = 64;
const WINDOW: u64 = 900;
/// Between two looks, of the sender at a full window and of the receiver at its socket: the load
/// shall not be what is measured. The kernel makes it about 100 µs.
const REST: Duration = Duration::from_micros(50);
/// After such a pause what is under way counts as lost.
const LOST: Duration = Duration::from_millis(1);
/// Enough that the receiver loses nothing of a window.
const BUFFER: usize = 4 << 20;

/// Packets per second that arrive.
pub fn packets_per_second(contender: &Contender, time: Duration) -> anyhow::Result<f64> {
    let far: SocketAddr = (contender.address, PORT).into();
    let receiver = contender.far.enter(move || UdpSocket::bind(far))?;
    let sender = contender.near.enter(move || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(far)?;
        Ok(socket)
    })?;
    receiver.set_read_timeout(Some(Duration::from_millis(100)))?;
    let wide = nix::sys::socket::sockopt::RcvBufForce;
    nix::sys::socket::setsockopt(&receiver, wide, &BUFFER)?;
    let (arrived, enough) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (count, stop) = (arrived.clone(), enough.clone());
    let receiving = std::thread::spawn(move || receive(&receiver, &count, &stop));
    let start = Instant::now();
    while start.elapsed() < time {
        send(&sender, &arrived, start + time)?;
    }
    let (carried, taken) = (arrived.load(Relaxed), start.elapsed());
    enough.store(true, Relaxed);
    receiving.join().unwrap();
    Ok(carried as f64 / taken.as_secs_f64())
}

/// Until the window stays full for a while, or the time is over.
fn send(socket: &UdpSocket, arrived: &AtomicU64, end: Instant) -> anyhow::Result<()> {
    let payload = [0u8; PAYLOAD];
    let slices: Vec<_> = (0..BATCH).map(|_| [IoSlice::new(&payload)]).collect();
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut sent = arrived.load(Relaxed);
    let mut progress = (sent, Instant::now());
    loop {
        let now = arrived.load(Relaxed);
        if now != progress.0 {
            progress = (now, Instant::now());
        }
        if Instant::now() > end || progress.1.elapsed() > LOST {
            return Ok(());
        }
        if sent.saturating_sub(now) > WINDOW {
            std::thread::sleep(REST);
            continue;
        }
        let none = [None::<SockaddrStorage>; BATCH];
        let flags = MsgFlags::empty();
        sent +=
            sendmmsg(socket.as_raw_fd(), &mut headers, &slices, none, [], flags)?.count() as u64;
    }
}

fn receive(socket: &UdpSocket, arrived: &AtomicU64, enough: &AtomicBool) {
    let mut buffers = vec![[0u8; 64]; BATCH];
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    while !enough.load(Relaxed) {
        let mut slices: Vec<_> = buffers.iter_mut().map(|b| [IoSliceMut::new(b)]).collect();
        std::thread::sleep(REST);
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            flags,
            None,
        );
        if let Ok(messages) = received {
            arrived.fetch_add(messages.count() as u64, Relaxed);
        }
    }
}
