//! The name that was meant.

/// Jaro-Winkler's similarity from which a name is suggested: clap's own bound, and a little more,
/// since sites' names are short.
const ENOUGH: f64 = 0.75;

/// ` (did you mean tainan?)`, or nothing where no name is near.
pub(crate) fn hint<'n>(asked: &str, known: impl Iterator<Item = &'n str>) -> String {
    let similarity = |name: &&str| strsim::jaro_winkler(asked, name);
    let near = known
        .filter(|name| similarity(name) >= ENOUGH)
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    near.map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_foreign_name_is_not() {
        let sites = ["nara", "tainan", "tallinn", "oslo"];
        let table = [
            ("tianan", " (did you mean tainan?)"),
            ("olso", " (did you mean oslo?)"),
            ("nara2", " (did you mean nara?)"),
            ("Nara", " (did you mean nara?)"),
            ("zurich", ""),
            ("", ""),
        ];
        for (asked, expected) in table {
            assert_eq!(hint(asked, sites.into_iter()), expected, "{asked}");
        }
    }
}
