//! The manual: `--help` with its examples, and one man page for each command, both made from what
//! can be typed, so that no command can be missing. `pathweave man DIR` is for who packages.

mod examples;
mod page;

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};

use crate::arguments::Arguments;
use crate::failure::Failure;
use page::Page;

/// Where the pages go, and what stands at their foot.
#[derive(Debug, Args)]
pub(crate) struct Pages {
    /// A folder, which is made if need be
    folder: PathBuf,
    /// The pages' date, as 2026-11-26: that of the release, so that they come out alike each time
    #[arg(long)]
    date: String,
}

/// All that can be typed, with an example for each command.
pub(crate) fn command() -> Command {
    with_examples(Arguments::command(), "pathweave")
}

fn with_examples(mut command: Command, name: &str) -> Command {
    if let Some(examples) = examples::of(name) {
        command = command.after_long_help(examples::help(examples));
    }
    command.mut_subcommands(|command| {
        let name = format!("{name} {}", command.get_name());
        with_examples(command, &name)
    })
}

pub(crate) fn write(pages: &Pages) -> Result<(), Failure> {
    let mut command = command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(&pages.folder)
        .and_then(|()| write_all(&command, None, pages))
        .map_err(|error| Failure::Other(format!("{}: {error}", pages.folder.display())))
}

fn write_all(command: &Command, above: Option<&Command>, pages: &Pages) -> io::Result<()> {
    let page = Page { command, above };
    fs::write(pages.folder.join(page.file()), page.render(&pages.date)?)?;
    shown(command).try_for_each(|below| write_all(below, Some(command), pages))
}

/// The commands that a person is told of.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
}

#[cfg(test)]
mod tests;
