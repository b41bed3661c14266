//! `wg show` works: a socket for each path's tunnel in the folder where `wg` and its exporters
//! look for user-space tunnels. For reading only, for the owner and the group.
//!
//! The sockets follow the view; one task listens on all of them. What another process serves
//! under the same name (a daemon of another network namespace shares the folder) stays its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::View;
use crate::names::InterfaceName;
use crate::uapi::{Refusal, Request};

use super::control_socket::Ask;
use super::named_socket;

/// Visitors at a time; others are turned away.
const MOST: usize = 64;
const STAY: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left, say).
const REST: Duration = Duration::from_secs(1);
/// More is not read from one visitor.
const LONGEST: u64 = 64 << 10;

/// The sockets, served until this is dropped.
#[derive(Debug)]
pub struct WgSockets {
    /// `None`: it cannot be had.
    folder: Option<PathBuf>,
    ears: Vec<Arc<Ear>>,
    heard: watch::Sender<Vec<Arc<Ear>>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Ear {
    interface: InterfaceName,
    path: PathBuf,
    listener: UnixListener,
}

impl WgSockets {
    /// Listens on nothing yet. A folder that cannot be made is no reason not to run.
    pub fn serve(folder: &Path, asks: mpsc::Sender<Ask>) -> Self {
        let made = fs::create_dir_all(folder);
        if let Err(error) = &made {
            let folder = folder.display();
            tracing::info!(%folder, %error, "`wg show` will not tell of our tunnels");
        }
        let (heard, ears) = watch::channel(Vec::new());
        Self {
            folder: made.is_ok().then(|| folder.to_path_buf()),
            ears: Vec::new(),
            heard,
            server: tokio::spawn(listen(ears, asks)),
        }
    }

    /// A socket for each of the view's paths, and no other.
    pub fn follow(&mut self, view: &View) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let wanted: Vec<_> = view.paths().map(|(_, path)| &path.interface).collect();
        self.ears.retain(|ear| {
            let stays = wanted.contains(&&ear.interface);
            if !stays {
                remove(&ear.path);
            }
            stays
        });
        for interface in wanted {
            if self.ears.iter().any(|ear| ear.interface == *interface) {
                continue;
            }
            let path = folder.join(format!("{interface}.sock"));
            match named_socket::listen(&path) {
                Ok(listener) => self.ears.push(Arc::new(Ear {
                    interface: interface.clone(),
                    path,
                    listener,
                })),
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(%path, %error, "`wg show` will not tell of this tunnel");
                }
            }
        }
        self.heard.send_replace(self.ears.clone());
    }
}

impl Drop for WgSockets {
    fn drop(&mut self) {
        self.server.abort();
        self.ears.iter().for_each(|ear| remove(&ear.path));
    }
}

/// Removes what a dead daemon left.
pub fn clean(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let ours = name
            .is_some_and(|name| name.starts_with(InterfaceName::OURS) && name.ends_with(".sock"));
        if ours && !named_socket::is_served(&path) {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, path = %path.display(), "a socket was gone already");
    }
}

async fn listen(mut ears: watch::Receiver<Vec<Arc<Ear>>>, asks: mpsc::Sender<Ask>) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let now = ears.borrow_and_update().clone();
        tokio::select! {
            changed = ears.changed() => if changed.is_err() {
                return;
            },
            visitor = next(&now) => match visitor {
                Ok((interface, stream)) => {
                    let Ok(place) = places.clone().try_acquire_owned() else {
                        continue;
                    };
                    let asks = asks.clone();
                    tokio::spawn(async move {
                        if let Ok(Err(error)) = timeout(STAY, serve(interface, stream, asks)).await {
                            tracing::debug!(%error, "a reader of tunnels went away");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a reader of tunnels cannot be taken in");
                    sleep(REST).await;
                }
            }
        }
    }
}

/// The next visitor at any ear.
async fn next(ears: &[Arc<Ear>]) -> io::Result<(InterfaceName, UnixStream)> {
    std::future::poll_fn(|context| {
        for ear in ears {
            if let Poll::Ready(visitor) = ear.listener.poll_accept(context) {
                let visitor = visitor.map(|(stream, _)| (ear.interface.clone(), stream));
                return Poll::Ready(visitor);
            }
        }
        Poll::Pending
    })
    .await
}

async fn serve(
    interface: InterfaceName,
    mut stream: UnixStream,
    asks: mpsc::Sender<Ask>,
) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader.take(LONGEST)).lines();
    while let Some(first) = lines.next_line().await? {
        while lines
            .next_line()
            .await?
            .is_some_and(|line| !line.is_empty())
        {}
        let answer = match Request::of(&first) {
            Request::Get => ask(&interface, &asks).await,
            Request::Set => Refusal::NotPermitted.to_string(),
            Request::Unknown => Refusal::Invalid.to_string(),
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn ask(interface: &InterfaceName, asks: &mpsc::Sender<Ask>) -> String {
    let (reply, answer) = oneshot::channel();
    let interface = interface.clone();
    if asks.try_send(Ask::Tunnel { interface, reply }).is_err() {
        return Refusal::NoDevice.to_string();
    }
    match answer.await {
        Ok(Some(device)) => device.to_string(),
        Ok(None) | Err(_) => Refusal::NoDevice.to_string(),
    }
}
