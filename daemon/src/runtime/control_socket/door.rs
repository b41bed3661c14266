//! Who comes in through the control socket, and for how long: at most [`MOST`] at a time, each
//! for at most [`STAY`]. A group member that opens connections and says nothing, or says it a
//! byte at a time, costs a bounded amount of memory and cannot lock root out for long.

use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Visitors at a time; the next ones wait in the listener's backlog.
const MOST: usize = 16;
/// Longer than any answer takes, the supervisor's patience included.
const STAY: Duration = Duration::from_secs(10);
/// After a failed accept (no descriptors left, say) the door rests this long.
const REST: Duration = Duration::from_secs(1);

/// The group may connect, nobody else.
const MODE: u32 = 0o660;

#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    places: Arc<Semaphore>,
}

impl Door {
    /// The socket appears under its name with its final permissions: there is no moment in which
    /// anyone may connect. One that a dead daemon left is replaced by the same step.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let draft = path.with_extension("new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&draft)?;
        fs::set_permissions(&draft, Permissions::from_mode(MODE))?;
        fs::rename(&draft, path)?;
        Ok(Self {
            listener,
            places: Arc::new(Semaphore::new(MOST)),
        })
    }
}

impl Listener for Door {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        loop {
            // The semaphore is never closed; should it be, nobody comes in any more.
            let Ok(place) = self.places.clone().acquire_owned().await else {
                std::future::pending().await
            };
            match self.listener.accept().await {
                Ok((stream, address)) => return (Visitor::new(stream, place), address),
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot take a caller in");
                    sleep(REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection, with its place and its time.
#[derive(Debug)]
pub(super) struct Visitor {
    stream: UnixStream,
    leaves: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    fn new(stream: UnixStream, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            leaves: Box::pin(sleep(STAY)),
            _place: place,
        }
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.leaves
            .as_mut()
            .poll(context)
            .map(|()| io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(error) = self.poll_over(context) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(error) = self.poll_over(context) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Who is at the other end, by the kernel's word (SO_PEERCRED).
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

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        let credentials = stream.io().stream.peer_cred();
        Self {
            user: credentials.ok().map(|credentials| credentials.uid()),
        }
    }
}
