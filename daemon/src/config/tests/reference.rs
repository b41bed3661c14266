//! The reference example says all that there is to say, and says it truly.

use std::collections::BTreeSet;
use std::fs;

use super::examples;
use crate::config::{KEYS, parse};

fn reference() -> String {
    fs::read_to_string(examples().join("reference.toml")).unwrap()
}

/// The key of a line `key = …`, commented out or not.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start_matches(['#', ' ']).split_once(" =")?;
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_';
    key.chars().all(bare).then_some(key)
}

/// Each key that stands as a line, and each table by its head, with the table it belongs to.
fn explained(text: &str) -> BTreeSet<(&'static str, String)> {
    let mut table = "the file";
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let head = line.split_whitespace().next().unwrap_or_default();
        let entry = match head {
            "[[path]]" => ("the file", "path", "a path"),
            _ if head.starts_with("[[site.") && head.ends_with(".links]]") => {
                ("a site", "links", "a link")
            }
            _ if head.starts_with("[site.") => ("the file", "site", "a site"),
            _ => {
                found.extend(key(line).map(|key| (table, key.to_owned())));
                continue;
            }
        };
        found.insert((entry.0, entry.1.to_owned()));
        table = entry.2;
    }
    found
}

#[test]
fn the_reference_has_a_line_for_every_key_that_the_parser_knows() {
    let known = KEYS
        .iter()
        .flat_map(|(table, keys)| keys.iter().map(move |key| (*table, (*key).to_owned())));
    let (explained, known) = (explained(&reference()), known.collect());
    let missing: Vec<_> = BTreeSet::difference(&known, &explained).collect();
    assert!(
        missing.is_empty(),
        "reference.toml has no line for {missing:?}"
    );
    let unknown: Vec<_> = explained.difference(&known).collect();
    assert!(unknown.is_empty(), "no such keys: {unknown:?}");
}

#[test]
fn what_the_reference_shows_in_comments_is_the_default() {
    let text = reference();
    let mut shown = 0;
    let uncommented: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if key(line).is_some() => {
                shown += 1;
                rest
            }
            Some(_) | None => line,
        })
        .collect();
    assert!(shown >= 4, "{shown} defaults");
    let with = parse("reference.toml", &uncommented.join("\n")).unwrap();
    assert_eq!(with, parse("reference.toml", &text).unwrap());
}
