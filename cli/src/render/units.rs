//! Numbers as a person reads them. What is not known is a dash.

pub(crate) fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

pub(crate) fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| or_dash(None), |millis| format!("{millis:.1} ms"))
}

/// With one decimal below ten: half a percent of loss already slows TCP down.
pub(crate) fn percent(share: Option<f64>) -> String {
    match share.map(|share| share * 100.0) {
        None => or_dash(None),
        Some(percent) if percent <= 0.0 => "0 %".to_owned(),
        Some(percent) if percent < 9.95 => format!("{percent:.1} %"),
        Some(percent) => format!("{percent:.0} %"),
    }
}

pub(crate) fn age(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "never".to_owned(), |seconds| span(seconds) + " ago")
}

pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200.. => format!("{} h", seconds / 3600),
    }
}

/// A rate, as ISPs tell it.
pub(crate) fn bits(per_second: f64) -> String {
    let mut value = per_second.max(0.0);
    let mut unit = "bit/s";
    for next in ["kbit/s", "Mbit/s", "Gbit/s"] {
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "bit/s" {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// Decimal units, as ISPs and disks count.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_change_their_unit_before_they_grow_long() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (123_456_789, "123.5 MB"),
            (u64::MAX, "18446.7 PB"),
        ];
        for (count, expected) in table {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn small_losses_are_not_rounded_away() {
        let table = [
            (None, "-"),
            (Some(0.0), "0 %"),
            (Some(0.004), "0.4 %"),
            (Some(0.0994), "9.9 %"),
            (Some(0.0996), "10 %"),
            (Some(1.0), "100 %"),
        ];
        for (share, expected) in table {
            assert_eq!(percent(share), expected);
        }
    }

    #[test]
    fn rates_are_told_as_isps_do() {
        let table = [
            (-1.0, "0 bit/s"),
            (999.0, "999 bit/s"),
            (50_120_000.0, "50.1 Mbit/s"),
            (999_960_000.0, "1.0 Gbit/s"),
            (25e9, "25.0 Gbit/s"),
        ];
        for (rate, expected) in table {
            assert_eq!(bits(rate), expected);
        }
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let table = [
            (None, "never"),
            (Some(0), "0 s ago"),
            (Some(119), "119 s ago"),
            (Some(120), "2 min ago"),
            (Some(7200), "2 h ago"),
        ];
        for (seconds, expected) in table {
            assert_eq!(age(seconds), expected);
        }
    }
}
