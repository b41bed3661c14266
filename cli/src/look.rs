//! `status`, `peer list`, `path list`: what of it is shown, once or again and again.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use pathweaved::control::{PathState, PathStatus, Status};

use crate::client::Client;
use crate::failure::Failure;
use crate::near;
use crate::output;
use crate::report::{Report, peers};

/// Which paths, and how often.
#[derive(Debug, Args)]
pub(crate) struct Look {
    /// Only this peer.
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Only paths over this link, of this site or of the peer.
    #[arg(long, value_name = "NAME")]
    link: Option<String>,
    /// Only what is not up.
    #[arg(long)]
    down: bool,
    /// Look again every so many seconds, 2 if none are named, until Ctrl-C.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    watch: Option<u64>,
}

/// What a look shows, and the exit code that says how it is.
pub(crate) type Shown = Result<(String, ExitCode), Failure>;

impl Look {
    pub(crate) fn show(
        &self,
        client: &Client,
        json: bool,
        shown: impl Fn(&Report) -> Shown,
    ) -> Result<ExitCode, Failure> {
        let look = || {
            let status = client.status()?;
            let all = status.peers.len();
            let status = self.filter(status)?;
            if status.peers.is_empty() && all > 0 && !json {
                let what = if self.down {
                    "nothing is down"
                } else {
                    "no such path"
                };
                return Ok((format!("{what}\n"), ExitCode::SUCCESS));
            }
            shown(&Report::new(status, json))
        };
        let Some(seconds) = self.watch else {
            let (text, code) = look()?;
            output::data(&text)?;
            return Ok(code);
        };
        let redraws = io::stdout().is_terminal() && !json;
        loop {
            let goes_on = match look() {
                Ok((text, _)) if redraws => output::data_or_gone(&redrawn(&text))?,
                Ok((text, _)) => output::data_or_gone(&text)?,
                // A daemon that is restarted is back in a moment.
                Err(failure @ Failure::Unreachable(_)) => {
                    output::error(&failure);
                    true
                }
                Err(failure) => return Err(failure),
            };
            if !goes_on {
                return Ok(ExitCode::SUCCESS);
            }
            sleep(Duration::from_secs(seconds));
        }
    }

    fn filter(&self, mut status: Status) -> Result<Status, Failure> {
        if let Some(name) = &self.peer
            && !status.peers.iter().any(|peer| peer.site == *name)
        {
            return Err(peers::unknown(name, &status.peers));
        }
        if let Some(link) = &self.link {
            self.check_link(link, &status)?;
        }
        status
            .peers
            .retain(|peer| self.peer.as_ref().is_none_or(|name| peer.site == *name));
        if self.link.is_some() || self.down {
            for peer in &mut status.peers {
                peer.paths.retain(|path| self.wants(path));
            }
            status.peers.retain(|peer| !peer.paths.is_empty());
        }
        Ok(status)
    }

    fn wants(&self, path: &PathStatus) -> bool {
        let link = self.link.as_ref();
        let over = link.is_none_or(|link| path.link == *link || path.remote_link == *link);
        over && (!self.down || path.state != PathState::Up)
    }

    fn check_link(&self, asked: &str, status: &Status) -> Result<(), Failure> {
        let paths = status.peers.iter().flat_map(|peer| &peer.paths);
        let links = paths.flat_map(|path| [path.link.as_str(), path.remote_link.as_str()]);
        let mut known: Vec<_> = links.collect();
        known.sort_unstable();
        known.dedup();
        if known.contains(&asked) {
            return Ok(());
        }
        let hint = near::hint(asked, known.iter().copied());
        Err(Failure::Other(format!(
            "no path goes over a link {asked:?}{hint}; the links are: {}",
            known.join(", ")
        )))
    }
}

/// Over what stands on the terminal, without a flicker: each line is wiped behind its end, and
/// what is below at last.
fn redrawn(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}
