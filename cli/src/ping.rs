//! `pathweave ping`: real packets by every path to a peer, there and back by the same one.
//!
//! An echo from A_k to the peer's site address goes by tunnel k (rule `from A_k`), and the answer
//! to A_k comes by tunnel k: A_k is routed so at the peer. Only A_1 is the site address, and
//! travels by the path that carries those: while that is not path 1, path 1 cannot be asked this
//! way, and what the daemon's own probes say of it is shown.

mod echo;
mod show;
mod socket;
mod tally;

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use console::Term;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pathweaved::control::{PathState, PathStatus, PeerStatus};
use pathweaved::runtime::clock;

use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::report::peers;
use crate::seconds::{interval, seconds};
use crate::style::Style;
use socket::EchoSocket;
use tally::Tally;

/// Bytes of an echo's IP packet, as ping(8)'s in IPv4.
const SIZE: usize = 84;

#[derive(Debug, Args)]
pub(crate) struct PingArguments {
    /// The peer's name, as in the fleet file.
    peer: String,
    /// Only this path.
    #[arg(long, value_name = "N")]
    path: Option<u8>,
    /// Echoes on each path; 0: until it is interrupted.
    #[arg(short, long, default_value_t = 5)]
    count: u32,
    /// Seconds between two of them.
    #[arg(short, long, value_name = "SECONDS", default_value = "0.5", value_parser = interval)]
    interval: Duration,
    /// Seconds to wait for the last answers.
    #[arg(
        short = 'W',
        long,
        value_name = "SECONDS",
        default_value = "1",
        value_parser = wait
    )]
    wait: Duration,
    /// By the overlay's IPv6 addresses.
    #[arg(short = '6', long)]
    ipv6: bool,
}

fn wait(text: &str) -> Result<Duration, String> {
    seconds(text, 0.0)
}

/// How a path is asked.
#[derive(Debug)]
enum Way {
    Echoes(EchoSocket),
    /// It cannot be asked: what is known of it is what the daemon says.
    Daemon(&'static str),
    /// It has no interface, or no address.
    Dead(String),
    /// Its operator has taken it down: nobody expects an answer.
    Aside,
}

#[derive(Debug)]
struct Run {
    path: PathStatus,
    way: Way,
    tally: Tally,
}

impl Run {
    /// No echo came back of a path that should answer.
    fn is_lost(&self) -> bool {
        match self.way {
            Way::Echoes(_) => self.tally.received == 0,
            Way::Dead(_) => true,
            Way::Daemon(_) | Way::Aside => false,
        }
    }
}

/// Exit code 1 when a path lost everything.
pub(crate) fn ping(
    arguments: &PingArguments,
    client: &Client,
    json: bool,
) -> Result<ExitCode, Failure> {
    let status = client.status()?;
    let peer = peers::find(&arguments.peer, &status.peers)?;
    let paths = match arguments.path {
        Some(number) => std::slice::from_ref(peers::find_path(peer, number)?),
        None => peer.paths.as_slice(),
    };
    let to = address(peer, arguments.ipv6)?;
    let runs = paths.iter().map(|path| {
        Ok::<_, Failure>(Run {
            way: way(path, to)?,
            path: path.clone(),
            tally: Tally::default(),
        })
    });
    let mut pinger = Pinger {
        client,
        peer,
        to,
        runs: runs.collect::<Result<_, Failure>>()?,
        frames: Frames::of(json),
    };
    pinger.run(arguments)?;
    if json {
        output::json(&show::document(&pinger.peer.site, to, &pinger.runs))?;
    } else if !matches!(pinger.frames, Frames::Table { .. }) {
        output::data(&pinger.table())?;
    }
    let lost = pinger.runs.iter().any(Run::is_lost);
    Ok(ExitCode::from(u8::from(lost)))
}

fn address(peer: &PeerStatus, v6: bool) -> Result<IpAddr, Failure> {
    let (text, family) = match v6 {
        true => (&peer.address6, "IPv6"),
        false => (&peer.address, "IPv4"),
    };
    let address = text.as_ref().and_then(|text| text.parse().ok());
    address.ok_or_else(|| {
        let other = if v6 { "leave -6 out" } else { "try -6" };
        Failure::Other(format!("the overlay has no {family} addresses: {other}"))
    })
}

fn way(path: &PathStatus, to: IpAddr) -> Result<Way, Failure> {
    if path.state == PathState::AdminDown {
        return Ok(Way::Aside);
    }
    if path.path == 1 && path.state == PathState::Up && !path.site_path {
        return Ok(Way::Daemon(
            "the site address travels by another path: figures of the daemon's own probes",
        ));
    }
    let from = match to {
        IpAddr::V4(_) => &path.overlay_address,
        IpAddr::V6(_) => &path.overlay_address6,
    };
    let Some(from) = from.as_ref().and_then(|text| text.parse().ok()) else {
        return Ok(Way::Dead("it has no overlay address".to_owned()));
    };
    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    let id = (std::process::id() as u16).rotate_left(4) ^ u16::from(path.path);
    match EchoSocket::open(from, to, &path.interface, id) {
        Ok(socket) => Ok(Way::Echoes(socket)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Failure::NotPermitted(
                "echoes may not be sent: try again with sudo, or let users send them with \
                 `sudo sysctl net.ipv4.ping_group_range=\"0 2147483647\"`"
                    .to_owned(),
            ))
        }
        Err(error) => Ok(Way::Dead(format!("{}: {error}", path.interface))),
    }
}

/// What is seen while it runs.
#[derive(Debug)]
enum Frames {
    /// Nothing, for JSON.
    None,
    /// A line for each path and round.
    Lines,
    /// A table in place of the last one.
    Table { term: Term, lines: usize },
}

impl Frames {
    fn of(json: bool) -> Self {
        let term = Term::stdout();
        match (json, term.is_term()) {
            (true, _) => Self::None,
            (false, false) => Self::Lines,
            (false, true) => Self::Table { term, lines: 0 },
        }
    }
}

#[derive(Debug)]
struct Pinger<'a> {
    client: &'a Client,
    peer: &'a PeerStatus,
    to: IpAddr,
    runs: Vec<Run>,
    frames: Frames,
}

impl Pinger<'_> {
    /// Round after round, until all are done or nobody reads any more.
    fn run(&mut self, arguments: &PingArguments) -> Result<(), Failure> {
        let asked = |run: &Run| matches!(run.way, Way::Echoes(_));
        if !self.runs.iter().any(asked) {
            return self.draw(1).map(|_| ());
        }
        let start = clock::now();
        let mut round = 0;
        while arguments.count == 0 || round < arguments.count {
            self.send();
            round += 1;
            if round == arguments.count {
                self.listen(clock::now() + arguments.wait, true);
            } else {
                self.listen(start + arguments.interval * round, false);
            }
            self.refresh();
            if !self.draw(round)? {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self) {
        for run in &mut self.runs {
            let Way::Echoes(socket) = &run.way else {
                continue;
            };
            let full = run.tally.send_full_size();
            let sequence = run.tally.send(clock::now());
            socket.send(sequence, SIZE);
            if let Some(sequence) = full {
                socket.send(sequence, run.path.mtu.into());
            }
        }
    }

    /// Takes replies until then, or until all have come.
    fn listen(&mut self, until: Instant, or_all: bool) {
        loop {
            let now = clock::now();
            let complete = self.runs.iter().all(|run| run.tally.is_complete());
            if now >= until || (or_all && complete) {
                return;
            }
            self.wait_for_one(until - now);
            let now = clock::now();
            for run in &mut self.runs {
                if let Way::Echoes(socket) = &run.way {
                    for sequence in socket.receive() {
                        run.tally.receive(sequence, now);
                    }
                }
            }
        }
    }

    /// What the daemon says of the paths now; where it says nothing, what it said stays.
    fn refresh(&mut self) {
        let Ok(status) = self.client.status() else {
            return;
        };
        let peer = status.peers.iter().find(|peer| peer.site == self.peer.site);
        for now in peer.into_iter().flat_map(|peer| &peer.paths) {
            let mut runs = self.runs.iter_mut();
            if let Some(run) = runs.find(|run| run.path.path == now.path) {
                run.path = now.clone();
            }
        }
    }

    fn wait_for_one(&self, patience: Duration) {
        let sockets = self.runs.iter().filter_map(|run| match &run.way {
            Way::Echoes(socket) => Some(PollFd::new(socket.as_fd(), PollFlags::POLLIN)),
            Way::Daemon(_) | Way::Dead(_) | Way::Aside => None,
        });
        let mut sockets: Vec<_> = sockets.collect();
        // Rounded up: a wait of less than a millisecond would be none at all.
        let patience = patience + Duration::from_millis(1);
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        if poll(&mut sockets, patience).is_err() {
            // A signal ends the wait early, and it is waited again.
        }
    }

    fn table(&self) -> String {
        show::table_of(&self.peer.site, self.to, &self.runs, Style::of_stdout())
    }

    /// False when nobody reads any more.
    fn draw(&mut self, round: u32) -> Result<bool, Failure> {
        let table = self.table();
        match &mut self.frames {
            Frames::None => Ok(true),
            Frames::Lines => output::data_or_gone(&show::lines(round, &self.runs)),
            Frames::Table { term, lines } => {
                if term.clear_last_lines(*lines).is_err() {
                    // A terminal that cannot go back shows one table below the other.
                }
                *lines = table.lines().count();
                output::data_or_gone(&table)
            }
        }
    }
}
