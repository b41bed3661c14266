//! The manual and the completions, by the programs that read them: every page passes mandoc's
//! lint, every key of the fleet file and every option of the daemon stands in it, and the shells
//! complete what can be typed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: it runs programs, and what is missing shall fail it"
)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::daemon::binary;
use lab::programs::have;
use pathweaved::config::KEYS;

/// The pages that are written by hand.
fn by_hand() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().join("packaging/man")
}

fn page(name: &str) -> String {
    fs::read_to_string(by_hand().join(name)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What a program prints; it has to succeed.
fn printed(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, remarks) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{remarks}");
    out
}

#[test]
fn every_man_page_passes_mandocs_lint() {
    if !have("mandoc", "mandoc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().to_str().unwrap();
    printed(binary("pathweave"), &["man", made, "--date", "2026-11-26"]);
    let pages = [files(folder.path()), files(&by_hand())].concat();
    assert!(pages.len() > 15, "{pages:?}");
    let names: Vec<_> = pages.iter().map(|page| page.to_str().unwrap()).collect();
    let lint = [&["-T", "lint", "-W", "warning"][..], names.as_slice()].concat();
    printed("mandoc", &lint);
}

#[test]
fn the_page_of_the_fleet_file_has_every_key_that_the_parser_knows() {
    let mut explained = BTreeSet::new();
    let mut table = "";
    let page = page("pathweave.toml.5");
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix(".Ss ") {
            table = heading;
        }
        if let Some(item) = line.strip_prefix(".It Ic ") {
            let key = item.split(' ').next().unwrap();
            explained.insert((table.to_lowercase(), key.to_owned()));
        }
    }
    let of_table = |(table, keys): &(&'static str, &'static [&str])| {
        let table = *table;
        let pairs = keys.iter();
        pairs.map(move |key| (table.to_owned(), (*key).to_owned()))
    };
    let known: BTreeSet<_> = KEYS.iter().flat_map(of_table).collect();
    assert_eq!(explained, known, "pathweave.toml(5) and the parser differ");
}

#[test]
fn the_page_of_the_daemon_has_every_option_that_it_takes() {
    let help = printed(binary("pathweaved"), &["--help"]);
    let page = page("pathweaved.8");
    let words = help.split_whitespace().filter_map(|word| {
        let option = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        option.strip_prefix("--")
    });
    for option in words.filter(|option| !option.is_empty()) {
        let explained = page.lines().any(|line| {
            line.starts_with(".It ") && line.split(' ').any(|word| word == format!("-{option}"))
        });
        assert!(explained, "pathweaved(8) does not explain --{option}");
    }
}

#[test]
fn bash_completes_a_command() {
    let script = "source <(\"$0\" completions bash)
        COMP_WORDS=(pathweave path sh) COMP_CWORD=2
        _pathweave pathweave sh path
        echo \"${COMPREPLY[@]}\"";
    let pathweave = binary("pathweave").display().to_string();
    let completed = printed("bash", &["-c", script, &pathweave]);
    assert_eq!(completed.trim(), "show");
}

#[test]
fn zsh_takes_the_completions_up() {
    if !have("zsh", "zsh") {
        return;
    }
    let script = "mkdir $1/zsh
        $0 completions zsh > $1/zsh/_pathweave
        fpath=($1/zsh $fpath)
        autoload -Uz compinit && compinit -u -d $1/dump
        echo $_comps[pathweave] && autoload +X _pathweave";
    let folder = tempfile::tempdir().unwrap();
    let pathweave = binary("pathweave").display().to_string();
    let folder = folder.path().to_str().unwrap();
    let answer = printed("zsh", &["-f", "-c", script, &pathweave, folder]);
    assert_eq!(answer.trim(), "_pathweave");
}

#[test]
fn fish_completes_a_command() {
    if !have("fish", "fish") {
        return;
    }
    let script = "$argv[1] completions fish | source
        complete -C 'pathweave path sh'";
    let pathweave = binary("pathweave").display().to_string();
    let completed = printed("fish", &["--no-config", "-c", script, &pathweave]);
    assert!(completed.starts_with("show"), "{completed}");
}
