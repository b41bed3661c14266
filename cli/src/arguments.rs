//! What can be typed.

use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand};

use crate::apply::Apply;
use crate::bugreport::BugReport;
use crate::completions::Shell;
use crate::flows::FlowsArguments;
use crate::init::Init;
use crate::look::Look;
use crate::manual::Pages;
use crate::ping::PingArguments;
use crate::run::Run;
use crate::speed::SpeedArguments;
use crate::steer::Steer;

/// Asks and steers the pathweave daemon of this site.
///
/// A pathweave site has one WireGuard tunnel for each pair of its ISPs and another site's; the
/// kernel's MPTCP sends one TCP connection over all of them. The daemon, pathweaved, makes them
/// and watches over them. This command asks it, takes paths out of use and brings them back, and
/// edits the fleet file.
///
/// Data goes to standard output, remarks to standard error. Commands that read need the group
/// pathweave; those that change anything need root.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The daemon's control socket
    #[arg(
        long,
        global = true,
        env = "PATHWEAVE_SOCKET",
        value_name = "PATH",
        default_value = "/run/pathweave/pathweave.sock"
    )]
    pub(crate) socket: PathBuf,
    /// Machine-readable output, for every command that reads: one line of JSON, whose "schema" is 1
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// auto, always or never; NO_COLOR is honoured
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
    ///
    /// The key is for /etc/pathweave/private.key of one site, and for nobody else: the daemon
    /// refuses a key that others may read. `pathweave pubkey` tells its public key.
    Genkey,
    /// Read a private key, print its public key, as `wg pubkey` does.
    ///
    /// The private key is read from standard input. The public key is what the fleet file wants as
    /// `public_key`; it is no secret.
    Pubkey,
    /// Check a fleet file; nothing is changed.
    ///
    /// All mistakes are shown at once, each with its line and its remedy; the exit code is 5 then.
    /// Where this site's key can be read, it is also told which site of the file this machine is.
    /// No daemon is needed.
    Check {
        /// The fleet file
        #[arg(default_value = "/etc/pathweave/pathweave.toml")]
        file: PathBuf,
        /// This site's key, to tell which site of the file this machine is
        #[arg(
            long,
            value_name = "FILE",
            default_value = "/etc/pathweave/private.key"
        )]
        key: PathBuf,
    },
    /// Make this machine a site: key and fleet file, and what the other site needs.
    ///
    /// It finds this machine's ISPs, proposes, and asks; nothing that is there already is written
    /// over. With --join this site is added to the fleet file of another one.
    Init(Init),
    /// Put another fleet file in the place of this site's, and reload.
    ///
    /// It is checked first, and what it means is shown. With --confirm-within the daemon only tries
    /// it: unless `pathweave confirm` comes in time, and also after a restart, the former one holds.
    /// So nobody who sits at the far end of a path locks himself out.
    Apply(Apply),
    /// Keep the fleet file that is on trial.
    ///
    /// It belongs to `pathweave apply --confirm-within`: the file is written to its place now.
    Confirm,
    /// Start an unmodified program with MPTCP.
    ///
    /// Its TCP connections use all paths then; the program at the other end needs MPTCP as well. A
    /// program for which that cannot be done is not started, and it is told why.
    Run(Run),
    /// Write one file that tells another person how this machine is; nothing secret is in it.
    ///
    /// Private keys are left out, addresses, names and public keys are replaced, each by the same
    /// stand-in throughout, unless --with-addresses is given.
    Bugreport(BugReport),
    /// Let the daemon go on with what its fleet file says now.
    ///
    /// Each change is told in a line. Paths that the file leaves alone do not notice: they keep
    /// their sessions, sockets and interfaces. A file with a mistake changes nothing. This site's
    /// id and key, the overlay and the path manager need a restart of the daemon instead.
    Reload {
        /// Only tell what it would mean
        #[arg(long)]
        dry_run: bool,
    },
    /// All peers and paths.
    ///
    /// One line for each path: its state, round trip, loss and packet size, how many subflows of
    /// open connections use it, what it has carried, and why it is not up. The exit code is 1 when
    /// a path that should be up is not; one that was taken down on purpose does not count.
    Status(Look),
    /// The open connections to the peers: their programs, what each path carries of them, and
    /// which of them could be faster. With --json at once and without rates.
    Flows(FlowsArguments),
    /// Send echoes by every path to a peer: round trip, loss, whether packets of full size arrive.
    /// Exit code 1 when a path loses all of them.
    Ping(PingArguments),
    /// Measure how fast each path to a peer is alone, and all of them together.
    Speed(SpeedArguments),
    /// Paths and what they carry, each second anew, with keys to take a path down and up.
    Top,
    /// What monitoring reads, as Prometheus' text; with --json as JSON.
    Metrics,
    /// What is wrong, and what helps; the worst first. Exit code 1 when something is.
    Doctor,
    /// The other sites: list, show, add, remove.
    ///
    /// A peer is another site of the fleet file.
    #[command(subcommand)]
    Peer(PeerCommand),
    /// The paths to them: list, show, up, down, add, remove.
    ///
    /// A path is a pair of a link of this site and one of a peer's. It is named by the peer and a
    /// number from 1, as `pathweave status` shows it.
    #[command(subcommand)]
    Path(PathCommand),
    /// Print a script that lets a shell complete this command.
    ///
    /// Packages install these scripts already. Otherwise put them where the shell looks for them,
    /// as below.
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the man pages of this command and all that it knows.
    #[command(hide = true)]
    Man(Pages),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// One line per peer.
    ///
    /// Its name and number, whether it is reachable, how many of its paths are up, its addresses.
    List(Look),
    /// One peer with its paths.
    ///
    /// As `pathweave status` shows it, without the others.
    Show {
        /// The peer's name, as in the fleet file
        peer: String,
    },
    /// Write another site into the fleet file, and reload.
    ///
    /// The new file is checked first, and is put back as it was if the daemon refuses it; without
    /// a running daemon it is only written. The other sites want the same file, and a reload of
    /// their own.
    Add(NewPeer),
    /// Take a site out of the fleet file, and reload.
    ///
    /// With it go its paths. Connections to other sites do not notice. The other sites want the
    /// same file, and a reload of their own.
    Remove {
        /// The site's name, as in the fleet file
        peer: String,
        #[command(flatten)]
        edit: Edit,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PathCommand {
    /// One line per path.
    ///
    /// The same as the lines of `pathweave status`, for all peers in one table.
    List(Look),
    /// Everything about one path.
    ///
    /// Its links, endpoints, interface and addresses, its state and since when, and what was
    /// measured on it.
    Show(Which),
    /// Bring a path back that was taken down.
    ///
    /// It carries data again once it has answered three probes; open connections get their subflow
    /// back.
    Up(Steer),
    /// Take a path out of use until it is brought back.
    ///
    /// What lay on it is sent again over the other paths at once, and the peer stops using it too.
    /// It lasts until `pathweave path up`, or until the daemon starts anew.
    Down(Steer),
    /// Write a `[[path]]` into the fleet file, and reload.
    ///
    /// Paths between the two sites that came about by the order of their links are written down
    /// then, so that they stay.
    Add(Pair),
    /// Take a path out of the fleet file, and reload.
    ///
    /// Its links stay in the file. Paths between the two sites that came about by the order of
    /// their links are written down then, so that they stay.
    Remove(Pair),
}

/// How the fleet file is changed.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The fleet file; its comments and its order stay
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/pathweave.toml"
    )]
    pub(crate) config: PathBuf,
    /// Show what would change in the file and what it means; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A site to add.
#[derive(Debug, Args)]
pub(crate) struct NewPeer {
    /// Its name
    pub(crate) peer: String,
    /// Its number, 1 to 254, that no other site has
    #[arg(long, value_name = "N")]
    pub(crate) id: u8,
    /// What `pathweave pubkey` prints there
    #[arg(long, value_name = "KEY")]
    pub(crate) public_key: String,
    /// One for each of its ISPs: NAME,interface=DEVICE,endpoint=HOST:PORT, or others of the file's
    /// keys for a link
    #[arg(long = "link", value_name = "LINK", required = true)]
    pub(crate) links: Vec<String>,
    /// A network behind it
    #[arg(long = "subnet", value_name = "NETWORK")]
    pub(crate) subnets: Vec<String>,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

/// Two links that make a path.
#[derive(Debug, Args)]
pub(crate) struct Pair {
    /// A link, as SITE/LINK
    pub(crate) link: String,
    /// A link of another site, as SITE/LINK
    pub(crate) other: String,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

/// One path.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The peer's name, as in the fleet file
    pub(crate) peer: String,
    /// The path's number, from 1
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
