//! `pathweave bugreport`: one file that tells another person how this machine is, and tells nobody
//! who it is. Private keys are never in it.

mod gather;
mod redaction;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use pathweaved::config;
use serde::Serialize;

use crate::client::Client;
use crate::disk::{self, unwritable};
use crate::failure::Failure;
use crate::output;
use gather::Piece;
use redaction::Redaction;

/// What to put into it.
#[derive(Debug, Args)]
pub(crate) struct BugReport {
    /// Leave addresses, DNS names and public keys as they are. Private keys are hidden in any case.
    #[arg(long)]
    with_addresses: bool,
    /// The folder for it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// The fleet file.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/pathweave.toml"
    )]
    config: PathBuf,
    /// This site's private key, to be sure that it is hidden.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/private.key"
    )]
    key: PathBuf,
}

/// What `--json` says.
#[derive(Debug, Serialize)]
struct Written<'a> {
    schema: u32,
    file: String,
    contents: Vec<&'a str>,
    /// How many different ones of each kind.
    hidden: &'a BTreeMap<&'static str, usize>,
}

impl BugReport {
    pub(crate) fn write(&self, client: &Client, json: bool) -> Result<(), Failure> {
        let (now, time) = now();
        let name = format!("pathweave-bugreport-{time}");
        let file = self.output.join(format!("{name}.tar.gz"));
        disk::try_folder(&file).map_err(|error| unwritable(&file, &error))?;
        let mut redaction = Redaction::new(self.with_addresses);
        if let Some(fleet) = gather::fleet(&self.config) {
            redaction.learn(&fleet);
        }
        if let Ok(key) = config::read_private_key(&self.key) {
            redaction.learn_private(&key);
        }
        let mut pieces = gather::gather(client, &self.config);
        for piece in &mut pieces {
            piece.text = redaction.redact(&piece.text);
        }
        let bytes = packed(&name, &pieces, now).map_err(|error| unwritable(&file, &error))?;
        disk::create(&file, &bytes, 0o600).map_err(|error| unwritable(&file, &error))?;
        let contents: Vec<_> = pieces.iter().map(|piece| piece.name).collect();
        if json {
            return output::json(&Written {
                schema: pathweaved::control::SCHEMA,
                file: file.display().to_string(),
                contents,
                hidden: redaction.counts(),
            });
        }
        output::data(&told(&file, &contents, &redaction))
    }
}

fn told(file: &Path, contents: &[&str], redaction: &Redaction) -> String {
    let counts = redaction.counts().iter();
    let hidden: Vec<_> = counts
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let hidden = match hidden.as_slice() {
        [] => "nothing".to_owned(),
        kinds => kinds.join(", "),
    };
    format!(
        "{}\n  holds   {}\n  hidden  {hidden}; names of sites and links are not hidden: look at it \
         before you send it\n",
        file.display(),
        contents.join(", ")
    )
}

fn packed(name: &str, pieces: &[Piece], now: Duration) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for piece in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(piece.text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now.as_secs());
        let path = format!("{name}/{}", piece.name);
        tar.append_data(&mut header, path, piece.text.as_bytes())?;
    }
    tar.into_inner()?.finish()
}

/// Since 1970, and as it stands in a file's name, in UTC.
fn now() -> (Duration, String) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a report bears the time of its making"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    (now, stamp(now.as_secs()))
}

/// `20261126-184604`, by the civil calendar from days (its years begin in March).
fn stamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{day:02}-{hour:02}{minute:02}{:02}",
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_bears_the_date_of_the_calendar() {
        let table = [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_709_164_800, "20240229-000000"),
            (1_795_718_764, "20261126-184604"),
            (4_107_542_400, "21000301-000000"),
        ];
        for (seconds, expected) in table {
            assert_eq!(stamp(seconds), expected);
        }
    }
}
