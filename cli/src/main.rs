//! pathweave: asks and steers the daemon of this site. stdout is data, stderr is remarks.
//!
//! [`arguments`] is what can be typed, [`client`] asks the daemon, [`report`] chooses what of its
//! answer is shown, [`render`] shows it to a person; [`edit`] changes the fleet file; [`keys`] and
//! [`check`] need no daemon.

mod arguments;
mod check;
mod client;
mod edit;
mod failure;
mod keys;
mod output;
mod render;
mod report;
mod style;

use std::process::ExitCode;

use clap::Parser;
use pathweaved::control::AdminState;

use arguments::{Arguments, Command, PathCommand, PeerCommand};
use client::Client;
use edit::Editor;
use failure::Failure;
use report::Report;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.write_global();
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.socket);
    let json = arguments.json;
    let report = || Ok::<_, Failure>(Report::new(client.status()?, json));
    let editor = Editor {
        client: &client,
        json,
    };
    match &arguments.command {
        Command::Genkey => keys::generate()?,
        Command::Pubkey => keys::public()?,
        Command::Check { file, key } => check::check(file, key, json)?,
        Command::Reload { dry_run } => editor.reload(*dry_run)?,
        Command::Status => return report()?.status(),
        Command::Peer(PeerCommand::List) => report()?.peer_list()?,
        Command::Peer(PeerCommand::Show { peer }) => report()?.peer(peer)?,
        Command::Peer(PeerCommand::Add(new)) => editor.add_peer(new)?,
        Command::Peer(PeerCommand::Remove { peer, edit }) => editor.remove_peer(peer, edit)?,
        Command::Path(PathCommand::Add(pair)) => editor.add_path(pair)?,
        Command::Path(PathCommand::Remove(pair)) => editor.remove_path(pair)?,
        Command::Path(PathCommand::List) => report()?.path_list()?,
        Command::Path(PathCommand::Show(which)) => report()?.path(&which.peer, which.path)?,
        Command::Path(PathCommand::Up(which)) => {
            client.set_admin(&which.peer, which.path, AdminState::Up)?;
        }
        Command::Path(PathCommand::Down(which)) => {
            client.set_admin(&which.peer, which.path, AdminState::Down)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
