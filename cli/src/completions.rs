//! `pathweave completions`: what a shell needs to complete what can be typed.

use clap::ValueEnum;
use clap_complete::generate;

use crate::failure::Failure;
use crate::manual;
use crate::output;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn print(shell: Shell) -> Result<(), Failure> {
    let mut command = manual::command();
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    generate(generator, &mut command, name, &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
