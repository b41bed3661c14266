//! `pathweave metrics`: what the daemon serves to Prometheus where it is configured to, on
//! standard output.

use pathweaved::control::{SCHEMA, Status};
use pathweaved::metrics::{self, Family};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    metrics: Vec<Family>,
}

pub(crate) fn show(status: &Status, json: bool) -> Result<(), Failure> {
    let metrics = metrics::families(status);
    if json {
        return output::json(&Document {
            schema: SCHEMA,
            metrics,
        });
    }
    output::data(&metrics::text(metrics))
}
