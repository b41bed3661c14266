//! A time that a person types, in seconds.

use std::time::Duration;

const LONGEST: f64 = 3600.0;

/// For an argument: at least `least` seconds, at most an hour.
pub(crate) fn seconds(text: &str, least: f64) -> Result<Duration, String> {
    let wrong = || format!("write seconds, from {least} to {LONGEST}");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if !(least..=LONGEST).contains(&number) {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(number).map_err(|_| wrong())
}

/// Between two looks.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    seconds(text, 0.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_nothing_strange() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "0.01", "-1", "nan", "inf", "1e9", "5s"] {
            let said = interval(wrong).unwrap_err();
            assert_eq!(said, "write seconds, from 0.1 to 3600", "{wrong:?}");
        }
    }
}
