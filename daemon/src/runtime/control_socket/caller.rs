//! Who is at the other end, by the kernel's word (SO_PEERCRED).

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use super::Door;

#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    user: Option<u32>,
}

impl Caller {
    /// Root, or the user that the daemon runs as.
    pub(super) fn may_change(self) -> bool {
        let ours = nix::unistd::geteuid().as_raw();
        self.user.is_some_and(|user| user == 0 || user == ours)
    }
}

impl Connected<IncomingStream<'_, Door<UnixListener>>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door<UnixListener>>) -> Self {
        let credentials = stream.io().stream().peer_cred();
        Self {
            user: credentials.ok().map(|credentials| credentials.uid()),
        }
    }
}
