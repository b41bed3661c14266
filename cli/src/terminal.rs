//! What fits on a terminal: words wrapped to its width, bars, and frames that replace one another.

use std::time::Duration;

use console::Term;

use crate::failure::Failure;
use crate::output;
use crate::style::Style;

/// Parts that belong together, as many on a line as fit; further lines are indented more.
pub(crate) fn wrap(parts: &[&str], between: &str, indent: usize, style: Style) -> String {
    let width = style.width().unwrap_or(usize::MAX);
    let (mut text, mut used) = (" ".repeat(indent), indent);
    for (at, part) in parts.iter().enumerate() {
        let length = part.chars().count();
        let gap = if at == 0 { "" } else { between };
        if at > 0 && used + gap.len() + length > width {
            text += "\n";
            text += &" ".repeat(indent + 2);
            used = indent + 2;
        } else {
            text += gap;
            used += gap.len();
        }
        text += part;
        used += length;
    }
    text + "\n"
}

/// A sentence, wrapped at its words.
pub(crate) fn sentence(text: &str, indent: usize, style: Style) -> String {
    let words: Vec<_> = text.split(' ').collect();
    wrap(&words, " ", indent, style)
}

/// `share` of a bar, in eighths of a character.
pub(crate) fn bar(share: f64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the bar's width"
    )]
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let rest = PARTS.get(eighths % 8).copied().unwrap_or_default();
    "█".repeat(eighths / 8) + rest
}

/// How one look follows the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// On a terminal each replaces the last one.
    Replace,
    Append,
}

/// Shows what `look` gives again and again. Ends when nobody reads any more.
pub(crate) fn watch(
    every: Duration,
    frames: Frames,
    mut look: impl FnMut() -> Result<String, Failure>,
) -> Result<(), Failure> {
    let term = Term::stdout();
    loop {
        let text = look()?;
        let replace = term.is_term() && frames == Frames::Replace;
        if replace && term.clear_screen().is_err() {
            // A terminal that cannot be cleared shows one below the other.
        }
        if !output::data_or_gone(&text)? {
            return Ok(());
        }
        std::thread::sleep(every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_on_the_next_line_when_they_do_not_fit() {
        assert_eq!(wrap(&["one", "two"], "  ", 0, Style::plain()), "one  two\n");
        assert_eq!(
            wrap(&["one", "two"], "  ", 2, Style::narrow(9)),
            "  one\n    two\n"
        );
        assert_eq!(
            sentence("a long word", 0, Style::narrow(4)),
            "a\n  long\n  word\n"
        );
        assert_eq!(wrap(&[], " ", 0, Style::narrow(4)), "\n");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0.0, 10), "");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(1.0, 3), "███");
        assert_eq!(bar(7.0, 3), "███");
        assert_eq!(bar(f64::NAN, 3), "");
    }
}
