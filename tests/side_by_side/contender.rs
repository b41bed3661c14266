//! Who takes part: how each is started between two namespaces, and what it is called.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use lab::daemon::Daemon;
use lab::namespace::Namespace;
use tempfile::TempDir;

use crate::wire::Wire;

/// Inner addresses of the rivals' tunnels.
const INNER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 66, 0, 1), Ipv4Addr::new(10, 66, 0, 2)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Veth,
    /// Plain TCP over one tunnel.
    Pathweave,
    /// One MPTCP connection over so many tunnels.
    Mptcp(u8),
    WireGuardGo,
    GotaTun,
    BoringTun,
    OpenVpn,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Veth,
        Self::Pathweave,
        Self::WireGuardGo,
        Self::GotaTun,
        Self::BoringTun,
        Self::OpenVpn,
        Self::Mptcp(1),
        Self::Mptcp(2),
        Self::Mptcp(4),
        Self::Mptcp(6),
    ];

    pub fn name(self) -> String {
        match self {
            Self::Veth => "veth".into(),
            Self::Pathweave => "pathweave".into(),
            Self::Mptcp(tunnels) => format!("pathweave-mptcp-{tunnels}"),
            Self::WireGuardGo => "wireguard-go".into(),
            Self::GotaTun => "gotatun".into(),
            Self::BoringTun => "boringtun-cli".into(),
            Self::OpenVpn => "openvpn".into(),
        }
    }

    pub fn is_mptcp(self) -> bool {
        matches!(self, Self::Mptcp(_))
    }

    fn program(self) -> &'static str {
        match self {
            Self::Veth | Self::Pathweave | Self::Mptcp(_) => "pathweaved",
            Self::WireGuardGo => "wireguard-go",
            Self::GotaTun => "gotatun",
            Self::BoringTun => "boringtun-cli",
            Self::OpenVpn => "openvpn",
        }
    }
}

/// A contender that runs.
#[derive(Debug)]
pub struct Contender {
    pub kind: Kind,
    pub version: String,
    pub near: Namespace,
    pub far: Namespace,
    /// Where the far end's servers are reached through the tunnel.
    pub address: Ipv4Addr,
    /// Of pathweave: the near daemon, to be asked for its counters.
    pub home: Option<lab::daemon::Home>,
    pub daemons: Vec<Running>,
    _folder: TempDir,
}

/// A program that ends with the bench.
#[derive(Debug)]
pub enum Running {
    Rival(Child),
    Pathweave(Daemon),
}

impl Running {
    pub fn pid(&self) -> u32 {
        match self {
            Self::Rival(child) => child.id(),
            Self::Pathweave(daemon) => daemon.pid(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Rival(child) = self
            && child
                .kill()
                .and_then(|()| child.wait().map(|_| ()))
                .is_err()
        {
            eprintln!("process {} could not be ended", child.id());
        }
    }
}

impl Contender {
    /// `Err` says why it cannot take part.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        let version = version(kind)?;
        let links = if let Kind::Mptcp(tunnels) = kind {
            tunnels
        } else {
            1
        };
        let wire = Wire::new(links)?;
        let folder = tempfile::tempdir()?;
        let (mut daemons, mut home, mut address) = (Vec::new(), None, INNER[1]);
        match kind {
            Kind::Veth => address = Ipv4Addr::new(198, 18, 1, 2),
            Kind::Pathweave | Kind::Mptcp(_) => {
                let (near, running) = crate::pathweave::start(&wire, links, folder.path())?;
                (home, daemons, address) = (Some(near), running, Ipv4Addr::new(10, 213, 2, 1));
            }
            Kind::WireGuardGo | Kind::GotaTun | Kind::BoringTun => {
                daemons = wireguard(kind, &wire, folder.path())?;
            }
            Kind::OpenVpn => daemons = openvpn(&wire, folder.path())?,
        }
        let contender = Self {
            kind,
            version,
            near: wire.near,
            far: wire.far,
            address,
            home,
            daemons,
            _folder: folder,
        };
        contender.wait_until_it_carries()?;
        Ok(contender)
    }

    pub fn name(&self) -> String {
        self.kind.name()
    }

    fn wait_until_it_carries(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline {
            // An error: its address is not there yet.
            if crate::load::carries(self).unwrap_or(false) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("{} carried nothing within 15 s", self.name())
    }
}

fn version(kind: Kind) -> anyhow::Result<String> {
    if kind == Kind::Veth {
        return Ok("no tunnel".to_owned());
    }
    let program = match kind {
        Kind::Pathweave | Kind::Mptcp(_) => lab::daemon::binary("pathweaved"),
        Kind::Veth | Kind::WireGuardGo | Kind::GotaTun | Kind::BoringTun | Kind::OpenVpn => {
            kind.program().into()
        }
    };
    let output = Command::new(&program).arg("--version").output();
    let output = output.with_context(|| format!("{} is not installed", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or("?").to_owned())
}

fn spawn(namespace: &Namespace, kind: Kind, arguments: &[&str]) -> anyhow::Result<Running> {
    let mut command = namespace.command(kind.program())?;
    let command = command.args(arguments).env("WG_PROCESS_FOREGROUND", "1");
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Running::Rival(child))
}

/// A rival that is steered by `wg`.
fn wireguard(kind: Kind, wire: &Wire, folder: &Path) -> anyhow::Result<Vec<Running>> {
    let ends = ["near", "far"];
    let key = |end: &str| {
        let file = folder.join(end).display().to_string();
        let line = format!("umask 077; wg genkey > {file}; wg pubkey < {file}");
        (file, wire.near.shell(&line).trim().to_owned())
    };
    let keys = ends.map(key);
    let mut running = Vec::new();
    for (at, (namespace, _, remote)) in wire.ends().into_iter().enumerate() {
        // Their control sockets share one folder of the machine.
        let device = format!("b{}{}{at}", std::process::id(), &kind.program()[..1]);
        let arguments: &[&str] = match kind {
            Kind::WireGuardGo => &["-f", &device],
            Kind::Veth
            | Kind::Pathweave
            | Kind::Mptcp(_)
            | Kind::GotaTun
            | Kind::BoringTun
            | Kind::OpenVpn => &["--foreground", "--disable-drop-privileges", &device],
        };
        running.push(spawn(namespace, kind, arguments)?);
        std::thread::sleep(Duration::from_millis(500));
        let ((file, _), (_, peer)) = (&keys[at], &keys[1 - at]);
        namespace.shell(&format!(
            "wg set {device} listen-port 51820 private-key {file} peer {peer} endpoint \
             {remote}:51820 allowed-ips 10.66.0.0/24
             ip addr add {}/24 dev {device}; ip link set {device} mtu 1420 up",
            INNER[at]
        ));
    }
    Ok(running)
}

fn openvpn(wire: &Wire, folder: &Path) -> anyhow::Result<Vec<Running>> {
    let mut fingerprints = Vec::new();
    for end in ["near", "far"] {
        let file = folder.join(end).display().to_string();
        let print = wire.near.shell(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout {file}.key -out {file}.crt -subj /CN={end} 2>/dev/null
             openssl x509 -in {file}.crt -noout -fingerprint -sha256"
        ));
        let print = print.trim().split('=').nth(1).context("no fingerprint")?;
        fingerprints.push(print.to_owned());
    }
    let mut running = Vec::new();
    for (at, (namespace, local, remote)) in wire.ends().into_iter().enumerate() {
        let end = ["near", "far"][at];
        let file = folder.join(end).display().to_string();
        let role = ["tls-client", "tls-server"][at];
        let configuration = format!(
            "dev tun0\nproto udp\nlocal {local}\nremote {remote}\nport 1194\n{role}\n\
             cert {file}.crt\nkey {file}.key\npeer-fingerprint {}\ndh none\n\
             data-ciphers CHACHA20-POLY1305\ncipher CHACHA20-POLY1305\ndisable-dco\n\
             ifconfig {} {}\ntun-mtu 1420\nmssfix 0\nsndbuf 4194304\nrcvbuf 4194304\n\
             txqueuelen 1000\n",
            fingerprints[1 - at],
            INNER[at],
            INNER[1 - at]
        );
        let path = format!("{file}.conf");
        fs::write(&path, configuration)?;
        running.push(spawn(namespace, Kind::OpenVpn, &["--config", &path])?);
    }
    Ok(running)
}
