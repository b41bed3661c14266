//! What the service manager hears (sd_notify(3)): that the daemon is ready, is alive, reloads,
//! stops, and in one sentence how its paths are. Where there is none, nobody hears it.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Paths that are up, and all of them.
type Count = (usize, usize);

#[derive(Debug)]
pub struct Service {
    /// How often it wants a sign of life: twice as often as it would give us up.
    beat: Option<Duration>,
    due: Instant,
    told: Option<Count>,
}

impl Service {
    pub fn new(now: Instant) -> Self {
        Self {
            beat: sd_notify::watchdog_enabled().map(|patience| patience / 2),
            due: now,
            told: None,
        }
    }

    /// The kernel is as the plan says, the first time or again.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// To be followed by [`Self::ready`], whether it succeeds or not.
    pub fn reloading(&self) {
        // systemd tells by the time to which of several requests the answer belongs.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "no monotonic clock"),
        }
    }

    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// To be called in every turn of the supervisor: a daemon that hangs does not come here.
    pub fn look(&mut self, paths: Count, now: Instant) {
        if self.told != Some(paths) {
            self.told = Some(paths);
            tell(&[NotifyState::Status(&sentence(paths))]);
        }
        if let Some(beat) = self.beat.filter(|_| self.due <= now) {
            self.due = now + beat;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn sentence((up, all): Count) -> String {
    match (up, all) {
        (_, 0) => "no other site yet".to_owned(),
        (1, 1) => "the path is up".to_owned(),
        (0, _) => "no path is up".to_owned(),
        (up, all) if up == all => format!("all {all} paths are up"),
        (up, all) => format!("{up} of {all} paths are up"),
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "the service manager does not hear");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_managers_sentence_is_one_that_a_person_would_say() {
        let counts = [(0, 0), (0, 1), (1, 1), (0, 4), (1, 4), (3, 4), (4, 4)];
        assert_eq!(
            counts.map(sentence),
            [
                "no other site yet",
                "no path is up",
                "the path is up",
                "no path is up",
                "1 of 4 paths are up",
                "3 of 4 paths are up",
                "all 4 paths are up",
            ]
        );
    }
}
