//! For terminals of a locale without UTF-8 (`LANG=C`): each sign becomes one that they have. None
//! changes its width, so columns stay columns.

/// The locale's encoding, as setlocale(3) would find it, is UTF-8.
pub(crate) fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

pub(crate) fn spell(text: &str) -> String {
    text.chars().map(sign).collect()
}

fn sign(sign: char) -> char {
    match sign {
        '→' => '>',
        '←' => '<',
        '↔' | '–' | '─' => '-',
        '×' => 'x',
        '…' => '.',
        'µ' => 'u',
        '█' | '▉' | '▊' | '▋' | '▌' => '#',
        '▍' | '▎' | '▏' => ' ',
        '▁' => '_',
        '▂' => '-',
        '▄' => '=',
        '▆' => '%',
        '↑' => '^',
        '↓' => 'v',
        ascii if ascii.is_ascii() => ascii,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_become_those_that_every_terminal_has() {
        assert_eq!(spell("isp1 → fiber  █▌  2 ×\n"), "isp1 > fiber  ##  2 x\n");
        assert_eq!(spell("\u{1b}[32m字"), "\u{1b}[32m?");
    }

    #[test]
    fn the_first_variable_that_says_something_decides() {
        let with = |set: &'static [(&str, &str)]| {
            is_utf8(|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!with(&[]));
    }
}
