//! The far end of `pathweave speed`: takes or gives bytes as fast as a connection carries them.
//!
//! It listens on this site's own addresses only, serves the overlay addresses of peers only, at
//! most [`MOST`] at a time, each in a thread of its own with one buffer, for as long as was
//! ordered. Nothing of it runs while nobody measures.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ipnetwork::IpNetwork;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::config::{Peer, View};
use crate::control::speed::{Count, Direction, LONGEST_LINE, Order, YES};
use crate::names::PathNumber;
use crate::sys;

use super::clock;

/// Measurements at a time.
const MOST: usize = 4;
/// Who says nothing, or takes nothing, for so long is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who was ordered up for some seconds may stop this much later.
const GRACE: Duration = Duration::from_secs(5);
/// An address that is not there yet, a port that is somebody else's: tried again.
const AGAIN: Duration = Duration::from_secs(2);
const TOLD: Duration = Duration::from_millis(100);
const BUFFER: usize = 256 << 10;
const BACKLOG: i32 = 8;

/// Where to listen, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wish {
    addresses: Vec<SocketAddr>,
    peers: Vec<IpNetwork>,
}

impl Wish {
    fn of(view: &View) -> Self {
        if !view.speed_test {
            return Self::default();
        }
        let own = view.overlay.addresses(view.site.id, PathNumber::FIRST);
        let own = own
            .into_iter()
            .map(|ip| SocketAddr::new(ip, view.listen_port));
        let networks = |peer: &Peer| view.overlay.site_networks(peer.site.id);
        Self {
            addresses: own.collect(),
            peers: view.peers.iter().flat_map(networks).collect(),
        }
    }
}

/// The listeners, open until this is dropped.
#[derive(Debug)]
pub struct SpeedTests {
    wish: Wish,
    places: Arc<Semaphore>,
    tasks: Vec<JoinHandle<()>>,
}

impl SpeedTests {
    pub fn new(view: &View) -> Self {
        let mut tests = Self {
            wish: Wish::default(),
            places: Arc::new(Semaphore::new(MOST)),
            tasks: Vec::new(),
        };
        tests.follow(view);
        tests
    }

    /// Goes on with what the fleet file says now. Measurements that run are not disturbed.
    pub fn follow(&mut self, view: &View) {
        let wish = Wish::of(view);
        if wish == self.wish {
            return;
        }
        self.tasks.drain(..).for_each(|task| task.abort());
        let serve = |address: &SocketAddr| {
            let peers = wish.peers.clone();
            tokio::spawn(listen(*address, peers, self.places.clone()))
        };
        self.tasks = wish.addresses.iter().map(serve).collect();
        self.wish = wish;
    }
}

impl Drop for SpeedTests {
    fn drop(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

async fn listen(address: SocketAddr, peers: Vec<IpNetwork>, places: Arc<Semaphore>) {
    let listener = loop {
        match open(address) {
            Ok(listener) => break listener,
            Err(error) => tracing::debug!(%error, %address, "no speed tests yet"),
        }
        sleep(AGAIN).await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, from)) if is_peer(&peers, from.ip()) => admit(stream, from, &places),
            Ok((_, from)) => tracing::debug!(%from, "a speed test of somebody who is no peer"),
            Err(error) => {
                tracing::debug!(%error, "a speed test cannot be taken in");
                sleep(AGAIN).await;
            }
        }
    }
}

/// Of MPTCP, which takes plain TCP, too.
fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::MPTCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn is_peer(peers: &[IpNetwork], address: IpAddr) -> bool {
    let address = address.to_canonical();
    peers.iter().any(|network| network.contains(address))
}

fn admit(stream: tokio::net::TcpStream, from: SocketAddr, places: &Arc<Semaphore>) {
    let Ok(place) = places.clone().try_acquire_owned() else {
        let refusal = b"no: others measure now, try again in a minute\n";
        if stream.try_write(refusal).is_err() {
            // Who does not hear it sees the end of the connection.
        }
        return;
    };
    let started = stream
        .into_std()
        .and_then(|stream| start(stream, from, place));
    if let Err(error) = started {
        tracing::debug!(%error, %from, "a speed test was not started");
    }
}

fn start(stream: TcpStream, from: SocketAddr, place: OwnedSemaphorePermit) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let name = "speed test".to_owned();
    let thread = thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = sys::schedule_in_batches() {
            tracing::debug!(%error, "a speed test interrupts others");
        }
        match serve(&stream) {
            Ok(bytes) => tracing::info!(%from, bytes, "speed test"),
            Err(error) => tracing::debug!(%error, %from, "a speed test ended early"),
        }
        drop(place);
    });
    thread.map(|_| ())
}

/// One measurement; how many bytes it moved.
fn serve(mut stream: &TcpStream) -> io::Result<u64> {
    let line = read_line(stream)?;
    let order: Order = match line.parse() {
        Ok(order) => order,
        Err(why) => {
            stream.write_all(format!("no: {why}\n").as_bytes())?;
            return Ok(0);
        }
    };
    stream.write_all(format!("{YES}\n").as_bytes())?;
    let time = Duration::from_secs(order.seconds.into());
    match order.direction {
        Direction::Up => take(stream, time),
        Direction::Down => give(stream, time),
    }
}

fn read_line(mut stream: &TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST_LINE {
        stream.read_exact(&mut byte)?;
        if byte == *b"\n" {
            return String::from_utf8(line).map_err(io::Error::other);
        }
        line.extend(byte);
    }
    Err(io::Error::other("the order has no end"))
}

fn take(mut stream: &TcpStream, time: Duration) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let (start, mut bytes, mut told) = (clock::now(), 0, Duration::ZERO);
    loop {
        let length = stream.read(&mut buffer)?;
        bytes += length as u64;
        let elapsed = clock::now().saturating_duration_since(start);
        let over = length == 0 || elapsed > time + GRACE;
        if over || elapsed >= told + TOLD {
            told = elapsed;
            let count = Count {
                elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
                bytes,
            };
            stream.write_all(format!("{count}\n").as_bytes())?;
        }
        if over {
            return Ok(bytes);
        }
    }
}

fn give(mut stream: &TcpStream, time: Duration) -> io::Result<u64> {
    let buffer = vec![0; BUFFER];
    let (start, mut bytes) = (clock::now(), 0);
    while clock::now().saturating_duration_since(start) < time {
        match stream.write(&buffer) {
            Ok(length) => bytes += length as u64,
            // The opener has seen enough.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Ok(bytes),
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server on the loopback: what it said after it got this.
    fn said(order: &[u8], stop: bool) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let serving = thread::spawn(move || {
            let ended = serve(&server);
            drop(server);
            ended
        });
        client.write_all(order).unwrap();
        if stop {
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let mut heard = Vec::new();
        if client.read_to_end(&mut heard).is_err() {
            // Who hangs up on what it has not read resets the connection.
        }
        drop(serving.join().unwrap());
        heard
    }

    #[test]
    fn what_was_sent_up_is_counted_to_the_last_byte() {
        let order = [b"pathweave-speed 1 up 1\n".to_vec(), vec![7; 100_000]].concat();
        let heard = String::from_utf8(said(&order, true)).unwrap();
        let lines: Vec<_> = heard.lines().collect();
        assert_eq!(lines[0], YES);
        let count: Count = lines.last().unwrap().parse().unwrap();
        assert_eq!(count.bytes, 100_000);
    }

    #[test]
    fn what_is_given_ends_after_its_time() {
        let heard = said(b"pathweave-speed 1 down 1\n", false);
        assert!(heard.starts_with(b"yes\n\0\0"), "{} bytes", heard.len());
        assert!(heard.len() > BUFFER);
    }

    #[test]
    fn strangers_to_the_language_are_told_so() {
        let heard = String::from_utf8(said(b"GET / HTTP/1.1\n", true)).unwrap();
        assert!(heard.starts_with("no: "), "{heard}");
        assert!(said(&[b'x'; 2 * LONGEST_LINE], true).is_empty());
    }

    #[test]
    fn only_overlay_addresses_of_peers_are_served() {
        let peers = ["10.213.2.0/24".parse().unwrap()];
        let served = |text: &str| is_peer(&peers, text.parse().unwrap());
        assert!(served("10.213.2.3") && served("::ffff:10.213.2.3"));
        assert!(!served("10.213.1.1") && !served("192.168.10.7"));
    }
}
