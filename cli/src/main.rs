//! pathweave: asks and steers the daemon of this site. stdout is data, stderr is remarks.
//!
//! [`arguments`] is what can be typed, [`client`] asks the daemon, [`look`] and [`report`] choose
//! what of its answer is shown, [`render`] shows it to a person; [`doctor`] draws conclusions;
//! [`steer`] takes paths up and down; [`flows`] are the connections, [`ping`] and [`speed`] measure
//! the paths; [`init`] writes the first fleet file, [`edit`] and [`apply`] change it; [`keys`],
//! [`check`], [`mod@run`], [`completions`] and [`manual`] need no daemon; [`bugreport`] gathers.

mod apply;
mod arguments;
mod ascii;
mod bugreport;
mod check;
mod client;
mod completions;
mod disk;
mod doctor;
mod edit;
mod failure;
mod flows;
mod init;
mod keys;
mod look;
mod manual;
mod metrics;
mod near;
mod output;
mod ping;
mod render;
mod report;
mod run;
mod seconds;
mod speed;
mod steer;
mod style;
mod terminal;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::FromArgMatches;
use pathweaved::control::AdminState;

use arguments::{Arguments, Command, PathCommand, PeerCommand};
use client::Client;
use edit::Editor;
use failure::Failure;
use report::Report;

/// One file is both programs, as packages install it: it is much smaller than two, of which each
/// has the same libraries.
const DAEMON: &str = "pathweaved";

fn main() -> ExitCode {
    let name = std::env::args_os().next().map(PathBuf::from);
    if name.is_some_and(|name| name.ends_with(DAEMON)) {
        return pathweaved::runtime::program::main();
    }
    let matches = manual::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
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
        Command::Init(wish) => init::init(wish)?,
        Command::Apply(wish) => editor.apply(wish)?,
        Command::Run(wish) => wish.run()?,
        Command::Bugreport(wish) => wish.write(&client, json)?,
        Command::Confirm => editor.confirm()?,
        Command::Reload { dry_run } => editor.reload(*dry_run)?,
        Command::Flows(arguments) => flows::flows(arguments, &client, json)?,
        Command::Ping(arguments) => return ping::ping(arguments, &client, json),
        Command::Speed(arguments) => speed::speed(arguments, &client, json)?,
        Command::Top => top::top(&client, json)?,
        Command::Metrics => metrics::show(&client.status()?, json)?,
        Command::Completions { shell } => completions::print(*shell)?,
        Command::Man(pages) => manual::write(pages)?,
        Command::Status(look) => return look.show(&client, json, Report::status),
        Command::Doctor => return doctor::doctor(&client, json),
        Command::Peer(PeerCommand::List(look)) => {
            return look.show(&client, json, Report::peer_list);
        }
        Command::Peer(PeerCommand::Show { peer }) => report()?.peer(peer)?,
        Command::Peer(PeerCommand::Add(new)) => editor.add_peer(new)?,
        Command::Peer(PeerCommand::Remove { peer, edit }) => editor.remove_peer(peer, edit)?,
        Command::Path(PathCommand::Add(pair)) => editor.add_path(pair)?,
        Command::Path(PathCommand::Remove(pair)) => editor.remove_path(pair)?,
        Command::Path(PathCommand::List(look)) => {
            return look.show(&client, json, Report::path_list);
        }
        Command::Path(PathCommand::Show(which)) => report()?.path(&which.peer, which.path)?,
        Command::Path(PathCommand::Up(steer)) => steer.steer(&client, AdminState::Up)?,
        Command::Path(PathCommand::Down(steer)) => steer.steer(&client, AdminState::Down)?,
    }
    Ok(ExitCode::SUCCESS)
}
