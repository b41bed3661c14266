//! Metrics over HTTP, where the fleet file says so. Read only, and no reason not to run: a place
//! that cannot be had is told of and tried again.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::Listen;
use crate::metrics;

use super::control_socket::Ask;
use super::door::Door;
use super::named_socket;

/// The supervisor answers within milliseconds; after this it is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
/// A place that cannot be had is tried again so often: its address may come later.
const AGAIN: Duration = Duration::from_secs(10);

/// Served until this is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    asks: mpsc::Sender<Ask>,
    serving: Option<Serving>,
}

#[derive(Debug)]
struct Serving {
    at: Listen,
    /// Why it is not served now.
    trouble: watch::Receiver<Option<String>>,
    server: JoinHandle<()>,
}

impl MetricsServer {
    /// Serves nothing yet.
    pub fn new(asks: mpsc::Sender<Ask>) -> Self {
        Self {
            asks,
            serving: None,
        }
    }

    /// Serves there, and nowhere else.
    pub fn follow(&mut self, at: Option<&Listen>) {
        if self.serving.as_ref().map(|serving| &serving.at) == at {
            return;
        }
        // The old one ends before the new one begins.
        self.serving = None;
        self.serving = at.map(|at| {
            let (tell, trouble) = watch::channel(None);
            Serving {
                at: at.clone(),
                trouble,
                server: tokio::spawn(serve(at.clone(), self.asks.clone(), tell)),
            }
        });
    }

    /// For the status: what keeps it from being served.
    pub fn warning(&self) -> Option<String> {
        let serving = self.serving.as_ref()?;
        let trouble = serving.trouble.borrow().clone()?;
        let at = &serving.at;
        Some(format!(
            "metrics are not served on {at}: {trouble}; name another place with `metrics`"
        ))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.server.abort();
        if let Listen::Unix(path) = &self.at
            && self.trouble.borrow().is_none()
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the metrics' socket was gone already");
        }
    }
}

async fn serve(at: Listen, asks: mpsc::Sender<Ask>, tell: watch::Sender<Option<String>>) {
    loop {
        let ended = match &at {
            Listen::Tcp(address) => match TcpListener::bind(address).await {
                Ok(listener) => answer(listener, &asks, &tell).await,
                Err(error) => Err(error),
            },
            Listen::Unix(path) => match named_socket::listen(path) {
                Ok(listener) => answer(listener, &asks, &tell).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = ended {
            let first = tell.send_replace(Some(error.to_string())).is_none();
            if first {
                tracing::warn!(%at, %error, "metrics are not served; this is tried again");
            }
        }
        sleep(AGAIN).await;
    }
}

async fn answer<L>(
    listener: L,
    asks: &mpsc::Sender<Ask>,
    tell: &watch::Sender<Option<String>>,
) -> io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    tell.send_replace(None);
    let router = Router::new()
        .route("/metrics", get(scrape))
        .fallback(elsewhere)
        .with_state(asks.clone());
    axum::serve(Door::new(listener), router).await
}

async fn scrape(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, answer) = oneshot::channel();
    if asks.try_send(Ask::Status(reply)).is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the daemon is busy\n").into_response();
    }
    match timeout(PATIENCE, answer).await {
        Ok(Ok(status)) => {
            let text = metrics::text(metrics::families(&status));
            ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
        }
        Ok(Err(_)) | Err(_) => {
            (StatusCode::GATEWAY_TIMEOUT, "the daemon does not answer\n").into_response()
        }
    }
}

async fn elsewhere() -> Response {
    (StatusCode::NOT_FOUND, "metrics are at /metrics\n").into_response()
}
