//! The daemon's ear for the CLI: HTTP over a Unix socket. The group may read; who may change is
//! told by the kernel: root, or the user that the daemon runs as.
//!
//! It knows nothing itself: every request becomes an [`Ask`] to the supervisor, and every failure
//! a [`Failure`] that ends with the remedy. The door bounds who comes in and for how long.

mod caller;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as UrlPath, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::door::Door;
use super::named_socket;
use super::supervisor::ReloadError;
use crate::control::{
    AdminState, AdminWish, Failure, Flows, ReloadWish, Reloaded, SOCKET, Status, Trial, TrialWish,
};
use crate::names::InterfaceName;
use crate::uapi::Device;
use caller::Caller;

/// The supervisor answers within milliseconds; after this it is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST_BODY: usize = 4096;
/// A fleet file of the largest size, as JSON writes it.
const LARGEST_FLEET: usize = 3 << 20;

/// What the supervisor is asked.
#[derive(Debug)]
pub enum Ask {
    Status(oneshot::Sender<Status>),
    /// `Err`: the kernel does not tell.
    Flows(oneshot::Sender<Result<Flows, String>>),
    /// What `wg` is told of a tunnel; `None`: there is none of this name.
    Tunnel {
        interface: InterfaceName,
        reply: oneshot::Sender<Option<Device>>,
    },
    SetAdmin {
        peer: String,
        path: u8,
        wish: AdminState,
        /// `Err`: there is no such path; the text says which there are.
        reply: oneshot::Sender<Result<(), String>>,
    },
    Reload {
        wish: ReloadWish,
        reply: oneshot::Sender<Result<Reloaded, ReloadError>>,
    },
    TryOut {
        wish: TrialWish,
        reply: oneshot::Sender<Result<Reloaded, ReloadError>>,
    },
    /// `None`: nothing is on trial.
    Trial(oneshot::Sender<Option<Trial>>),
}

#[derive(Debug, thiserror::Error)]
#[error("{path}: no control socket can be made ({error}); is the runtime directory writable?")]
pub struct ControlError {
    path: String,
    error: io::Error,
}

/// The socket, served until this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    server: JoinHandle<()>,
}

impl ControlSocket {
    /// A socket that a dead daemon left is replaced; the instance's lock makes sure it is dead.
    pub fn serve(folder: &Path, asks: mpsc::Sender<Ask>) -> Result<Self, ControlError> {
        let path = folder.join(SOCKET);
        let listener = named_socket::listen(&path).map_err(|error| ControlError {
            path: path.display().to_string(),
            error,
        })?;
        let door = Door::new(listener);
        let service = router(asks).into_make_service_with_connect_info::<Caller>();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(door, service).await {
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

fn router(asks: mpsc::Sender<Ask>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/flows", get(flows))
        .route("/v1/reload", post(reload))
        .route(
            "/v1/trial",
            get(trial).post(try_out.layer(DefaultBodyLimit::max(LARGEST_FLEET))),
        )
        .route("/v1/paths/{peer}/{path}/admin", post(set_admin))
        .fallback(unknown_request)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(asks)
}

async fn status(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, answer) = oneshot::channel();
    match put(&asks, Ask::Status(reply), answer).await {
        Ok(status) => Json(status).into_response(),
        Err(response) => response,
    }
}

async fn flows(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, answer) = oneshot::channel();
    match put(&asks, Ask::Flows(reply), answer).await {
        Ok(Ok(flows)) => Json(flows).into_response(),
        Ok(Err(why)) => failure(StatusCode::INTERNAL_SERVER_ERROR, &why),
        Err(response) => response,
    }
}

async fn set_admin(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    path: Result<UrlPath<(String, u8)>, PathRejection>,
    wish: Result<Json<AdminWish>, JsonRejection>,
) -> Response {
    if !caller.may_change() {
        let why = "only root may change a path: try again with sudo";
        return failure(StatusCode::FORBIDDEN, why);
    }
    let (UrlPath((peer, path)), Json(wish)) = match (path, wish) {
        (Ok(path), Ok(wish)) => (path, wish),
        (Err(wrong), _) => return failure(wrong.status(), &wrong.body_text()),
        (_, Err(wrong)) => {
            let why = format!(r#"{}; send {{"state":"up"}} or "down""#, wrong.body_text());
            return failure(wrong.status(), &why);
        }
    };
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

async fn reload(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    wish: Result<Json<ReloadWish>, JsonRejection>,
) -> Response {
    let wish = match wish {
        Ok(Json(wish)) => wish,
        Err(wrong) => {
            let why = format!(r#"{}; send {{"dry_run":false}} or true"#, wrong.body_text());
            return failure(wrong.status(), &why);
        }
    };
    if !caller.may_change() {
        let why = "only root may reload the fleet file: try again with sudo";
        return failure(StatusCode::FORBIDDEN, why);
    }
    let (reply, answer) = oneshot::channel();
    told(put(&asks, Ask::Reload { wish, reply }, answer).await)
}

async fn try_out(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    wish: Result<Json<TrialWish>, JsonRejection>,
) -> Response {
    if !caller.may_change() {
        let why = "only root may try a fleet file out: try again with sudo";
        return failure(StatusCode::FORBIDDEN, why);
    }
    let wish = match wish {
        Ok(Json(wish)) => wish,
        Err(wrong) => {
            let why = format!(
                r#"{}; send {{"text":"…","seconds":300}}"#,
                wrong.body_text()
            );
            return failure(wrong.status(), &why);
        }
    };
    let (reply, answer) = oneshot::channel();
    told(put(&asks, Ask::TryOut { wish, reply }, answer).await)
}

async fn trial(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, answer) = oneshot::channel();
    match put(&asks, Ask::Trial(reply), answer).await {
        Ok(Some(trial)) => Json(trial).into_response(),
        Ok(None) => failure(StatusCode::NOT_FOUND, "no fleet file is on trial"),
        Err(response) => response,
    }
}

fn told(answer: Result<Result<Reloaded, ReloadError>, Response>) -> Response {
    match answer {
        Ok(Ok(reloaded)) => Json(reloaded).into_response(),
        Ok(Err(error)) if error.is_configuration() => {
            failure(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
        }
        Ok(Err(error)) => failure(StatusCode::CONFLICT, &error.to_string()),
        Err(response) => response,
    }
}

async fn unknown_request(method: Method, uri: Uri) -> Response {
    let why = format!(
        "this daemon does not know {method} {}: are the command and the daemon of one version?",
        uri.path()
    );
    failure(StatusCode::NOT_FOUND, &why)
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let why = format!("{} cannot be asked with {method}", uri.path());
    failure(StatusCode::METHOD_NOT_ALLOWED, &why)
}

/// A question that finds the queue full is refused, not queued behind the others.
async fn put<T>(
    asks: &mpsc::Sender<Ask>,
    ask: Ask,
    answer: oneshot::Receiver<T>,
) -> Result<T, Response> {
    let stuck = || {
        failure(
            StatusCode::GATEWAY_TIMEOUT,
            "the daemon hears but does not answer: see `journalctl -u pathweaved`",
        )
    };
    asks.try_send(ask).map_err(|_| stuck())?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(stuck()),
    }
}

fn failure(status: StatusCode, error: &str) -> Response {
    let error = error.to_owned();
    (status, Json(Failure { error })).into_response()
}
