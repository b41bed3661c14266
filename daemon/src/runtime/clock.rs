//! The only place that reads the clock; everywhere else time is an argument.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}
