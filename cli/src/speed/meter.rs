//! One measurement: a connection to the peer's daemon, and what arrived of what was sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use pathweaved::control::speed::{Count, Direction, LONGEST_LINE, Order, YES};
use pathweaved::runtime::clock;
use socket2::{Domain, Protocol, Socket, Type};

/// Nothing at all for so long is a failure.
const PATIENCE: Duration = Duration::from_secs(5);
const TOLD: Duration = Duration::from_millis(100);
const BUFFER: usize = 256 << 10;

/// By which paths.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Bound to the path's interface, too: what would go another way does not go at all.
    Alone {
        from: IpAddr,
        interface: String,
    },
    Together {
        from: IpAddr,
    },
}

#[derive(Debug)]
pub(super) struct Meter {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    order: Order,
    pub(super) local: Option<SocketAddr>,
    sender: Option<Sender>,
}

/// Sends until it is told to stop.
#[derive(Debug)]
struct Sender {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Drop for Meter {
    /// What still waits to be sent is thrown away: the far end has counted.
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.stop.store(true, Relaxed);
            if self.stream.shutdown(std::net::Shutdown::Both).is_err() {
                // The far end has hung up already.
            }
            if sender.thread.join().is_err() {
                // It has nothing to say.
            }
        }
    }
}

impl Meter {
    /// Connects and gives the order. What fails is told with its remedy.
    pub(super) fn connect(way: &Way, to: SocketAddr, order: Order) -> Result<Self, String> {
        let stream = dial(way, to).map_err(|error| refused(to, &error))?;
        let broken = |error: io::Error| format!("the connection broke: {error}");
        let lines = BufReader::new(stream.try_clone().map_err(broken)?);
        let mut meter = Self {
            local: stream.local_addr().ok(),
            stream,
            lines,
            order,
            sender: None,
        };
        let order = format!("{order}\n");
        meter.stream.write_all(order.as_bytes()).map_err(broken)?;
        match meter.line().map_err(broken)?.as_str() {
            YES => Ok(meter),
            refusal => Err(format!("the far end says {refusal}")),
        }
    }

    /// Moves bytes for as long as was ordered; the connection stays until this is dropped. `during` hears how much has arrived, and how fast
    /// that is lately, in bit/s.
    pub(super) fn run(&mut self, during: impl FnMut(Count, f64)) -> Result<Vec<Count>, String> {
        let counts = match self.order.direction {
            Direction::Up => self.send(during),
            Direction::Down => self.receive(during),
        };
        counts.map_err(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                format!("nothing was carried for {PATIENCE:?}")
            } else {
                format!("the connection broke: {error}")
            }
        })
    }

    fn send(&mut self, mut during: impl FnMut(Count, f64)) -> io::Result<Vec<Count>> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut stream, stopped) = (self.stream.try_clone()?, stop.clone());
        let thread = thread::spawn(move || {
            let buffer = vec![0; BUFFER];
            // The one who counts sees the end of the connection, too, and says why.
            while !stopped.load(Relaxed) && stream.write_all(&buffer).is_ok() {}
        });
        self.sender = Some(Sender { stop, thread });
        let mut counts = vec![Count::default()];
        while !self.is_over(&counts) {
            let count: Result<Count, _> = self.line()?.parse();
            counts.push(count.map_err(io::Error::other)?);
            tell(&counts, &mut during);
        }
        Ok(counts)
    }

    fn receive(&mut self, mut during: impl FnMut(Count, f64)) -> io::Result<Vec<Count>> {
        let mut buffer = vec![0; BUFFER];
        let (start, mut bytes, mut told) = (clock::now(), 0, Duration::ZERO);
        let mut counts = vec![Count::default()];
        while !self.is_over(&counts) {
            let length = self.lines.read(&mut buffer)?;
            bytes += length as u64;
            let elapsed = clock::now().saturating_duration_since(start);
            if length == 0 || elapsed >= told + TOLD {
                told = elapsed;
                let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
                counts.push(Count { elapsed_us, bytes });
                tell(&counts, &mut during);
            }
            if length == 0 {
                break;
            }
        }
        Ok(counts)
    }

    fn is_over(&self, counts: &[Count]) -> bool {
        let elapsed = counts.last().map_or(0, |count| count.elapsed_us);
        elapsed >= u64::from(self.order.seconds) * 1_000_000
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.lines).take(LONGEST_LINE as u64);
        limited.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        String::from_utf8(line).map_err(io::Error::other)
    }
}

fn refused(to: SocketAddr, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return format!(
            "the far end takes no speed tests ({to}): is its pathweaved new enough, and \
             speed_test not false in the fleet file?"
        );
    }
    format!("no connection to {to}: {error}")
}

/// The mean of the last second or so.
fn tell(counts: &[Count], during: &mut impl FnMut(Count, f64)) {
    let Some(last) = counts.last() else { return };
    let lately = counts.len().saturating_sub(11);
    let recent = counts.get(lately..).unwrap_or_default();
    during(*last, rate(recent, Duration::ZERO).unwrap_or(0.0));
}

fn dial(way: &Way, to: SocketAddr) -> io::Result<TcpStream> {
    let (from, protocol) = match way {
        Way::Alone { from, .. } => (*from, Protocol::TCP),
        Way::Together { from } => (*from, Protocol::MPTCP),
    };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(protocol))?;
    if let Way::Alone { interface, .. } = way {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.bind(&SocketAddr::new(from, 0).into())?;
    // What is queued at the end is not worth sending.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// A connection begins slowly, and its further paths join: that is left out of its rate.
pub(super) fn warm_up(order: Order) -> Duration {
    let third = Duration::from_secs(order.seconds.into()) / 3;
    third.min(Duration::from_secs(2))
}

/// In bit/s, without the beginning; `None` where nothing arrived.
pub(super) fn rate(counts: &[Count], without: Duration) -> Option<f64> {
    let last = counts.last()?;
    let late = |count: &&Count| Duration::from_micros(count.elapsed_us) >= without;
    let first = counts.iter().find(late)?;
    let (elapsed, bytes) = (
        last.elapsed_us.checked_sub(first.elapsed_us)?,
        last.bytes.checked_sub(first.bytes)?,
    );
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = bytes as f64 * 8e6 / elapsed as f64;
    (elapsed > 0 && bytes > 0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_does_not_count() {
        let count = |(elapsed_us, bytes)| Count { elapsed_us, bytes };
        let counts = [
            (0, 0),
            (1_000_000, 100),
            (2_000_000, 1100),
            (3_000_000, 2100),
        ]
        .map(count);
        assert_eq!(rate(&counts, Duration::from_secs(1)), Some(8000.0));
        assert_eq!(rate(&counts, Duration::ZERO), Some(5600.0));
        assert_eq!(rate(&counts, Duration::from_secs(3)), None);
        assert_eq!(rate(&counts[..1], Duration::ZERO), None);
        assert_eq!(rate(&[], Duration::ZERO), None);
    }
}
