//! How a data-plane thread is told to stop while it waits for packets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sys;

/// Enough for the engines, which keep their buffers on the heap.
const STACK: usize = 256 << 10;

/// A running thread that ends when this is stopped or dropped.
#[derive(Debug)]
pub struct Stoppable {
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Stoppable {
    /// Starts `work` in a thread called `name` (15 characters are shown by `top -H`).
    pub fn start<W>(name: String, work: W) -> io::Result<Self>
    where
        W: FnOnce(&Wake) + Send + 'static,
    {
        let wake = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let inside = Wake(wake.clone());
        let builder = std::thread::Builder::new().name(name).stack_size(STACK);
        let thread = builder.spawn(move || {
            if let Err(error) = sys::schedule_in_batches() {
                tracing::debug!(%error, "the data plane keeps the usual scheduling");
            }
            work(&inside);
        })?;
        Ok(Self {
            wake,
            thread: Some(thread),
        })
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        if let Err(error) = self.wake.write(1) {
            tracing::error!(%error, "a data-plane thread cannot be woken");
            return;
        }
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("a data-plane thread ended by a panic");
        }
    }
}

/// The thread's side of a [`Stoppable`].
#[derive(Debug)]
pub struct Wake(Arc<EventFd>);

impl Wake {
    /// Waits until `source` can be read. `false`: time to stop.
    pub fn wait(&self, source: BorrowedFd<'_>) -> bool {
        let mut watched = [
            PollFd::new(source, PollFlags::POLLIN),
            PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => !watched[1].any().unwrap_or(true),
            Err(Errno::EINTR) => true,
            Err(_) => false,
        }
    }
}
