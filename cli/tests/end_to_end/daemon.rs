//! The daemon's control socket with a supervisor that answers as the case needs.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use pathweaved::control::{
    Dropped, Flows, Offload, PathState, PathStatus, PeerStatus, Reloaded, SCHEMA, SiteStatus,
    Status,
};
use pathweaved::runtime::control_socket::{Ask, ControlSocket};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    AllUp,
    OneDown,
    OneTakenDown,
    /// All is well, and of another version.
    Older,
    /// The supervisor hangs.
    Nothing,
}

/// Stops when dropped.
pub(crate) struct Daemon {
    pub(crate) socket: PathBuf,
    heard: Receiver<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: Option<TempDir>,
}

impl Daemon {
    pub(crate) fn start(answer: Answer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut daemon = Self::start_in(folder.path(), answer);
        daemon._folder = Some(folder);
        daemon
    }

    pub(crate) fn start_in(folder: &Path, answer: Answer) -> Self {
        let (ready, is_ready) = sync_channel(1);
        let (tell, heard) = sync_channel(16);
        let (stop, stopped) = oneshot::channel();
        let owned = folder.to_path_buf();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (asks, questions) = mpsc::channel(8);
                let _socket = ControlSocket::serve(&owned, asks).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = supervise(answer, questions, tell) => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            socket: folder.join("pathweave.sock"),
            heard,
            stop: Some(stop),
            thread: Some(thread),
            _folder: None,
        }
    }

    /// The next wish that reached the supervisor.
    pub(crate) fn heard(&self) -> String {
        self.heard
            .recv_timeout(Duration::from_secs(5))
            .expect("no wish reached the daemon")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

async fn supervise(answer: Answer, mut questions: mpsc::Receiver<Ask>, tell: SyncSender<String>) {
    let mut unanswered = Vec::new();
    while let Some(ask) = questions.recv().await {
        match ask {
            ask if answer == Answer::Nothing => unanswered.push(ask),
            Ask::Status(reply) => drop(reply.send(a_status(answer))),
            Ask::Flows(reply) => drop(reply.send(Ok(Flows {
                schema: SCHEMA,
                connections: Vec::new(),
            }))),
            Ask::Tunnel { reply, .. } => drop(reply.send(None)),
            Ask::Reload { wish, reply } => drop(reply.send(Ok(Reloaded {
                config: "/etc/pathweave/pathweave.toml".to_owned(),
                dry_run: wish.dry_run,
                changes: vec!["+ path 3 to tainan (fiber ↔ lte)".to_owned()],
            }))),
            Ask::TryOut { reply, .. } => drop(reply.send(Ok(Reloaded {
                config: "/etc/pathweave/pathweave.toml".to_owned(),
                dry_run: false,
                changes: Vec::new(),
            }))),
            Ask::Trial(reply) => drop(reply.send(None)),
            Ask::SetAdmin {
                peer,
                path,
                wish,
                reply,
            } => {
                let result = match (peer.as_str(), path) {
                    ("tainan", 1 | 2) => {
                        tell.send(format!("{peer}/{path} {wish:?}")).unwrap();
                        Ok(())
                    }
                    ("tainan", _) => Err("tainan has no such path; its paths are: 1, 2".to_owned()),
                    _ => Err("no such peer; the peers are: tainan".to_owned()),
                };
                drop(reply.send(result));
            }
        }
    }
}

fn a_status(answer: Answer) -> Status {
    let mut second = a_path(2, "cable");
    if answer == Answer::OneDown {
        second.state = PathState::Down;
        second.reason = Some("device eth2 does not exist".to_owned());
        second.rtt_ms = None;
    }
    if answer == Answer::OneTakenDown {
        second.state = PathState::AdminDown;
    }
    Status {
        schema: SCHEMA,
        site: SiteStatus {
            name: "nara".to_owned(),
            id: 1,
            address: Some("10.213.1.1".to_owned()),
            address6: None,
            public_key: String::new(),
            version: if answer == Answer::Older {
                "0.0.9".to_owned()
            } else {
                env!("CARGO_PKG_VERSION").to_owned()
            },
            warnings: Vec::new(),
            strangers: 0,
            path_manager: "userspace".into(),
            healing: Default::default(),
            repairs: Default::default(),
            fallbacks: Default::default(),
            listen_port: 51820,
            speed_test: true,
            diagnosis: Default::default(),
        },
        peers: vec![PeerStatus {
            site: "tainan".to_owned(),
            id: 2,
            address: Some("10.213.2.1".to_owned()),
            address6: None,
            reachable: true,
            plain_tcp: 0,
            version: None,
            paths: vec![a_path(1, "fiber"), second],
        }],
    }
}

fn a_path(number: u8, link: &str) -> PathStatus {
    PathStatus {
        offload: Offload {
            tun: true,
            send_segments: 64,
            receive: true,
            socket_buffer: 4 << 20,
        },
        path: number,
        state: PathState::Up,
        reason: None,
        link: link.to_owned(),
        remote_link: "fiber".to_owned(),
        metered: false,
        interface: format!("pw-tainan-{number}"),
        overlay_address: None,
        overlay_address6: None,
        endpoint: Some("198.51.100.20:51820".to_owned()),
        carrier: "udp".to_owned(),
        rtt_ms: Some(10.0),
        loss: Some(0.0),
        jitter_ms: Some(1.0),
        loss_rx: Some(0.0),
        loss_tx: Some(0.0),
        since_s: 60,
        flaps: 0,
        held_up_s: None,
        reserve: None,
        site_path: number == 1,
        mtu: 1420,
        last_handshake_s: Some(5),
        last_handshake_unix_s: Some(1_790_000_000),
        tx_bytes: 0,
        rx_bytes: 0,
        subflows: 1,
        dropped: Dropped::default(),
        diagnosis: Default::default(),
    }
}
