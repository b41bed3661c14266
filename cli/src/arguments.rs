//! What can be typed.

use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand};

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
    /// All peers and paths. Exit code 1 when a path that should be up is not.
    Status,
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
    List,
    /// One peer with its paths.
    Show {
        /// The peer's name, as in the fleet file.
        peer: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PathCommand {
    /// One line per path.
    List,
    /// Everything about one path.
    Show(Which),
    /// Bring a path back that was taken down.
    Up(Which),
    /// Take a path out of use until it is brought back, or the daemon starts anew.
    Down(Which),
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
