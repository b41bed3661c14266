//! `pathweave check`: is the fleet file good, and which of its sites is this machine?

use std::path::Path;

use pathweaved::config::{self, Fleet, ReadError};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::style::Style;

/// What `--json` says about a good file.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    schema: u32,
    file: String,
    sites: Vec<&'a str>,
    /// Which of them this machine is; `null` where its key cannot be read.
    this_site: Option<String>,
}

pub(crate) fn check(file: &Path, key: &Path, json: bool) -> Result<(), Failure> {
    let fleet = config::read(file).map_err(|error| refused(file, error))?;
    let this_site = this_site(&fleet, key)?;
    let sites: Vec<_> = fleet
        .sites
        .values()
        .map(|site| site.name.as_str())
        .collect();
    let file = file.display().to_string();
    if json {
        return output::json(&Verdict {
            schema: pathweaved::control::SCHEMA,
            file,
            sites,
            this_site,
        });
    }
    output::data(&format!("{file} is good: {}\n", sites.join(", ")))?;
    if let Some(name) = this_site {
        output::data(&format!("this machine is {name}\n"))?;
    }
    if let [alone] = sites.as_slice() {
        output::remark(&format!(
            "{alone} waits for another site: run `pathweave init --join -` there"
        ));
    }
    Ok(())
}

pub(crate) fn refused(file: &Path, error: ReadError) -> Failure {
    let ReadError::Invalid(errors) = error else {
        return Failure::Configuration(error.to_string());
    };
    anstream::eprintln!("{}\n", errors.render(Style::of_stderr().is_colored()));
    let errors = match errors.count() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    Failure::Configuration(format!("{} has {errors}, see above", file.display()))
}

/// A key that cannot be read is a remark only: files are also checked where no daemon will run.
pub(crate) fn this_site(fleet: &Fleet, key: &Path) -> Result<Option<String>, Failure> {
    match config::read_private_key(key) {
        Ok(key) => match fleet.view(&key.public()) {
            Ok(view) => Ok(Some(view.site.name.to_string())),
            Err(error) => Err(Failure::Configuration(error.to_string())),
        },
        Err(error) => {
            output::remark(&format!(
                "which site this machine is was not checked: {error}"
            ));
            Ok(None)
        }
    }
}
