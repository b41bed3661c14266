//! What the operator's log tells of the kernel's state.

use crate::host::Report;

/// What a reconciliation did, and what it could not do.
pub(super) fn say(report: &Report) {
    for change in &report.changes {
        tracing::debug!(%change, "kernel");
    }
    if !report.changes.is_empty() {
        tracing::info!(changes = report.changes.len(), "kernel state changed");
    }
    for error in &report.failures {
        tracing::error!(%error, "kernel state");
    }
}
