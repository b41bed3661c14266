//! What can be typed.

use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand};

use crate::apply::Apply;
use crate::bugreport::BugReport;
use crate::flows::FlowsArguments;
use crate::init::Init;
use crate::look::Look;
use crate::ping::PingArguments;
use crate::run::Run;
use crate::speed::SpeedArguments;
use crate::steer::Steer;

/// Asks and steers the pathweave daemon of this site.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The daemon's control socket.
    #[arg(
        long,
        global = true,
        env = "PATHWEAVE_SOCKET",
        value_name = "PATH",
        default_value = "/run/pathweave/pathweave.sock"
    )]
    pub(crate) socket: PathBuf,
    /// Machine-readable output, for every command that reads.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// auto, always or never; NO_COLOR is honoured.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        value_parser = color
    )]
    pub(crate) color: ColorChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a new private key, as `wg genkey` does.
    Genkey,
    /// Read a private key, print its public key, as `wg pubkey` does.
    Pubkey,
    /// Check a fleet file; nothing is changed.
    Check {
        #[arg(default_value = "/etc/pathweave/pathweave.toml")]
        file: PathBuf,
        /// This site's key, to tell which site of the file this machine is.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/pathweave/private.key"
        )]
        key: PathBuf,
    },
    /// Make this machine a site: key and fleet file, and what the other site needs.
    Init(Init),
    /// Put another fleet file in the place of this site's, and reload.
    Apply(Apply),
    /// Keep the fleet file that is on trial.
    Confirm,
    /// Start an unmodified program with MPTCP.
    Run(Run),
    /// Write one file that tells another person how this machine is; nothing secret is in it.
    Bugreport(BugReport),
    /// Let the daemon go on with what its fleet file says now. Unchanged paths do not notice.
    Reload {
        /// Only tell what it would mean.
        #[arg(long)]
        dry_run: bool,
    },
    /// All peers and paths. Exit code 1 when a path that should be up is not.
    Status(Look),
    /// The open connections to the peers: their programs, what each path carries of them, and
    /// which of them could be faster. With --json at once and without rates.
    Flows(FlowsArguments),
    /// Send echoes by every path to a peer: round trip, loss, whether packets of full size arrive.
    /// Exit code 1 when a path loses all of them.
    Ping(PingArguments),
    /// Measure how fast each path to a peer is alone, and all of them together.
    Speed(SpeedArguments),
    /// What monitoring reads, as Prometheus' text; with --json as JSON.
    Metrics,
    /// What is wrong, and what helps; the worst first. Exit code 1 when something is.
    Doctor,
    /// The other sites.
    #[command(subcommand)]
    Peer(PeerCommand),
    /// The paths to them.
    #[command(subcommand)]
    Path(PathCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// One line per peer.
    List(Look),
    /// One peer with its paths.
    Show {
        /// The peer's name, as in the fleet file.
        peer: String,
    },
    /// Write another site into the fleet file, and reload.
    Add(NewPeer),
    /// Take a site out of the fleet file, and reload.
    Remove {
        /// The site's name, as in the fleet file.
        peer: String,
        #[command(flatten)]
        edit: Edit,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PathCommand {
    /// One line per path.
    List(Look),
    /// Everything about one path.
    Show(Which),
    /// Bring a path back that was taken down.
    Up(Steer),
    /// Take a path out of use until it is brought back, or the daemon starts anew.
    Down(Steer),
    /// Write a `[[path]]` into the fleet file, and reload.
    Add(Pair),
    /// Take a path out of the fleet file, and reload.
    Remove(Pair),
}

/// How the fleet file is changed.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The fleet file; its comments and its order stay.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/pathweave.toml"
    )]
    pub(crate) config: PathBuf,
    /// Show what would change in the file and what it means; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A site to add.
#[derive(Debug, Args)]
pub(crate) struct NewPeer {
    /// Its name.
    pub(crate) peer: String,
    /// Its number, 1 to 254, that no other site has.
    #[arg(long, value_name = "N")]
    pub(crate) id: u8,
    /// What `pathweave pubkey` prints there.
    #[arg(long, value_name = "KEY")]
    pub(crate) public_key: String,
    /// One for each of its ISPs: NAME,interface=DEVICE,endpoint=HOST:PORT, or others of the file's
    /// keys for a link.
    #[arg(long = "link", value_name = "LINK", required = true)]
    pub(crate) links: Vec<String>,
    /// A network behind it.
    #[arg(long = "subnet", value_name = "NETWORK")]
    pub(crate) subnets: Vec<String>,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

/// Two links that make a path.
#[derive(Debug, Args)]
pub(crate) struct Pair {
    /// A link, as SITE/LINK.
    pub(crate) link: String,
    /// A link of another site, as SITE/LINK.
    pub(crate) other: String,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

/// One path.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The peer's name, as in the fleet file.
    pub(crate) peer: String,
    /// The path's number, from 1.
    pub(crate) path: u8,
}

fn color(text: &str) -> Result<ColorChoice, String> {
    match text {
        "auto" => Ok(ColorChoice::Auto),
        "always" => Ok(ColorChoice::Always),
        "never" => Ok(ColorChoice::Never),
        _ => Err("write auto, always or never".to_owned()),
    }
}
