//! The status in Prometheus' words: what a monitoring system is told. Names and units follow
//! Prometheus' conventions (base units, `_total` for what only grows); a value that is not known
//! is left out.

mod families;
mod text;

use serde::Serialize;

use crate::control::Status;

pub use text::{CONTENT_TYPE, text};

/// All samples of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows, until the daemon or the path begins anew.
    Counter,
    Gauge,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

/// Every family, those without a sample too.
pub fn families(status: &Status) -> Vec<Family> {
    families::all(status)
}

#[cfg(test)]
mod tests;
