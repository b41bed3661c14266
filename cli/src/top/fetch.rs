//! Asks the daemon each second, and carries out wishes, in a thread of its own: a daemon that does
//! not answer leaves the keys alive.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::model::{Look, News, Wish};
use crate::client::Client;
use crate::flows;

const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Fetcher {
    wishes: SyncSender<Wish>,
    news: Receiver<News>,
}

impl Fetcher {
    /// Ends when this is dropped.
    pub(super) fn start(client: Client) -> io::Result<Self> {
        let (wishes, wished) = sync_channel(4);
        let (tell, news) = sync_channel(4);
        let thread = thread::Builder::new().name("fetch".to_owned());
        thread.spawn(move || fetch(&client, &wished, &tell))?;
        Ok(Self { wishes, news })
    }

    pub(super) fn next(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// With four wishes waiting already, one more is left out.
    pub(super) fn ask(&self, wish: Wish) {
        match self.wishes.try_send(wish) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

fn fetch(client: &Client, wished: &Receiver<Wish>, tell: &SyncSender<News>) {
    loop {
        if tell.send(look(client)).is_err() {
            return;
        }
        match wished.recv_timeout(EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(Wish { peer, path, state }) => {
                if let Err(failure) = client.set_admin(&peer, path, state)
                    && tell.send(News::Refused(failure.to_string())).is_err()
                {
                    return;
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the moment of a look")]
fn look(client: &Client) -> News {
    match client.status() {
        Ok(status) => {
            let connections = flows::look(client).ok();
            let look = Look {
                status,
                connections,
            };
            News::Look(Box::new(look), Instant::now())
        }
        Err(failure) => News::Silence(failure.to_string()),
    }
}
