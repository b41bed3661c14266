//! What the supervisor listens to beside its channels: the operator's signals and the kernel's
//! announcements. Acquired before anything is changed.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::host::watch::Watch;

#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    watch: Watch,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: read the fleet file again.
    Reload,
    /// Something changed in the kernel's network state.
    KernelChanged,
}

impl Signals {
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            watch: Watch::open()?,
        })
    }

    /// Waits for the next one. Cancel-safe, as its parts are.
    pub async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
            () = self.watch.changed() => Heard::KernelChanged,
        }
    }
}
