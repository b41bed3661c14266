//! A table of the file, read key by key: every value comes with its place, every wrong type and
//! missing key is noted and reading goes on; at the end, keys that nobody asked for are errors.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::secret;

/// A value and where it stands.
pub(super) type At<T> = (T, Range<usize>);

/// A table being read, and the problems found so far.
pub(super) struct Section<'t, 'i> {
    table: &'t DeTable<'i>,
    place: Range<usize>,
    name: String,
    keys: &'static [&'static str],
}

impl<'t, 'i> Section<'t, 'i> {
    /// `keys`: all that this table may hold; others are reported at once.
    pub(super) fn new(
        table: &'t DeTable<'i>,
        place: Range<usize>,
        name: impl Into<String>,
        keys: &'static [&'static str],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let section = Self {
            table,
            place,
            name: name.into(),
            keys,
        };
        section.refuse_unknown(problems);
        section
    }

    pub(super) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where a key's value stands; the table itself where there is none.
    pub(super) fn place_of(&self, key: &str) -> Range<usize> {
        self.value(key).map_or(self.place(), |(_, place)| place)
    }

    pub(super) fn text(&self, key: &str, problems: &mut Vec<Problem>) -> Option<At<&'t str>> {
        self.read(key, "a text in quotes", DeValue::as_str, problems)
    }

    pub(super) fn boolean(&self, key: &str, problems: &mut Vec<Problem>) -> Option<At<bool>> {
        self.read(key, "true or false", DeValue::as_bool, problems)
    }

    pub(super) fn integer(&self, key: &str, problems: &mut Vec<Problem>) -> Option<At<i64>> {
        let (integer, place) = self.read(key, "a whole number", DeValue::as_integer, problems)?;
        let Ok(number) = i64::from_str_radix(integer.as_str(), integer.radix()) else {
            let what = format!("{} is far beyond what `{key}` can be", integer.as_str());
            problems.push(Problem::new(place, what, "write a smaller whole number"));
            return None;
        };
        Some((number, place))
    }

    /// An array of texts, or one text alone.
    pub(super) fn texts(&self, key: &str, problems: &mut Vec<Problem>) -> Option<Vec<At<&'t str>>> {
        let (value, place) = self.value(key)?;
        if let Some(text) = value.as_str() {
            return Some(vec![(text, place)]);
        }
        let Some(array) = value.as_array() else {
            problems.push(wrong_type(key, place, "an array of texts", value));
            return None;
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push((text, item.span())),
                None => problems.push(wrong_type(key, item.span(), "a text", item.get_ref())),
            }
        }
        Some(texts)
    }

    /// An array of tables, inline or `[[…]]`.
    pub(super) fn tables(
        &self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<At<&'t DeTable<'i>>>> {
        let (value, place) = self.value(key)?;
        let Some(array) = value.as_array() else {
            problems.push(wrong_type(key, place, "an array of tables", value));
            return None;
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => tables.push((table, item.span())),
                None => problems.push(wrong_type(key, item.span(), "a table", item.get_ref())),
            }
        }
        Some(tables)
    }

    /// The tables under a key by their names, in the order of the file; `None` for what is no
    /// table.
    pub(super) fn named_tables(
        &self,
        key: &str,
        wanted: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<(At<&'t str>, Option<&'t DeTable<'i>>)>> {
        let (parent, _) = self.read(key, wanted, DeValue::as_table, problems)?;
        let mut tables = Vec::new();
        for (name, value) in parent {
            let table = value.get_ref().as_table();
            if table.is_none() {
                problems.push(wrong_type(key, name.span(), wanted, value.get_ref()));
            }
            tables.push(((name.get_ref().as_ref(), name.span()), table));
        }
        tables.sort_by_key(|((_, place), _)| place.start);
        Some(tables)
    }

    /// The names under a key, whatever they stand for, in the order of the file.
    pub(super) fn names(&self, key: &str) -> Vec<&'t str> {
        let table = self.value(key).and_then(|(value, _)| value.as_table());
        let mut names: Vec<_> = table.into_iter().flat_map(DeTable::keys).collect();
        names.sort_by_key(|name| name.span().start);
        let texts = names.into_iter().map(|name| name.get_ref().as_ref());
        texts.collect()
    }

    /// A missing key is a problem of this table.
    pub(super) fn missing(&self, key: &str, remedy: &str, problems: &mut Vec<Problem>) {
        if self.value(key).is_none() {
            let what = format!("{} has no `{key}`", self.name);
            problems.push(Problem::new(self.place(), what, remedy));
        }
    }

    fn value(&self, key: &str) -> Option<At<&'t DeValue<'i>>> {
        debug_assert!(self.keys.contains(&key), "{key} is not in the list of keys");
        self.table
            .get(key)
            .map(|value| (value.get_ref(), value.span()))
    }

    fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        parse: impl Fn(&'t DeValue<'i>) -> Option<T>,
        problems: &mut Vec<Problem>,
    ) -> Option<At<T>> {
        let (value, place) = self.value(key)?;
        let parsed = parse(value);
        if parsed.is_none() {
            problems.push(wrong_type(key, place.clone(), wanted, value));
        }
        Some((parsed?, place))
    }

    fn refuse_unknown(&self, problems: &mut Vec<Problem>) {
        for (key, value) in self.table {
            let word: &str = key.get_ref();
            if self.keys.contains(&word) {
                continue;
            }
            let what = format!("{} knows no key `{}`", self.name, word.escape_debug());
            let remedy = match secret::remedy(word, value.get_ref().as_str()) {
                Some(remedy) => remedy.to_owned(),
                None => self.similar(word),
            };
            problems.push(Problem::new(Spanned::span(key), what, remedy));
        }
    }

    fn similar(&self, word: &str) -> String {
        match nearest(word, self.keys) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys are: {}", self.keys.join(", ")),
        }
    }
}

fn wrong_type(key: &str, place: Range<usize>, wanted: &str, value: &DeValue<'_>) -> Problem {
    let what = format!("`{key}` is of the wrong type: {}", value.type_str());
    Problem::new(place, what, format!("write {wanted}"))
}

/// The known word that differs from `word` by two letters at most.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let ranked = known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate));
    ranked
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.chars().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(x != y);
            diagonal = *above;
            left = cost.min(diagonal + 1).min(left + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or(0)
}
