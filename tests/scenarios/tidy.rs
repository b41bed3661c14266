//! The house keeps its order: who may use whom, how long things may grow, where `unsafe` lives,
//! who may read the clock. The table is that of `daemon/src/lib.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing shall fail it"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 80;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn all_sources() -> Vec<PathBuf> {
    ["daemon", "cli", "tests"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The room of a daemon source file: `daemon/src/host/nft.rs` → `host`.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("daemon/src")).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rows of the table in `lib.rs`: room → the rooms it may use.
fn table() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("daemon/src/lib.rs")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("//! | [`"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let room = cells[1].trim_matches(['[', ']', '`']).to_owned();
        (room, cells[3].split(", ").map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

/// The code of a file without its unit tests, which stand last, and without comment lines.
fn production(text: &str) -> Vec<(usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line));
    lines
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    let table = table();
    assert!(
        table.len() >= 14,
        "the table of rooms in lib.rs has only {} rows",
        table.len()
    );
    let mut wrong = Vec::new();
    for path in sources(&root().join("daemon/src")) {
        let room = room(&path);
        if ["main", "lib"].contains(&room.as_str()) || path.ends_with("tests.rs") {
            continue;
        }
        let may = table
            .get(&room)
            .unwrap_or_else(|| panic!("lib.rs has no row for {room}"));
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in production(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase())
                    .collect();
                if used.is_empty() || used == room || may.contains(&"all".to_owned()) {
                    continue;
                }
                if !may.contains(&used) {
                    wrong.push(format!("{}:{number}: {room} uses {used}", shown(&path)));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not in the table of rooms:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_file_is_over_500_lines_and_no_function_over_80() {
    let mut wrong = Vec::new();
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        let count = text.lines().count();
        if count > LONGEST_FILE {
            wrong.push(format!("{}: {count} lines", shown(&path)));
        }
        for (name, length) in functions(&text) {
            if length > LONGEST_FUNCTION {
                wrong.push(format!("{}: {name}: {length} lines", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "too long:\n{}", wrong.join("\n"));
}

/// Functions and their lengths, by rustfmt's indentation: `fn` and its closing brace stand in
/// the same column.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(at) = code.find("fn ") else { continue };
        if !code[..at]
            .split_whitespace()
            .all(|word| word.starts_with("pub") || is_qualifier(word))
        {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let end = lines[start..]
            .iter()
            .position(|line| *line == format!("{indent}}}"));
        let name: String = code[at + 3..]
            .chars()
            .take_while(|c| *c != '(' && *c != '<')
            .collect();
        found.extend(end.map(|length| (name, length + 1)));
    }
    found
}

fn is_qualifier(word: &str) -> bool {
    ["async", "const", "unsafe", "extern"].contains(&word)
}

#[test]
fn unsafe_code_lives_in_one_room_of_the_daemon_and_one_file_of_the_lab() {
    let mut wrong = Vec::new();
    for path in all_sources() {
        let name = shown(&path);
        let allowed = name == "daemon/src/sys.rs"
            || name.starts_with("daemon/src/sys/")
            || name == "tests/lab/sys.rs"
            || name == "tests/scenarios/tidy.rs";
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let has = |line: &str| line.contains("unsafe {") || line.contains("unsafe fn");
        if !allowed && lines.any(has) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "unsafe outside its room: {wrong:?}");
}

#[test]
fn the_top_level_is_what_the_map_says() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "cli",
        "config-examples",
        "daemon",
        "packaging",
        "tests",
    ];
    let mut found: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !name.starts_with("LICENSE"))
        .filter(|name| !["target"].contains(&name.as_str()))
        .collect();
    found.sort();
    assert_eq!(
        found, expected,
        "a stranger at the top level, or somebody is missing"
    );
}

#[test]
fn every_test_of_the_lab_is_run_by_the_command_that_runs_all() {
    let manifest = fs::read_to_string(root().join("tests/Cargo.toml")).unwrap();
    let command = fs::read_to_string(root().join("tests/run")).unwrap();
    let words: Vec<_> = command.split_whitespace().collect();
    let names = manifest.split("[[test]]").skip(1).filter_map(|table| {
        let line = table.lines().find(|line| line.starts_with("name = "))?;
        line.split('"').nth(1)
    });
    let forgotten: Vec<_> = names.filter(|name| !words.contains(name)).collect();
    assert!(forgotten.is_empty(), "not in tests/run: {forgotten:?}");
}
