//! `pathweave flows`: which connections run to the peers, how much each path carries of them, and
//! which of them could be faster.

mod program;
mod rates;
mod show;

use std::time::Duration;

use clap::Args;
use nix::unistd::geteuid;
use pathweaved::control::{Connection, Flows, Kind};
use pathweaved::runtime::clock;
use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::report::peers;
use crate::seconds::interval;
use crate::style::Style;
use crate::terminal::{self, Frames};
use program::{Program, Programs};

pub(crate) use rates::Rates;
pub(crate) use show::share;
#[cfg(test)]
pub(crate) use show::tests::{plain, seen, transfer};

/// Between the two looks that rates need: the answer shall come at once all the same.
const GLANCE: Duration = Duration::from_millis(150);

#[derive(Debug, Args)]
pub(crate) struct FlowsArguments {
    /// Only connections to this peer.
    peer: Option<String>,
    /// Look again and again, every second or as often as is said.
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "1",
        value_parser = interval
    )]
    watch: Option<Duration>,
}

/// What one look has found.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    schema: u32,
    pub(crate) connections: Vec<Known>,
}

/// A connection and its program.
#[derive(Debug, Serialize)]
pub(crate) struct Known {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    program: Option<Program>,
}

/// Shown of what is not known.
const UNKNOWN: &str = "-";

impl Known {
    /// `rsync (815)`
    pub(crate) fn program_name(&self) -> String {
        let program = self.program.as_ref();
        program.map_or_else(
            || UNKNOWN.to_owned(),
            |program| format!("{} ({})", program.name, program.pid),
        )
    }
}

pub(crate) fn flows(
    arguments: &FlowsArguments,
    client: &Client,
    json: bool,
) -> Result<(), Failure> {
    if let Some(peer) = &arguments.peer {
        peers::find(peer, &client.status()?.peers)?;
    }
    let mut looker = Looker {
        client,
        peer: arguments.peer.as_deref(),
        told: false,
    };
    match (arguments.watch, json) {
        (None, true) => output::json(&looker.look()?),
        (Some(every), true) => {
            terminal::watch(every, Frames::Append, || output::json_line(&looker.look()?))
        }
        (None, false) => {
            let mut rates = Rates::default();
            let seen = looker.look()?;
            rates.take(&seen, clock::now());
            let seen = if seen.connections.is_empty() {
                seen
            } else {
                std::thread::sleep(GLANCE);
                looker.look()?
            };
            output::data(&shown(&seen, &mut rates))
        }
        (Some(every), false) => {
            let mut rates = Rates::default();
            rates.take(&looker.look()?, clock::now());
            std::thread::sleep(GLANCE);
            terminal::watch(every, Frames::Replace, || {
                Ok(shown(&looker.look()?, &mut rates))
            })
        }
    }
}

fn shown(seen: &Seen, rates: &mut Rates) -> String {
    rates.take(seen, clock::now());
    show::flows(seen, rates, Style::of_stdout())
}

struct Looker<'a> {
    client: &'a Client,
    peer: Option<&'a str>,
    /// That programs are not known was said.
    told: bool,
}

impl Looker<'_> {
    fn look(&mut self) -> Result<Seen, Failure> {
        let mut seen = look(self.client)?;
        let wanted = |one: &Known| self.peer.is_none_or(|peer| one.connection.peer == peer);
        seen.connections.retain(wanted);
        let unknown = seen.connections.iter().any(|one| one.program.is_none());
        if unknown && !geteuid().is_root() && !self.told {
            self.told = true;
            output::remark("only root sees which programs these are: try again with sudo");
        }
        Ok(seen)
    }
}

/// All connections to the peers, and the programs of those that one may see.
pub(crate) fn look(client: &Client) -> Result<Seen, Failure> {
    let Flows {
        schema,
        connections,
    } = client.flows()?;
    let programs = Programs::of(connections.iter().map(|one| one.inode));
    let known = |connection: Connection| {
        let program = programs.find(connection.inode);
        Known {
            connection: explained(connection, program.as_ref()),
            program,
        }
    };
    Ok(Seen {
        schema,
        connections: connections.into_iter().map(known).collect(),
    })
}

/// The daemon does not know what kind of socket the program asked for.
fn explained(mut connection: Connection, program: Option<&Program>) -> Connection {
    let opener = connection.kind == Kind::Plain && connection.opened_here == Some(true);
    let Some(program) = program.filter(|_| opener) else {
        return connection;
    };
    connection.reason = match program.asked_for_mptcp {
        Some(false) => Some(format!(
            "{} opened it with plain TCP: start it under `mptcpize run`",
            program.name
        )),
        Some(true) => Some(
            "the far end's program listens with plain TCP: start that one under `mptcpize run`"
                .to_owned(),
        ),
        None => connection.reason,
    };
    connection
}
