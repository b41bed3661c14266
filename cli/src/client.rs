//! One request to the daemon: HTTP over its Unix socket.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use pathweaved::control::{
    self, AdminState, AdminWish, Flows, ReloadWish, Reloaded, SCHEMA, Status, Trial, TrialWish,
};
use pathweaved::names::Name;
use tokio::net::UnixStream;

use crate::failure::Failure;
use crate::output;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    /// That the daemon is of another version is told once.
    told: Cell<bool>,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
            told: Cell::new(false),
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Of the process that serves the socket, as the kernel tells it.
    pub(crate) fn process(&self) -> Option<i32> {
        let stream = std::os::unix::net::UnixStream::connect(&self.socket).ok()?;
        stream.set_nonblocking(true).ok()?;
        runtime().ok()?.block_on(async {
            let stream = UnixStream::from_std(stream).ok()?;
            stream.peer_cred().ok()?.pid()
        })
    }

    pub(crate) fn status(&self) -> Result<Status, Failure> {
        let body = self.request(Method::GET, "/v1/status", Bytes::new())?;
        let status: Status =
            serde_json::from_slice(&body).map_err(|error| strange(&error.to_string()))?;
        if status.schema != SCHEMA {
            return Err(strange(&format!("schema {}, not {SCHEMA}", status.schema)));
        }
        let (theirs, ours) = (&status.site.version, env!("CARGO_PKG_VERSION"));
        if theirs != ours && !self.told.replace(true) {
            output::remark(&format!(
                "the daemon is pathweaved {theirs}, this command is {ours}: `systemctl restart \
                 pathweaved` after an upgrade"
            ));
        }
        Ok(status)
    }

    pub(crate) fn flows(&self) -> Result<Flows, Failure> {
        let body = self.request(Method::GET, "/v1/flows", Bytes::new())?;
        serde_json::from_slice(&body).map_err(|error| strange(&error.to_string()))
    }

    pub(crate) fn set_admin(&self, peer: &str, path: u8, state: AdminState) -> Result<(), Failure> {
        let wish = serde_json::to_vec(&AdminWish { state })
            .map_err(|error| Failure::Other(error.to_string()))?;
        if peer.parse::<Name>().is_err() {
            return Err(Failure::Other(format!(
                "no peer is called {peer:?}: see `pathweave peer list`"
            )));
        }
        self.request(
            Method::POST,
            &format!("/v1/paths/{peer}/{path}/admin"),
            wish.into(),
        )?;
        Ok(())
    }

    pub(crate) fn reload(&self, dry_run: bool) -> Result<Reloaded, Failure> {
        let wish = serde_json::to_vec(&ReloadWish { dry_run })
            .map_err(|error| Failure::Other(error.to_string()))?;
        let body = self.request(Method::POST, "/v1/reload", wish.into())?;
        serde_json::from_slice(&body).map_err(|error| strange(&error.to_string()))
    }

    /// Lets the daemon run on another fleet file for a while.
    pub(crate) fn try_out(&self, wish: &TrialWish) -> Result<Reloaded, Failure> {
        let wish = serde_json::to_vec(wish).map_err(|error| Failure::Other(error.to_string()))?;
        let body = self.request(Method::POST, "/v1/trial", wish.into())?;
        serde_json::from_slice(&body).map_err(|error| strange(&error.to_string()))
    }

    /// The fleet file that is on trial.
    pub(crate) fn trial(&self) -> Result<Trial, Failure> {
        let body = self.request(Method::GET, "/v1/trial", Bytes::new())?;
        serde_json::from_slice(&body).map_err(|error| strange(&error.to_string()))
    }

    fn request(&self, method: Method, url: &str, body: Bytes) -> Result<Bytes, Failure> {
        let runtime = runtime().map_err(|error| Failure::Other(error.to_string()))?;
        runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, self.exchange(method, url, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Unreachable(
                    "the daemon does not answer: see `journalctl -u pathweaved`".to_owned(),
                )),
            }
        })
    }

    async fn exchange(&self, method: Method, url: &str, body: Bytes) -> Result<Bytes, Failure> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|e| self.unreachable(&e))?;
        let lost = |error: hyper::Error| {
            Failure::Unreachable(format!("the daemon hung up ({error}): see its log"))
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(lost)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("host", "pathweave")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::Other(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(lost)?
            .to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            Err(refused(status, &body))
        }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Failure::NotPermitted(format!(
                "{socket} may not be used: try again with sudo, or join the group that owns the \
                 socket (pathweave)"
            ));
        }
        Failure::Unreachable(format!(
            "no daemon answers on {socket} ({error}): is pathweaved running? `systemctl status \
             pathweaved`; name another socket with --socket"
        ))
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn strange(what: &str) -> Failure {
    Failure::Other(format!(
        "the daemon's answer is not understood ({what}): install pathweave and pathweaved of one \
         version, and restart the daemon"
    ))
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let text = serde_json::from_slice::<control::Failure>(body).map_or_else(
        |_| format!("the daemon answered {status}"),
        |failure| failure.error,
    );
    match status {
        StatusCode::FORBIDDEN => Failure::NotPermitted(text),
        // A file's mistakes begin with the word that a failure is shown with.
        StatusCode::UNPROCESSABLE_ENTITY => {
            let text = text
                .strip_prefix("error: ")
                .map_or(text.clone(), str::to_owned);
            Failure::Configuration(text)
        }
        StatusCode::GATEWAY_TIMEOUT => Failure::Unreachable(text),
        _ => Failure::Other(text),
    }
}
