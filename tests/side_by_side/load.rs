//! The loads: iperf3 in bulk and both ways, small packets, a ping-pong for the round trip.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::contender::Contender;
use crate::cpu::Moment;
use crate::small;

const PORT: u16 = 5201;
const ECHO: u16 = 7;
const ROUND_TRIPS: usize = 3000;
const GIGABYTE: f64 = 1e9;

/// One round's figures. `None`: this contender was not asked, or it does not say.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub gbit_per_s: Option<f64>,
    pub cpu_s_per_gb: Option<f64>,
    pub retransmits: Option<f64>,
    pub segments_per_send: Option<f64>,
    /// Both ways together, divided by one way.
    pub duplex: Option<f64>,
    pub packets_per_s: Option<f64>,
    /// Round trips in µs: median and 99th of a hundred.
    pub idle_p50: Option<f64>,
    pub idle_p99: Option<f64>,
    pub loaded_p50: Option<f64>,
    pub loaded_p99: Option<f64>,
}

/// A datagram came through and back.
pub fn carries(contender: &Contender) -> anyhow::Result<bool> {
    let round_trips = RoundTrips::start(contender)?;
    Ok(!round_trips.wait(1000).is_empty())
}

pub fn measure(contender: &Contender, time: Duration) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    bulk(contender, time, &mut figures)?;
    if contender.kind.is_mptcp() {
        return Ok(figures);
    }
    let both = iperf(contender, time, &["--bidir"])?;
    let rate = |key: &str| number(&both, &["end", key, "bits_per_second"]);
    let both = rate("sum_received")? + rate("sum_received_bidir_reverse")?;
    figures.duplex = figures.gbit_per_s.map(|one| both / 1e9 / one);
    figures.packets_per_s = Some(small::packets_per_second(contender, time)?);
    let idle = RoundTrips::start(contender)?.wait(ROUND_TRIPS);
    (figures.idle_p50, figures.idle_p99) = (quantile(&idle, 50), quantile(&idle, 99));
    let loaded = RoundTrips::start(contender)?;
    iperf(contender, time, &[])?;
    let loaded = loaded.wait(0);
    (figures.loaded_p50, figures.loaded_p99) = (quantile(&loaded, 50), quantile(&loaded, 99));
    Ok(figures)
}

/// One TCP stream, or one MPTCP connection.
fn bulk(contender: &Contender, time: Duration, figures: &mut Figures) -> anyhow::Result<()> {
    let pids: Vec<_> = contender
        .daemons
        .iter()
        .map(|daemon| daemon.pid())
        .collect();
    let (sends, before) = (Sends::now(contender), Moment::now(&pids));
    let report = iperf(contender, time, &[])?;
    let cost = before.until(Moment::now(&pids));
    let bytes = number(&report, &["end", "sum_received", "bytes"])?;
    let rate = number(&report, &["end", "sum_received", "bits_per_second"])?;
    figures.gbit_per_s = Some(rate / 1e9);
    figures.cpu_s_per_gb = Some(cost.as_secs_f64() / (bytes / GIGABYTE));
    figures.retransmits = number(&report, &["end", "sum_sent", "retransmits"]).ok();
    figures.segments_per_send = sends.zip(Sends::now(contender)).map(|(a, b)| a.until(b));
    Ok(())
}

/// What the near daemon handed to UDP.
#[derive(Clone, Copy, Debug)]
struct Sends {
    /// Sends, each of one datagram or of many by segmentation offload.
    sends: f64,
    bytes: f64,
    mtu: f64,
}

impl Sends {
    fn now(contender: &Contender) -> Option<Self> {
        let status = contender.home.as_ref()?.status().ok()?;
        let paths = || status.peers.iter().flat_map(|peer| &peer.paths);
        let snmp = contender.near.shell("cat /proc/net/snmp");
        let udp: Vec<_> = snmp
            .lines()
            .filter(|line| line.starts_with("Udp: "))
            .collect();
        let place = udp
            .first()?
            .split(' ')
            .position(|word| word == "OutDatagrams")?;
        Some(Self {
            sends: udp.get(1)?.split(' ').nth(place)?.parse().ok()?,
            bytes: paths().map(|path| path.tx_bytes as f64).sum(),
            mtu: f64::from(paths().next()?.mtu),
        })
    }

    fn until(self, later: Self) -> f64 {
        (later.bytes - self.bytes) / self.mtu / (later.sends - self.sends)
    }
}

fn iperf(contender: &Contender, time: Duration, more: &[&str]) -> anyhow::Result<Value> {
    let mut server = serve(contender)?;
    let (program, first): (_, &[&str]) = if contender.kind.is_mptcp() {
        ("mptcpize", &["run", "iperf3"])
    } else {
        ("iperf3", &[])
    };
    let seconds = time.as_secs().to_string();
    let mut client = contender.near.command(program)?;
    client.args(first).args(["--json", "--time", &seconds]);
    client
        .args(["--client", &contender.address.to_string()])
        .args(more);
    let output = client.output().context("iperf3 is not installed")?;
    server.wait()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let error = report.get("error").map(ToString::to_string);
    ensure!(error.is_none(), "{}: iperf3: {error:?}", contender.name());
    Ok(report)
}

/// An iperf3 server for one client; ready when it listens.
fn serve(contender: &Contender) -> anyhow::Result<Child> {
    let (program, first): (_, &[&str]) = if contender.kind.is_mptcp() {
        ("mptcpize", &["run", "iperf3"])
    } else {
        ("iperf3", &[])
    };
    let mut command = contender.far.command(program)?;
    command.args(first).args(["--server", "--one-off"]);
    let server = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    let listening = format!("ss -Hltn 'sport = :{PORT}'");
    while contender.far.shell(&listening).is_empty() {
        ensure!(Instant::now() < deadline, "iperf3 does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

fn number(report: &Value, keys: &[&str]) -> anyhow::Result<f64> {
    let found = keys.iter().try_fold(report, |value, key| value.get(key));
    let found = found.and_then(Value::as_f64);
    found.with_context(|| format!("iperf3 does not tell {}", keys.join(".")))
}

/// A ping-pong of 64-byte packets in the background.
#[derive(Debug)]
struct RoundTrips {
    enough: Arc<AtomicBool>,
    pinger: JoinHandle<Vec<f64>>,
    echo: JoinHandle<()>,
}

impl RoundTrips {
    fn start(contender: &Contender) -> anyhow::Result<Self> {
        let far: SocketAddr = (contender.address, ECHO).into();
        let answering = contender.far.enter(move || UdpSocket::bind(far))?;
        let asking = contender.near.enter(move || {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(far)?;
            Ok(socket)
        })?;
        for socket in [&answering, &asking] {
            socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        }
        let enough = Arc::new(AtomicBool::new(false));
        let (stop, stop_echo) = (enough.clone(), enough.clone());
        Ok(Self {
            enough,
            pinger: std::thread::spawn(move || ping(&asking, &stop)),
            echo: std::thread::spawn(move || echo(&answering, &stop_echo)),
        })
    }

    /// Ends when there are at least so many.
    fn wait(self, least: usize) -> Vec<f64> {
        std::thread::sleep(Duration::from_micros(150) * u32::try_from(least).unwrap_or(u32::MAX));
        self.enough.store(true, Relaxed);
        self.echo.join().unwrap();
        let mut times = self.pinger.join().unwrap();
        times.sort_by(f64::total_cmp);
        times
    }
}

fn ping(socket: &UdpSocket, enough: &AtomicBool) -> Vec<f64> {
    let (mut times, mut buffer) = (Vec::new(), [0; 36]);
    while !enough.load(Relaxed) {
        let start = Instant::now();
        let answered = socket.send(&buffer).is_ok() && socket.recv(&mut buffer).is_ok();
        if answered {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    times
}

fn echo(socket: &UdpSocket, enough: &AtomicBool) {
    let mut buffer = [0; 64];
    while !enough.load(Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && socket.send_to(&buffer[..length], from).is_err()
        {
            eprintln!("an echo was not sent");
        }
    }
}

/// Of sorted values.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    sorted.get(sorted.len() * percent / 100).copied()
}
