//! What holds for any text, and for any file that is good.

use std::fs;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use toml::{Table, Value};

use super::{PRIVATE_KEY, fleet_files};
use crate::config::parse;

/// All examples.
fn good() -> Vec<String> {
    let files = fleet_files().into_iter();
    files
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// Words that mean something to the parser, or to a terminal.
const WORDS: [&str; 25] = [
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\"\"\"",
    "=",
    ",",
    "#",
    "\n",
    "-1",
    "0",
    "99999999999999999999",
    "[[path]]\n",
    "[site.nara]\n",
    "private_key = ",
    "1979-05-27",
    "nan",
    "ü",
    "\u{1b}",
    "\u{0}",
    "\r",
    "[::]",
    "0.0.0.0/0",
    "links = []\n",
];

/// One thing that a tired operator does to a file.
#[derive(Clone, Debug)]
enum Slip {
    Delete(Index, usize),
    Insert(Index, String),
    RepeatLine(Index),
    DropLine(Index),
    SwapWords(Index, Index),
}

fn slip() -> impl Strategy<Value = Slip> {
    let word = prop_oneof![
        select(WORDS.as_slice()).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop_oneof![
        (any::<Index>(), 1usize..40).prop_map(|(at, count)| Slip::Delete(at, count)),
        (any::<Index>(), word).prop_map(|(at, word)| Slip::Insert(at, word)),
        any::<Index>().prop_map(Slip::RepeatLine),
        any::<Index>().prop_map(Slip::DropLine),
        any::<(Index, Index)>().prop_map(|(a, b)| Slip::SwapWords(a, b)),
    ]
}

impl Slip {
    fn make(&self, text: &str) -> String {
        let letters: Vec<char> = text.chars().collect();
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut words: Vec<&str> = text.split_inclusive(' ').collect();
        match self {
            _ if text.is_empty() => {}
            Self::Delete(at, count) => {
                let (start, end) = (at.index(letters.len()), at.index(letters.len()) + count);
                let kept = letters.iter().enumerate();
                return kept
                    .filter(|(at, _)| !(start..end).contains(at))
                    .map(|(_, letter)| letter)
                    .collect();
            }
            Self::Insert(at, word) => {
                let (before, after) = letters.split_at(at.index(letters.len()));
                let text = |letters: &[char]| letters.iter().collect::<String>();
                return text(before) + word + &text(after);
            }
            Self::RepeatLine(at) => lines.push(lines[at.index(lines.len())]),
            Self::DropLine(at) => {
                lines.remove(at.index(lines.len()));
            }
            Self::SwapWords(a, b) => {
                let (a, b) = (a.index(words.len()), b.index(words.len()));
                words.swap(a, b);
                return words.concat();
            }
        }
        lines.concat()
    }
}

/// The keys of every table in an order that `order` chooses; arrays keep theirs.
fn written(value: &Value, order: &mut impl FnMut(&mut Vec<String>)) -> String {
    match value {
        Value::Table(table) => format!("{{ {} }}", lines(table, order).join(", ")),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, order)).collect();
            format!("[ {} ]", items.join(", "))
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => value.to_string(),
    }
}

fn lines(table: &Table, order: &mut impl FnMut(&mut Vec<String>)) -> Vec<String> {
    let line = |(key, value)| format!("{key} = {}", written(value, order));
    let mut lines: Vec<_> = table.iter().map(line).collect();
    order(&mut lines);
    lines
}

/// Either a fleet or errors that can be shown.
fn answered(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = parse("fleet.toml", text) {
        prop_assert!(errors.count() > 0);
        let (plain, colored) = (errors.render(false), errors.render(true));
        prop_assert!(
            plain.contains("error: ") && colored.len() > plain.len(),
            "{plain}"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(?s).{0,300}") {
        answered(&text)?;
    }

    #[test]
    fn any_heap_of_toml_words_is_answered(
        words in proptest::collection::vec(slip(), 0..40),
    ) {
        let text = words.iter().fold(" ".to_owned(), |text, word| word.make(&text));
        answered(&text)?;
    }

    #[test]
    fn any_example_with_slips_in_it_is_answered(
        example in select(good()),
        slips in proptest::collection::vec(slip(), 1..6),
    ) {
        let text = slips.iter().fold(example, |text, slip| slip.make(&text));
        answered(&text)?;
    }

    #[test]
    fn a_private_key_is_never_shown(
        example in select(good()),
        slips in proptest::collection::vec(slip(), 0..4),
        at: Index,
        name in select(["private_key", "PrivateKey", "key", "site.nara.secret"].as_slice()),
    ) {
        let text = slips.iter().fold(example, |text, slip| slip.make(&text));
        let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
        lines.insert(at.index(lines.len() + 1), format!("{name} = \"{PRIVATE_KEY}\"\n"));
        let error = parse("fleet.toml", &lines.concat()).unwrap_err().to_string();
        prop_assert!(!error.contains(&PRIVATE_KEY[..20]), "{error}");
    }

    #[test]
    fn the_order_of_keys_means_nothing(example in select(good()), seed: u64) {
        let table: Table = example.parse().unwrap();
        let mut state = seed;
        let mut shuffle = |lines: &mut Vec<String>| {
            for at in (1..lines.len()).rev() {
                // Knuth's constants; the higher bits are the better ones.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let other = usize::try_from(state >> 33).unwrap() % (at + 1);
                lines.swap(at, other);
            }
        };
        let shuffled = lines(&table, &mut shuffle).join("\n");
        let fleet = parse("shuffled.toml", &shuffled);
        prop_assert_eq!(fleet, parse("example.toml", &example), "{}", shuffled);
    }
}
