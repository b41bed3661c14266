//! pathweave: asks and steers the daemon of this site. stdout is data, stderr is remarks.

mod arguments;
mod client;
mod failure;
mod keys;
mod render;
mod style;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use pathweaved::config::{self, ReadError};
use pathweaved::control::{AdminState, PathState, PathStatus, PeerStatus, Status};

use arguments::{Arguments, Command, PathCommand, PeerCommand};
use client::Client;
use failure::Failure;
use style::Style;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.write_global();
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            anstream::eprintln!("{}: {failure}", Style::choose().bad("error"));
            ExitCode::from(failure.code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.socket);
    match &arguments.command {
        Command::Genkey => keys::generate(),
        Command::Pubkey => keys::public(),
        Command::Check { file, key } => check(file, key),
        Command::Status => status(&client.status()?, arguments.json),
        Command::Peer(PeerCommand::List) => {
            let status = client.status()?;
            print(arguments.json, &status.peers, || {
                render::peer_list(&status.peers)
            })
        }
        Command::Peer(PeerCommand::Show { name }) => {
            let status = client.status()?;
            let peer = find_peer(&status, name)?;
            print(arguments.json, peer, || render::peer(peer, Style::choose()))
        }
        Command::Path(PathCommand::List) => {
            let status = client.status()?;
            print(arguments.json, &status.peers, || {
                render::path_list(&status.peers)
            })
        }
        Command::Path(PathCommand::Show { peer, number }) => {
            let status = client.status()?;
            let path = find_path(find_peer(&status, peer)?, *number)?;
            print(arguments.json, path, || render::path(path))
        }
        Command::Path(PathCommand::Up { peer, number }) => {
            client.set_admin(peer, *number, AdminState::Up)
        }
        Command::Path(PathCommand::Down { peer, number }) => {
            client.set_admin(peer, *number, AdminState::Down)
        }
    }
}

fn check(file: &Path, key: &Path) -> Result<ExitCode, Failure> {
    let fleet = config::read(file).map_err(|error| match error {
        ReadError::Invalid(errors) => {
            anstream::eprintln!("{}", errors.render(true));
            let count = errors.count();
            Failure::Configuration(format!("{} has {count} error(s)", file.display()))
        }
        ReadError::Missing { .. } | ReadError::Unreadable { .. } => {
            Failure::Configuration(error.to_string())
        }
    })?;
    anstream::println!("{} is good: {} sites", file.display(), fleet.sites.len());
    match config::read_private_key(key) {
        Ok(key) => match fleet.view(&key.public()) {
            Ok(view) => anstream::println!("this machine is site {}", view.site.name),
            Err(error) => return Err(Failure::Configuration(error.to_string())),
        },
        Err(error) => anstream::eprintln!("remark: which site this is was not checked: {error}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// 1 when a path that should be up is not.
fn status(status: &Status, json: bool) -> Result<ExitCode, Failure> {
    print(json, status, || render::status(status, Style::choose()))?;
    let paths = status.peers.iter().flat_map(|peer| &peer.paths);
    let degraded = |path: &PathStatus| matches!(path.state, PathState::Down | PathState::Init);
    Ok(ExitCode::from(u8::from(paths.into_iter().any(degraded))))
}

fn print<T: serde::Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce() -> String,
) -> Result<ExitCode, Failure> {
    if json {
        let text =
            serde_json::to_string(value).map_err(|error| Failure::Other(error.to_string()))?;
        anstream::println!("{text}");
    } else {
        anstream::print!("{}", text());
    }
    Ok(ExitCode::SUCCESS)
}

fn find_peer<'a>(status: &'a Status, name: &str) -> Result<&'a PeerStatus, Failure> {
    status
        .peers
        .iter()
        .find(|peer| peer.site == name)
        .ok_or_else(|| {
            let known: Vec<_> = status.peers.iter().map(|peer| peer.site.as_str()).collect();
            Failure::Other(format!(
                "no peer is called {name:?}; the peers are: {}",
                known.join(", ")
            ))
        })
}

fn find_path(peer: &PeerStatus, number: u8) -> Result<&PathStatus, Failure> {
    peer.paths
        .iter()
        .find(|path| path.path == number)
        .ok_or_else(|| {
            let last = peer.paths.len();
            Failure::Other(format!(
                "{} has no path {number}; its paths are 1 to {last}",
                peer.site
            ))
        })
}
