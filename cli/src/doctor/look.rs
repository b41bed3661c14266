//! The shell: gathers the facts, each source in its own file. What cannot be seen is noted, and
//! is no failure.

mod clock;
mod daemon;
mod kernel;
mod machine;

use crate::client::Client;

use super::facts::Facts;

pub(crate) fn look(client: &Client) -> Facts {
    let mut unseen = Vec::new();
    // The machine is watched between two looks at the daemon.
    let first = daemon::ask(client, &mut unseen);
    let watched = machine::watch(&first, || daemon::ask(client, &mut Vec::new()));
    let devices = daemon::devices(&first);
    Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        replaced: daemon::is_replaced(client),
        kernel: kernel::look(&devices, &mut unseen),
        machine: watched,
        clock: clock::look(client),
        daemon: first,
        unseen,
    }
}
