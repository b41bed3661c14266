//! Load for a bare ISP link, without daemons, and what it cost the emulator to carry it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::laboratory::{Isp, Lab, outer};

/// What crosses the link.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// UDP as a WireGuard with segmentation offload sends it: many datagrams in one call.
    Segmented,
    /// UDP, one datagram a call.
    Plain,
    Tcp,
}

/// A WireGuard datagram of full size.
pub const DATAGRAM: usize = 1452;
/// Datagrams in one segmented call.
pub const AT_ONCE: usize = 44;
/// IPv4 and UDP.
const HEADERS: usize = 28;
const PORT: u16 = 4000;

/// What was carried from the first site to the second, what it cost the emulator, how long it
/// took.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    pub bytes: usize,
    pub used: Duration,
    pub duration: Duration,
}

impl Carried {
    /// Gbit/s that one core would carry if it did nothing else.
    pub fn per_core(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9 / self.used.as_secs_f64()
    }

    /// Mbit/s by the clock.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e6 / self.duration.as_secs_f64()
    }
}

/// A UDP socket at site `id`, on its first link's address, with much room.
pub fn bind(lab: &Lab, id: u8, port: u16) -> io::Result<UdpSocket> {
    let address: IpAddr = outer(1, id).0.into();
    let site = &lab.sites[usize::from(id) - 1];
    let socket = site
        .namespace()
        .enter(move || UdpSocket::bind((address, port)))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let room = 8 << 20;
    // The force is root's of the machine; a user namespace has to do with what is usual.
    setsockopt(&socket, sockopt::RcvBufForce, &room)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &room))?;
    setsockopt(&socket, sockopt::SndBufForce, &room)
        .or_else(|_| setsockopt(&socket, sockopt::SndBuf, &room))?;
    Ok(socket)
}

/// Loads a link of `isp` for `duration`: UDP at `rate` Mbit/s, TCP as it will.
pub fn carry(load: Load, isp: Isp, rate: u64, duration: Duration) -> io::Result<Carried> {
    let lab = Lab::two_sites(&[isp])?;
    let (start, before) = (Instant::now(), lab.emulation());
    let end = start + duration;
    let bytes = match load {
        Load::Segmented | Load::Plain => udp(&lab, load, rate, end)?,
        Load::Tcp => tcp(&lab, end)?,
    };
    Ok(Carried {
        bytes,
        used: lab.emulation() - before,
        duration: start.elapsed(),
    })
}

/// Wire bytes of the datagrams that have reached the second site by `end`.
pub fn udp(lab: &Lab, load: Load, rate: u64, end: Instant) -> io::Result<usize> {
    let (from, to) = (bind(lab, 1, PORT)?, bind(lab, 2, PORT)?);
    setsockopt(&to, sockopt::UdpGroSegment, &true)?;
    let sender = std::thread::spawn(move || pour(&from, load, rate, end));
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    while Instant::now() < end {
        let length = to.recv(&mut buffer).unwrap_or(0);
        bytes += length + length.div_ceil(DATAGRAM) * HEADERS;
    }
    sender
        .join()
        .map_err(|_| io::Error::other("the sender died"))??;
    Ok(bytes)
}

/// Sends at `rate` Mbit/s until `end`; what was missed while this thread waited is made up for.
fn pour(socket: &UdpSocket, load: Load, rate: u64, end: Instant) -> io::Result<()> {
    let at_once = match load {
        Load::Segmented => AT_ONCE,
        Load::Plain | Load::Tcp => 1,
    };
    let chunk = vec![0; at_once * DATAGRAM];
    setsockopt(socket, sockopt::UdpGsoSegment, &(DATAGRAM as i32))?;
    let (start, mut sent) = (Instant::now(), 0);
    while Instant::now() < end {
        let due = start.elapsed().as_micros() as u64 * rate / 8;
        while sent < due {
            socket.send_to(&chunk, (outer(1, 2).0, PORT))?;
            sent += (at_once * (DATAGRAM + HEADERS)) as u64;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

fn tcp(lab: &Lab, end: Instant) -> io::Result<usize> {
    let address: SocketAddr = (IpAddr::from(outer(1, 2).0), PORT).into();
    let [here, there] = [lab.sites[0].namespace(), lab.sites[1].namespace()];
    let listener = there.enter(move || TcpListener::bind(address))?;
    let sender = here.run(move || -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        while Instant::now() < end {
            stream.write_all(&[0; 1 << 16])?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        bytes += length;
    }
    sender
        .join()
        .map_err(|_| io::Error::other("the sender died"))???;
    Ok(bytes)
}
