//! stdout is data, stderr is remarks. A reader that went away (`| head`) is no failure; a full
//! disk is.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::ascii;
use crate::failure::Failure;
use crate::style::{Style, Tone};

/// Writes data as it is; the caller ends its lines.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    data_or_gone(text).map(|_| ())
}

/// `false` when the reader has gone away.
pub(crate) fn data_or_gone(text: &str) -> Result<bool, Failure> {
    let terminal = io::stdout().is_terminal();
    let foreign = terminal && !ascii::is_utf8(|name| std::env::var(name).ok());
    let spelled = foreign.then(|| ascii::spell(text));
    let text = spelled.as_deref().unwrap_or(text);
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Other(format!(
            "standard output cannot be written: {error}"
        ))),
        Ok(()) => Ok(true),
    }
}

/// One line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    data(&json_line(value)?)
}

pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::Other(error.to_string()))?;
    Ok(text + "\n")
}

pub(crate) fn remark(text: &str) {
    to_stderr("remark", Tone::Warn, text);
}

pub(crate) fn error(failure: &Failure) {
    to_stderr("error", Tone::Bad, &failure.to_string());
}

/// Where stderr is closed there is nobody to tell that it is.
fn to_stderr(kind: &str, tone: Tone, text: &str) {
    let kind = Style::of_stderr().paint(kind, tone);
    if writeln!(anstream::stderr(), "{kind}: {text}").is_err() {}
}
