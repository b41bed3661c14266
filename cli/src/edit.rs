//! `peer add`, `peer remove`, `path add`, `path remove`, `reload`: the fleet file is edited,
//! checked, written at once, and the daemon goes on with it. If it does not want it, the file is
//! put back.

pub(crate) mod fleet;

use std::path::Path;

use pathweaved::change::Changes;
use pathweaved::config::{self, Fleet};
use pathweaved::control::Reloaded;
use pathweaved::names::PublicKey;
use similar::TextDiff;

use crate::arguments::{Edit, NewPeer, Pair};
use crate::check;
use crate::client::Client;
use crate::disk::{self, unwritable};
use crate::failure::Failure;
use crate::output;
use fleet::{EditError, NewSite};

/// Who asks, and how it wants to be answered.
#[derive(Debug)]
pub(crate) struct Editor<'a> {
    pub(crate) client: &'a Client,
    pub(crate) json: bool,
}

impl Editor<'_> {
    pub(crate) fn reload(&self, dry_run: bool) -> Result<(), Failure> {
        let reloaded = self.client.reload(dry_run)?;
        self.tell(&reloaded)
    }

    pub(crate) fn add_peer(&self, new: &NewPeer) -> Result<(), Failure> {
        let site = NewSite {
            name: &new.peer,
            id: new.id,
            public_key: &new.public_key,
            links: &new.links,
            subnets: &new.subnets,
        };
        self.edit(&new.edit, |text, _| fleet::add_site(text, &site))
    }

    pub(crate) fn remove_peer(&self, peer: &str, edit: &Edit) -> Result<(), Failure> {
        self.edit(edit, |text, fleet| fleet::remove_site(text, fleet, peer))
    }

    pub(crate) fn add_path(&self, pair: &Pair) -> Result<(), Failure> {
        let ends = [pair.link.as_str(), pair.other.as_str()];
        self.edit(&pair.edit, |text, fleet| fleet::add_path(text, fleet, ends))
    }

    pub(crate) fn remove_path(&self, pair: &Pair) -> Result<(), Failure> {
        let ends = [pair.link.as_str(), pair.other.as_str()];
        self.edit(&pair.edit, |text, fleet| {
            fleet::remove_path(text, fleet, ends)
        })
    }

    fn edit(
        &self,
        edit: &Edit,
        change: impl FnOnce(&str, &Fleet) -> Result<String, EditError>,
    ) -> Result<(), Failure> {
        let file = &edit.config;
        let (old, fleet) = config::read_text(file).map_err(|error| check::refused(file, error))?;
        let new = change(&old, &fleet).map_err(|error| Failure::Other(error.to_string()))?;
        let name = format!("{}, as it would be", file.display());
        let after = config::parse(&name, &new)
            .map_err(|errors| check::refused(Path::new(&name), errors.into()))?;
        if edit.dry_run {
            return self.show(file, (&old, &fleet), (&new, &after));
        }
        self.put(file, &old, &new)
    }

    /// The new text onto the disk, and the daemon goes on with it; if it does not want it, the old
    /// one is put back.
    pub(crate) fn put(&self, file: &Path, old: &str, new: &str) -> Result<(), Failure> {
        disk::replace(file, new).map_err(|error| unwritable(file, &error))?;
        match self.client.reload(false) {
            Ok(reloaded) => {
                self.tell(&reloaded)?;
                if !is_same_file(file, Path::new(&reloaded.config)) {
                    output::remark(&format!(
                        "the daemon reads {}, not {}: name that file with --config",
                        reloaded.config,
                        file.display()
                    ));
                }
                Ok(())
            }
            Err(Failure::Unreachable(why)) => {
                output::remark(&format!(
                    "{} is written; the daemon reads it when it starts: {why}",
                    file.display()
                ));
                Ok(())
            }
            Err(refused) => {
                disk::replace(file, old).map_err(|error| unwritable(file, &error))?;
                let text = format!("{refused} ({} is as it was)", file.display());
                Err(refused.with_text(text))
            }
        }
    }

    pub(crate) fn show(
        &self,
        file: &Path,
        (old, before): (&str, &Fleet),
        (new, after): (&str, &Fleet),
    ) -> Result<(), Failure> {
        let config = file.display().to_string();
        let changes = self.meaning(before, after);
        if self.json {
            return output::json(&Reloaded {
                config,
                dry_run: true,
                changes,
            });
        }
        let diff = TextDiff::from_lines(old, new);
        let mut unified = diff.unified_diff();
        let unified = unified.header(&config, "as it would be");
        output::data(&format!("{unified}\n"))?;
        output::data(
            &changes
                .iter()
                .map(|change| format!("{change}\n"))
                .collect::<String>(),
        )
    }

    /// What it means to this site, if a daemon tells which one that is.
    fn meaning(&self, before: &Fleet, after: &Fleet) -> Vec<String> {
        let Ok(status) = self.client.status() else {
            output::remark("what it means to this site is not told: no daemon runs");
            return Vec::new();
        };
        let key: Option<PublicKey> = status.site.public_key.parse().ok();
        let views = key.and_then(|key| Some((before.view(&key).ok()?, after.view(&key).ok()?)));
        let Some((before, after)) = views else {
            return Vec::new();
        };
        match Changes::between(&before, &after) {
            Ok(changes) => changes.told.iter().map(ToString::to_string).collect(),
            Err(needs_restart) => vec![needs_restart.to_string()],
        }
    }

    pub(crate) fn tell(&self, reloaded: &Reloaded) -> Result<(), Failure> {
        if self.json {
            return output::json(reloaded);
        }
        if reloaded.changes.is_empty() {
            return output::data("nothing to change\n");
        }
        let lines = reloaded.changes.iter().map(|change| format!("{change}\n"));
        output::data(&lines.collect::<String>())
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one) == real(other)
}
