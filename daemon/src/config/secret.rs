//! Private keys have no business in the fleet file, but people paste them there, and a message
//! that quotes the line would carry them on into journals and tickets. Texts are searched, not
//! values: a line that is no TOML is quoted as well.

use std::ops::Range;

/// Keys have 43 characters of base64 before the padding; nothing else in a fleet file is as long.
const SHORTEST: usize = 40;

/// The name of something that must not be shown.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let words = ["priv", "secret", "preshared", "psk", "passw", "passphrase"];
    words.iter().any(|word| key.contains(word))
}

/// What to do about a key that the file does not know, if it or its value may be a secret.
pub(super) fn remedy(key: &str, value: Option<&str>) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    if lower.contains("preshared") || lower.contains("psk") {
        Some(
            "remove it, tunnels have no preshared key; do not use this one elsewhere any more, \
             because this file is copied to every site",
        )
    } else if is_secret(key) {
        Some(PRIVATE_KEY)
    } else if !is_public(key) && value.is_some_and(|text| !bare_keys(text).is_empty()) {
        Some(
            "a public key is written as `public_key`; if this is a private key, put it into the \
             key file, and make a new one: this file is copied to every site",
        )
    } else {
        None
    }
}

/// What to do about a private key.
pub(super) const PRIVATE_KEY: &str = "put the private key into the key file \
     (/etc/pathweave/private.key), and make a new one with `pathweave genkey`: this file is \
     copied to every site, and so was the key";

/// Does a secret stand on the lines of this place? `shown` is the text with its secrets masked.
pub(super) fn stands_at(text: &str, shown: &str, place: &Range<usize>) -> bool {
    let before = text.get(..place.start).unwrap_or_default();
    let after = text.get(place.end..).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text.len() - after.len() + line_end(after);
    text.get(start..end) != shown.get(start..end)
}

/// The same text, byte for byte as long, with stars for the secrets.
pub(super) fn masked(text: &str) -> String {
    let mut shown = text.to_owned();
    for secret in hidden(text) {
        let stars = "*".repeat(secret.len());
        shown.replace_range(secret, &stars);
    }
    shown
}

/// Where secrets stand, in letters that are whole.
fn hidden(text: &str) -> Vec<Range<usize>> {
    let values = runs(text, is_bare)
        .into_iter()
        .filter(|word| is_secret(&text[word.clone()]))
        .filter_map(|word| value_of(text, word.end));
    let mut found: Vec<_> = values.collect();
    found.extend(bare_keys(text));
    found
}

/// The value of the key that ends here, without its quotes; `None` if it is no key.
fn value_of(text: &str, end: usize) -> Option<Range<usize>> {
    let rest = text[end..].trim_start_matches([' ', '\t', '"', '\'']);
    let value = rest
        .strip_prefix(['=', ':'])?
        .trim_start_matches([' ', '\t']);
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| value.starts_with(quote));
    let inside = &value[quote.map_or(0, str::len)..];
    let length = match quote {
        Some(long) if long.len() == 3 => inside.find(long),
        Some("\"") => inside
            .find(closing_quote())
            .map(|at| at.min(line_end(inside))),
        Some(_) => inside.find(['\'', '\n']),
        // A list or a table of secrets.
        None if inside.starts_with(['[', '{']) => inside.find('\n'),
        None => inside.find(['\n', ',', '}', ']']),
    };
    let start = text.len() - inside.len();
    Some(start..start + length.unwrap_or(inside.len()))
}

fn line_end(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// A quote that no backslash stands before.
fn closing_quote() -> impl FnMut(char) -> bool {
    let mut escaped = false;
    move |c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    }
}

/// What looks like a key and is not said to be public.
fn bare_keys(text: &str) -> Vec<Range<usize>> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let long = runs(text, base64)
        .into_iter()
        .filter(|run| run.len() >= SHORTEST);
    let bare = long.filter(|run| {
        let before = text[..run.start].trim_end_matches(['"', '\'', ' ', '\t', '=', ':']);
        let name = before.rfind(|c| !is_bare(c)).map_or(0, |at| at + 1);
        !before.get(name..).is_some_and(is_public)
    });
    bare.collect()
}

fn is_public(key: &str) -> bool {
    key.to_ascii_lowercase().contains("pub") && !is_secret(key)
}

/// A letter of a key that needs no quotes.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The longest stretches of such letters.
fn runs(text: &str, of: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, letter) in text.char_indices().filter(|(_, letter)| of(*letter)) {
        let end = at + letter.len_utf8();
        match found.last_mut() {
            Some(run) if run.end == at => run.end = end,
            Some(_) | None => found.push(at..end),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

    #[test]
    fn a_private_key_is_hidden_however_it_is_written_and_no_place_moves() {
        for line in [
            "private_key = \"KEY\"  # ours\n",
            "PrivateKey = KEY\n",
            "PrivateKey=KEY",
            "\"private key\" = 'KEY'\n",
            "site.nara.privkey = \"\"\"\nKEY\n\"\"\"\n",
            "links = [ { name = \"x\", key = \"KEY\", interface = \"eth1\" } ]\n",
            "private_keys = [\"KEY\", 'KEY']\n",
            "KEY\n",
            "\"KEY\" = 1\n",
            "endpoint = \"KEY\"\n",
            "private_key = \"KEY\nid = 1\n",
            "ü = \"KEY\"\n",
        ] {
            let line = line.replace("KEY", KEY);
            let shown = masked(&line);
            assert!(!shown.contains("lXXJte14"), "the key was shown: {shown}");
            assert_eq!(shown.len(), line.len(), "{shown}");
            assert!(stands_at(&line, &shown, &(0..line.len())), "{line}");
        }
    }

    #[test]
    fn short_secrets_are_hidden_and_what_stands_beside_them_is_not() {
        let line = "{ secret = \"a \\\" ü\", name = \"fiber\", psk = hunter2, up = 1 }";
        let shown = "{ secret = \"*******\", name = \"fiber\", psk = *******, up = 1 }";
        assert_eq!(masked(line), shown);
    }

    #[test]
    fn public_keys_and_sentences_are_shown() {
        for line in [
            format!("public_key = \"{KEY}\"\n"),
            format!("links = [ {{ name = \"wg1\", PublicKey = '{KEY}' }} ]"),
            "a private key stands in the file".to_owned(),
        ] {
            assert_eq!(masked(&line), line);
            assert!(!stands_at(&line, &masked(&line), &(0..1)));
        }
    }
}
