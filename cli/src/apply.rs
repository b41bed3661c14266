//! `pathweave apply`: another fleet file in the place of this site's, as it came from another
//! site. With `--confirm-within` the daemon runs on it before the disk has it, and goes back unless
//! `pathweave confirm` follows: nobody cuts himself off.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pathweaved::config;
use pathweaved::control::TrialWish;

use crate::check;
use crate::disk::{self, unwritable};
use crate::edit::Editor;
use crate::failure::Failure;
use crate::output;

/// A fleet file to go on with.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The new fleet file; - reads it from the terminal or a pipe.
    file: PathBuf,
    /// The fleet file that it replaces.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/pathweave.toml"
    )]
    config: PathBuf,
    /// This site's key, to tell which site of the file this machine is.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/private.key"
    )]
    key: PathBuf,
    /// Show what would change in the file and what it means; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Only run on it, and go back to the former one after this time (90s, 5m, 1h) unless `pathweave
    /// confirm` comes; a restart of the daemon goes back as well.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "dry_run")]
    confirm_within: Option<Duration>,
}

impl Editor<'_> {
    pub(crate) fn apply(&self, wish: &Apply) -> Result<(), Failure> {
        let name = match wish.file.as_path() {
            file if file == Path::new("-") => "what was pasted".to_owned(),
            file => file.display().to_string(),
        };
        let new = wish.read()?;
        let after = config::parse(&name, &new)
            .map_err(|errors| check::refused(Path::new(&name), errors.into()))?;
        // Who cuts this machine off has not meant it.
        check::this_site(&after, &wish.key)?;
        if let Some(time) = wish.confirm_within {
            return self.try_out(new, time);
        }
        let file = &wish.config;
        if !file.exists() {
            return self.write_first(wish, &new);
        }
        let (old, before) = config::read_text(file).map_err(|error| check::refused(file, error))?;
        if wish.dry_run {
            return self.show(file, (&old, &before), (&new, &after));
        }
        self.put(file, &old, &new)
    }

    fn try_out(&self, text: String, time: Duration) -> Result<(), Failure> {
        let seconds = time.as_secs();
        let reloaded = self.client.try_out(&TrialWish { text, seconds })?;
        self.tell(&reloaded)?;
        output::remark(&format!(
            "on trial: in {seconds} s the daemon goes back to {}, unless you run `sudo pathweave \
             confirm`",
            reloaded.config
        ));
        Ok(())
    }

    /// What is on trial comes onto the disk.
    pub(crate) fn confirm(&self) -> Result<(), Failure> {
        let trial = self.client.trial()?;
        let file = Path::new(&trial.config);
        let there = fs::read_to_string(file).map_err(|error| unwritable(file, &error))?;
        if there != trial.base {
            return Err(Failure::Other(format!(
                "{} was changed since the trial began, and stays; the trial ends in {} s: apply \
                 again what you want of both",
                trial.config, trial.seconds_left
            )));
        }
        self.put(file, &there, &trial.text)
    }

    fn write_first(&self, wish: &Apply, new: &str) -> Result<(), Failure> {
        let file = &wish.config;
        if wish.dry_run {
            return output::data(&format!("{} would be new\n", file.display()));
        }
        disk::create(file, new.as_bytes(), 0o644).map_err(|error| unwritable(file, &error))?;
        output::remark(&format!("{} is new: start the daemon", file.display()));
        Ok(())
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time from 5s to 24h, for example 90s, 5m or 1h".to_owned();
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let seconds = match unit.trim() {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let all = number.saturating_mul(seconds);
    if (5..=86_400).contains(&all) {
        Ok(Duration::from_secs(all))
    } else {
        Err(wrong())
    }
}

impl Apply {
    fn read(&self) -> Result<String, Failure> {
        if self.file == Path::new("-") {
            return disk::pasted();
        }
        let read = config::read_text(&self.file);
        let (text, _) = read.map_err(|error| check::refused(&self.file, error))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_bounds() {
        let table = [
            ("90", 90),
            ("5m", 300),
            ("5 min", 300),
            ("1h", 3600),
            ("24h", 86_400),
        ];
        for (text, seconds) in table {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "m", "4s", "25h", "-5m", "5d", "99999999999999999999h"] {
            assert!(time(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
