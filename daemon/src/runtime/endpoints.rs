//! From a configured endpoint to an address: DNS without holding anybody up.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use crate::config::{Endpoint, Host};
use crate::names::PathId;

/// What became of a look-up.
#[derive(Debug)]
pub struct Resolved {
    pub path: PathId,
    pub addresses: Result<Vec<SocketAddr>, String>,
}

/// The answer comes through `to`; when that is full it is lost, and asked for again.
pub fn resolve(path: PathId, endpoint: &Endpoint, to: &mpsc::Sender<Resolved>) {
    let (to, port) = (to.clone(), endpoint.port);
    match endpoint.host.clone() {
        Host::Address(address) => {
            let addresses = Ok(vec![SocketAddr::new(address, port)]);
            deliver(&to, Resolved { path, addresses });
        }
        Host::Name(name) => {
            tokio::spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), port)).await;
                let addresses = match found {
                    Ok(found) => Ok(found.take(16).collect()),
                    Err(error) => Err(format!("{name} cannot be resolved: {error}")),
                };
                deliver(&to, Resolved { path, addresses });
            });
        }
    }
}

fn deliver(to: &mpsc::Sender<Resolved>, resolved: Resolved) {
    if to.try_send(resolved).is_err() {
        tracing::debug!("an answer of DNS came while the supervisor was busy");
    }
}
