//! A fleet file on trial: the daemon runs on a text that the disk does not have yet. Unless it is
//! confirmed in time, which writes it to the disk, the daemon goes back to what it ran on before.
//! There is nothing to put back on the disk: a daemon that crashes or is restarted meanwhile reads
//! the former file.

use std::fs;
use std::time::{Duration, Instant};

use crate::config::{self, ReadError, View};
use crate::control::{Reloaded, Trial, TrialWish};

use super::super::clock;
use super::Supervisor;
use super::reload::ReloadError;

/// After a way back that was barred.
const AGAIN: Duration = Duration::from_secs(5);

/// What runs for a while.
#[derive(Debug)]
pub(super) struct OnTrial {
    text: String,
    /// What the disk had when it began.
    base: String,
    former: View,
    until: Instant,
}

impl OnTrial {
    fn seconds_left(&self, now: Instant) -> u64 {
        self.until.saturating_duration_since(now).as_secs()
    }
}

impl Supervisor {
    /// A second trial ends as the first would have: with what was before both.
    pub(super) fn try_out(&mut self, wish: TrialWish) -> Result<Reloaded, ReloadError> {
        let name = "the fleet file on trial";
        let fleet = config::parse(name, &wish.text).map_err(ReadError::from)?;
        let view = fleet.view(&self.source.key)?;
        let before = self.site.view().clone();
        let changes = self.go_on(&view, false)?;
        let former = self.trial.take().map_or(before, |trial| trial.former);
        let seconds = wish.seconds;
        tracing::info!(
            seconds,
            "on trial: `pathweave confirm` keeps the new fleet file"
        );
        self.trial = Some(OnTrial {
            text: wish.text,
            base: fs::read_to_string(&self.source.config).unwrap_or_default(),
            former,
            until: clock::now() + Duration::from_secs(seconds),
        });
        Ok(self.reloaded(&changes, false))
    }

    pub(super) fn trial(&self) -> Option<Trial> {
        let trial = self.trial.as_ref()?;
        Some(Trial {
            config: self.source.config.display().to_string(),
            text: trial.text.clone(),
            base: trial.base.clone(),
            seconds_left: trial.seconds_left(clock::now()),
        })
    }

    /// Nobody confirmed it in time: who should have may be cut off by it.
    pub(super) fn look_at_trial(&mut self, now: Instant) {
        if self.trial.as_ref().is_none_or(|trial| trial.until > now) {
            return;
        }
        let Some(mut trial) = self.trial.take() else {
            return;
        };
        match self.go_on(&trial.former, false) {
            Ok(_) => tracing::warn!("the trial was not confirmed: back to the former fleet file"),
            Err(error) => {
                tracing::error!("no way back from the trial yet: {error}");
                trial.until = now + AGAIN;
                self.trial = Some(trial);
            }
        }
    }

    /// For the status.
    pub(super) fn trial_warning(&self, now: Instant) -> Option<String> {
        let left = self.trial.as_ref()?.seconds_left(now);
        Some(format!(
            "a fleet file is on trial: in {left} s the daemon goes back to the former one, unless \
             `sudo pathweave confirm` keeps it"
        ))
    }
}
