use clap::Command;

use super::{command, examples, shown};

/// Every command that a person is told of, by what is typed.
fn all(command: &Command, name: &str) -> Vec<(String, Command)> {
    let mut found = vec![(name.to_owned(), command.clone())];
    for below in shown(command) {
        found.extend(all(below, &format!("{name} {}", below.get_name())));
    }
    found
}

#[test]
fn every_command_has_an_example() {
    for (name, command) in all(&command(), "pathweave") {
        assert!(
            command.get_after_long_help().is_some(),
            "`{name}`: add an example to manual/examples.rs"
        );
    }
}

#[test]
fn every_example_can_be_typed() {
    let commands = all(&command(), "pathweave");
    for (name, (_, lines)) in examples::all() {
        if !commands.iter().any(|(command, _)| command == name) {
            continue;
        }
        let Some(at) = lines.find("pathweave ") else {
            continue;
        };
        let typed = lines[at..].replace("\\\n", " ");
        let typed = typed.split(['|', '>', ';']).next().unwrap();
        let result = command().try_get_matches_from(typed.split_whitespace());
        assert!(result.is_ok(), "{name}: {typed}: {}", result.unwrap_err());
    }
}

#[test]
fn the_help_ends_with_what_to_type() {
    let mut command = command();
    let path = command.find_subcommand_mut("path").unwrap();
    let help = path.find_subcommand_mut("down").unwrap().render_long_help();
    let end = "\n  Its ISP will be worked on:\n      sudo pathweave path down tainan 2\n";
    assert!(help.to_string().ends_with(end), "{help}");
}
