//! The wall clock, and files of ours that it should be later than.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::Client;

use super::super::facts::Clock;

/// Where the fleet file is, unless the daemon was told otherwise.
const FLEET: &str = "/etc/pathweave/pathweave.toml";

pub(super) fn look(client: &Client) -> Clock {
    #[expect(clippy::disallowed_methods, reason = "the clock itself is looked at")]
    let now = seconds(SystemTime::now());
    let files = [PathBuf::from(FLEET), client.socket().to_path_buf()];
    let written = files.iter().filter_map(|file| {
        let written = fs::metadata(file).ok()?.modified().ok()?;
        Some((file.display().to_string(), seconds(written)))
    });
    let newest = written.max_by_key(|(_, at)| *at);
    Clock {
        now,
        future: newest.filter(|(_, at)| *at > now),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
