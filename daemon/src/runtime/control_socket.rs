//! The daemon's ear for the CLI: HTTP over a Unix socket. Group may read; who may change is told
//! by the kernel (SO_PEERCRED): root, or the user that the daemon runs as.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::control::{AdminState, AdminWish, Failure, SOCKET, Status};

/// The supervisor answers within milliseconds; after this it is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST_BODY: usize = 4096;

/// What the supervisor is asked.
#[derive(Debug)]
pub enum Ask {
    Status(oneshot::Sender<Status>),
    SetAdmin {
        peer: String,
        path: u8,
        wish: AdminState,
        /// `Err`: there is no such path; the text says which there are.
        reply: oneshot::Sender<Result<(), String>>,
    },
}

/// The socket, served until this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    server: JoinHandle<()>,
}

impl ControlSocket {
    /// A socket that a dead daemon left is replaced; the instance's lock makes sure it is dead.
    pub fn serve(folder: &Path, asks: mpsc::Sender<Ask>) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
        let router = Router::new()
            .route("/v1/status", get(status))
            .route("/v1/paths/{peer}/{path}/admin", post(set_admin))
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .with_state(asks)
            .into_make_service_with_connect_info::<Caller>();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the control socket is lost");
            }
        });
        Ok(Self { path, server })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.server.abort();
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug)]
struct Caller {
    user: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self {
            user: stream
                .io()
                .peer_cred()
                .ok()
                .map(|credentials| credentials.uid()),
        }
    }
}

async fn status(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, answer) = oneshot::channel();
    match put(&asks, Ask::Status(reply), answer).await {
        Ok(status) => Json(status).into_response(),
        Err(response) => response,
    }
}

async fn set_admin(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    UrlPath((peer, path)): UrlPath<(String, u8)>,
    Json(wish): Json<AdminWish>,
) -> Response {
    let ours = nix::unistd::geteuid().as_raw();
    if !caller.user.is_some_and(|user| user == 0 || user == ours) {
        let why = "only root may change a path: try again with sudo";
        return failure(StatusCode::FORBIDDEN, why);
    }
    let (reply, answer) = oneshot::channel();
    let ask = Ask::SetAdmin {
        peer,
        path,
        wish: wish.state,
        reply,
    };
    match put(&asks, ask, answer).await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(unknown)) => failure(StatusCode::NOT_FOUND, &unknown),
        Err(response) => response,
    }
}

async fn put<T>(
    asks: &mpsc::Sender<Ask>,
    ask: Ask,
    answer: oneshot::Receiver<T>,
) -> Result<T, Response> {
    let stuck = || {
        failure(
            StatusCode::GATEWAY_TIMEOUT,
            "the daemon does not answer; see its log",
        )
    };
    asks.try_send(ask).map_err(|_| stuck())?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(stuck()),
    }
}

fn failure(status: StatusCode, error: &str) -> Response {
    (
        status,
        Json(Failure {
            error: error.to_owned(),
        }),
    )
        .into_response()
}
