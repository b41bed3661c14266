//! Who comes in through a listening socket, and for how long: at most [`MOST`] at a time, each for
//! at most [`STAY`], and where all places are taken, who has said nothing yet makes room. One that
//! opens connections and is silent, or speaks a byte at a time, costs a bounded amount of memory
//! and cannot lock the others out for long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Sleep, sleep, timeout};

/// Visitors at a time; the next ones wait in the listener's backlog.
pub(super) const MOST: usize = 64;
/// Longer than any answer takes, the supervisor's patience included.
pub(super) const STAY: Duration = Duration::from_secs(10);
/// So long a visitor may find its words though others wait.
pub(super) const SILENCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Door<L> {
    listener: L,
    places: Arc<Semaphore>,
    guests: Vec<Guest>,
}

/// A visitor as the door remembers it: it leaves when this is dropped.
#[derive(Debug)]
struct Guest {
    spoke: Arc<AtomicBool>,
    stays: oneshot::Sender<()>,
}

impl<L: Listener> Door<L> {
    pub(super) fn new(listener: L) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(MOST)),
            guests: Vec::new(),
        }
    }

    /// A free place; where there is none, the silent ones make room.
    async fn place(&mut self) -> OwnedSemaphorePermit {
        loop {
            self.guests.retain(|guest| !guest.stays.is_closed());
            match timeout(SILENCE, self.places.clone().acquire_owned()).await {
                Ok(Ok(place)) => return place,
                // The semaphore is never closed; should it be, nobody comes in any more.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => self.guests.retain(|guest| guest.spoke.load(Relaxed)),
            }
        }
    }
}

impl<L: Listener> Listener for Door<L> {
    type Io = Visitor<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // First the caller, then its place: an empty house shows nobody out.
        let (stream, address) = self.listener.accept().await;
        let place = self.place().await;
        let (stays, leaves) = oneshot::channel();
        let spoke = Arc::new(AtomicBool::new(false));
        let visitor = Visitor {
            stream,
            spoke: spoke.clone(),
            leaves,
            over: Box::pin(sleep(STAY)),
            left: false,
            _place: place,
        };
        self.guests.push(Guest { spoke, stays });
        (visitor, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection, with its place and its time.
#[derive(Debug)]
pub(super) struct Visitor<S> {
    stream: S,
    spoke: Arc<AtomicBool>,
    leaves: oneshot::Receiver<()>,
    over: Pin<Box<Sleep>>,
    left: bool,
    _place: OwnedSemaphorePermit,
}

impl<S> Visitor<S> {
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        // A future that was ready must not be asked again.
        self.left = self.left
            || Pin::new(&mut self.leaves).poll(context).is_ready()
            || self.over.as_mut().poll(context).is_ready();
        if self.left {
            Poll::Ready(io::ErrorKind::TimedOut.into())
        } else {
            Poll::Pending
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Visitor<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(error) = self.poll_over(context) {
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.spoke.store(true, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Visitor<S> {
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
