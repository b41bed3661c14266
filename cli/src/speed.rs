//! `pathweave speed`: how fast each path is alone, and how fast all of them are together.
//!
//! Alone: plain TCP from A_k, which tunnel k carries there and back. Together: MPTCP from the site
//! address. The far end is the peer's daemon.

mod meter;
mod show;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pathweaved::control::speed::{Count, Direction, LONGEST, Order};
use pathweaved::control::{Flow, PathState, PathStatus, PeerStatus, Status};

use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::render::units::bits;
use crate::report::peers;
use crate::style::Style;
use meter::{Meter, Way};

#[derive(Debug, Args)]
pub(crate) struct SpeedArguments {
    /// The peer's name, as in the fleet file.
    peer: String,
    /// Only this path, alone.
    #[arg(long, value_name = "N")]
    path: Option<u8>,
    /// Seconds for each measurement.
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        default_value_t = 5,
        value_parser = clap::value_parser!(u8).range(2..=i64::from(LONGEST))
    )]
    time: u8,
    /// From the peer to here.
    #[arg(short, long)]
    reverse: bool,
    /// Use links, too, that cost money for what they carry.
    #[arg(long)]
    metered: bool,
    /// By the overlay's IPv6 addresses.
    #[arg(short = '6', long)]
    ipv6: bool,
}

/// What was measured at once.
#[derive(Clone, Debug)]
struct Measured {
    /// Of what arrived, in bit/s.
    rate: f64,
    /// The connection's flows at its end.
    flows: Vec<Flow>,
}

/// One path alone; or why it was not measured.
#[derive(Debug)]
struct Alone {
    path: PathStatus,
    measured: Result<Measured, String>,
}

#[derive(Debug)]
struct Outcome {
    peer: String,
    order: Order,
    alone: Vec<Alone>,
    /// `None`: not asked for, or of one path only.
    together: Option<Result<Measured, String>>,
}

pub(crate) fn speed(
    arguments: &SpeedArguments,
    client: &Client,
    json: bool,
) -> Result<(), Failure> {
    let status = client.status()?;
    let peer = peers::find(&arguments.peer, &status.peers)?;
    let paths = match arguments.path {
        Some(number) => std::slice::from_ref(peers::find_path(peer, number)?),
        None => peer.paths.as_slice(),
    };
    refuse_metered(peer, paths, arguments)?;
    let tester = Tester::new(&status, peer, arguments, client)?;
    let outcome = tester.run(paths, arguments.path.is_none());
    if json {
        output::json(&show::document(&outcome))?;
    } else {
        let text = show::outcome(&outcome, Style::of_stdout());
        output::data(&text)?;
    }
    outcome.failure().map_or(Ok(()), Err)
}

impl Outcome {
    /// A path that is up, or all of them, could not be measured.
    fn failure(&self) -> Option<Failure> {
        let together = self.together.iter().any(Result::is_err);
        let nothing = self.alone.iter().all(|alone| alone.measured.is_err());
        (together || nothing)
            .then(|| Failure::Other("not everything could be measured, see above".to_owned()))
    }
}

/// Money is spent by wish only.
fn refuse_metered(
    peer: &PeerStatus,
    paths: &[PathStatus],
    arguments: &SpeedArguments,
) -> Result<(), Failure> {
    let metered = paths.iter().find(|path| path.metered);
    let Some(path) = metered.filter(|_| !arguments.metered) else {
        return Ok(());
    };
    Err(Failure::Other(format!(
        "path {} to {} ({} → {}) has a metered link, and this would send as much as it carries: \
         say --metered if it may cost that, or name another path with --path",
        path.path, peer.site, path.link, path.remote_link
    )))
}

struct Tester<'a> {
    client: &'a Client,
    peer: &'a PeerStatus,
    /// This site's address.
    from: IpAddr,
    to: SocketAddr,
    order: Order,
}

impl<'a> Tester<'a> {
    fn new(
        status: &Status,
        peer: &'a PeerStatus,
        arguments: &SpeedArguments,
        client: &'a Client,
    ) -> Result<Self, Failure> {
        let site = &status.site;
        let (ours, theirs) = match arguments.ipv6 {
            true => (&site.address6, &peer.address6),
            false => (&site.address, &peer.address),
        };
        let parse = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        let (Some(from), Some(to)) = (parse(ours), parse(theirs)) else {
            let other = if arguments.ipv6 {
                "leave -6 out"
            } else {
                "try -6"
            };
            return Err(Failure::Other(format!(
                "the overlay has no addresses of this family: {other}"
            )));
        };
        if site.listen_port == 0 {
            return Err(Failure::Other(
                "the daemon is too old for this: install pathweaved of this command's version"
                    .to_owned(),
            ));
        }
        Ok(Self {
            client,
            peer,
            from,
            to: SocketAddr::new(to, site.listen_port),
            order: Order {
                direction: if arguments.reverse {
                    Direction::Down
                } else {
                    Direction::Up
                },
                seconds: arguments.time,
            },
        })
    }

    fn run(&self, paths: &[PathStatus], also_together: bool) -> Outcome {
        let alone: Vec<_> = paths.iter().map(|path| self.alone(path)).collect();
        let up = paths.iter().filter(|path| path.state == PathState::Up);
        let together = (also_together && up.count() > 1).then(|| {
            let way = Way::Together { from: self.from };
            self.measure("together", &way)
        });
        Outcome {
            peer: self.peer.site.clone(),
            order: self.order,
            alone,
            together,
        }
    }

    fn alone(&self, path: &PathStatus) -> Alone {
        let measured = self.way(path).and_then(|way| {
            let name = format!("path {} ({} → {})", path.path, path.link, path.remote_link);
            self.measure(&name, &way)
        });
        Alone {
            path: path.clone(),
            measured,
        }
    }

    fn way(&self, path: &PathStatus) -> Result<Way, String> {
        if path.state != PathState::Up {
            let reason = path.reason.clone();
            return Err(reason.unwrap_or_else(|| "it is not up".to_owned()));
        }
        if path.path == 1 && !path.site_path {
            return Err(
                "the site address travels by another path, so this one has no address of its own \
                 to be measured by"
                    .to_owned(),
            );
        }
        let from = match self.from {
            IpAddr::V4(_) => &path.overlay_address,
            IpAddr::V6(_) => &path.overlay_address6,
        };
        let from = from.as_ref().and_then(|text| text.parse().ok());
        Ok(Way::Alone {
            from: from.ok_or("it has no overlay address")?,
            interface: path.interface.clone(),
        })
    }

    fn measure(&self, name: &str, way: &Way) -> Result<Measured, String> {
        let bar = bar(name, self.order);
        let mut meter = Meter::connect(way, self.to, self.order)?;
        let counts = meter.run(|count, rate| {
            bar.set_position(count.elapsed_us / 1000);
            bar.set_message(bits(rate));
        });
        let flows = self.flows_of(&meter);
        drop(meter);
        bar.finish_and_clear();
        let counts: Vec<Count> = counts?;
        let rate = meter::rate(&counts, meter::warm_up(self.order));
        Ok(Measured {
            rate: rate.ok_or("nothing arrived")?,
            flows,
        })
    }

    /// Figures beside the rate: without them it is told all the same.
    fn flows_of(&self, meter: &Meter) -> Vec<Flow> {
        let Ok(all) = self.client.flows() else {
            return Vec::new();
        };
        let mut connections = all.connections.into_iter();
        let ours = connections.find(|one| Some(one.local) == meter.local);
        ours.map_or_else(Vec::new, |connection| connection.flows)
    }
}

/// On stderr, and only where that is a terminal.
fn bar(name: &str, order: Order) -> ProgressBar {
    let time = Duration::from_secs(order.seconds.into());
    let length = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length).with_style(style);
    bar.with_prefix(name.to_owned())
}
