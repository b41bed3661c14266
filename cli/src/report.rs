//! Which part of the daemon's status a command shows, for a person or as JSON. Every document
//! carries the schema's number.

pub(crate) mod peers;

use std::process::ExitCode;

use pathweaved::control::{PathState, PathStatus, PeerStatus, SCHEMA, Status};
use serde::Serialize;

use crate::failure::Failure;
use crate::look::Shown;
use crate::output;
use crate::render;
use crate::style::Style;

#[derive(Debug)]
pub(crate) struct Report {
    status: Status,
    json: bool,
    style: Style,
}

#[derive(Debug, Serialize)]
struct Document<T> {
    schema: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Content<'a> {
    Peers(&'a [PeerStatus]),
    Peer(&'a PeerStatus),
    Paths(Vec<PathOf<'a>>),
    Path(PathOf<'a>),
}

#[derive(Debug, Serialize)]
struct PathOf<'a> {
    peer: &'a str,
    #[serde(flatten)]
    path: &'a PathStatus,
}

impl Report {
    pub(crate) fn new(status: Status, json: bool) -> Self {
        Self {
            status,
            json,
            style: Style::of_stdout(),
        }
    }

    /// Exit code 1 when a path that should be up is not.
    pub(crate) fn status(&self) -> Shown {
        let text = if self.json {
            output::json_line(&self.status)?
        } else {
            render::status(&self.status, self.style)
        };
        let mut paths = self.status.peers.iter().flat_map(|peer| &peer.paths);
        let degraded = paths.any(|path| matches!(path.state, PathState::Down | PathState::Init));
        Ok((text, ExitCode::from(u8::from(degraded))))
    }

    pub(crate) fn peer_list(&self) -> Shown {
        let peers = &self.status.peers;
        self.shown(Content::Peers(peers), || {
            render::peer_list(peers, self.style)
        })
    }

    pub(crate) fn peer(&self, name: &str) -> Result<(), Failure> {
        let peer = peers::find(name, &self.status.peers)?;
        self.show(Content::Peer(peer), || render::peer(peer, self.style))
    }

    pub(crate) fn path_list(&self) -> Shown {
        let peers = &self.status.peers;
        let of_peer = |peer: &PeerStatus| peer.paths.len();
        let mut paths = Vec::with_capacity(peers.iter().map(of_peer).sum());
        for peer in peers {
            let name = peer.site.as_str();
            paths.extend(peer.paths.iter().map(|path| PathOf { peer: name, path }));
        }
        self.shown(Content::Paths(paths), || {
            render::path_list(peers, self.style)
        })
    }

    pub(crate) fn path(&self, peer: &str, number: u8) -> Result<(), Failure> {
        let peer = peers::find(peer, &self.status.peers)?;
        let path = peers::find_path(peer, number)?;
        let content = Content::Path(PathOf {
            peer: &peer.site,
            path,
        });
        self.show(content, || render::path(&peer.site, path, self.style))
    }

    fn show(&self, content: Content<'_>, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let (text, _) = self.shown(content, text)?;
        output::data(&text)
    }

    fn shown(&self, content: Content<'_>, text: impl FnOnce() -> String) -> Shown {
        let text = if self.json {
            output::json_line(&Document {
                schema: SCHEMA,
                content,
            })?
        } else {
            text()
        };
        Ok((text, ExitCode::SUCCESS))
    }
}
