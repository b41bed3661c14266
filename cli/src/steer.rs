//! `path up`, `path down`: by hand, until the daemon's next start.

use clap::Args;
use pathweaved::control::{AdminState, PathState, PathStatus, PeerStatus};

use crate::arguments::Which;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::report::peers;

/// A path to take up or down.
#[derive(Debug, Args)]
pub(crate) struct Steer {
    #[command(flatten)]
    which: Which,
    /// Only tell what it would mean.
    #[arg(long)]
    dry_run: bool,
}

impl Steer {
    pub(crate) fn steer(&self, client: &Client, wish: AdminState) -> Result<(), Failure> {
        let status = client.status()?;
        let peer = peers::find(&self.which.peer, &status.peers)?;
        let path = peers::find_path(peer, self.which.path)?;
        if self.dry_run {
            return output::data(&(meaning(peer, path, wish) + "\n"));
        }
        client.set_admin(&peer.site, path.path, wish)
    }
}

fn meaning(peer: &PeerStatus, path: &PathStatus, wish: AdminState) -> String {
    let (number, name) = (path.path, &peer.site);
    let others: Vec<_> = peer
        .paths
        .iter()
        .filter(|other| other.path != number && other.state == PathState::Up)
        .map(|other| other.path.to_string())
        .collect();
    let is_down = path.state == PathState::AdminDown;
    let moving = match path.subflows {
        0 => "nothing moves".to_owned(),
        1 => "what 1 subflow carries moves".to_owned(),
        count => format!("what {count} subflows carry moves"),
    };
    match (wish, path.state, others.as_slice()) {
        (AdminState::Up, _, _) if !is_down => {
            format!("path {number} to {name} was not taken down: nothing would change")
        }
        (AdminState::Up, _, _) => {
            format!("path {number} to {name} would be tried, and used as soon as it answers")
        }
        (AdminState::Down, PathState::AdminDown, _) => {
            format!("path {number} to {name} is taken down already: nothing would change")
        }
        (AdminState::Down, PathState::Up, []) => format!(
            "path {number} is the last live path to {name}: connections would stand still until \
             it is brought back, and this machine is cut off if you came over it"
        ),
        (AdminState::Down, PathState::Up, others) => format!(
            "path {number} to {name} would go out of use: {moving} to path {}",
            others.join(", ")
        ),
        (AdminState::Down, PathState::Down | PathState::Init, _) => {
            format!("path {number} to {name} is not up, and would not be tried any more")
        }
    }
}
