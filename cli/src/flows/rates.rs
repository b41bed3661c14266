//! Bytes of two looks → bits in a second, flow by flow.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use pathweaved::control::Flow;

use super::Seen;

type Ends = (SocketAddr, SocketAddr);

#[derive(Debug, Default)]
pub(crate) struct Rates {
    last: Option<Instant>,
    bytes: BTreeMap<Ends, u64>,
    rates: BTreeMap<Ends, f64>,
}

impl Rates {
    pub(crate) fn take(&mut self, seen: &Seen, now: Instant) {
        let flows = || {
            seen.connections
                .iter()
                .flat_map(|one| &one.connection.flows)
        };
        let bytes: BTreeMap<Ends, u64> = flows()
            .map(|flow| (ends(flow), flow.sent.saturating_add(flow.received)))
            .collect();
        let before = std::mem::replace(&mut self.bytes, bytes);
        let last = self.last.replace(now);
        let elapsed = last.map(|last| now.saturating_duration_since(last).as_secs_f64());
        let Some(elapsed) = elapsed.filter(|elapsed| *elapsed > 0.0) else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate, shown with one decimal")]
        let rate = |(ends, now): (&Ends, &u64)| {
            let before = before.get(ends)?;
            Some((*ends, now.saturating_sub(*before) as f64 * 8.0 / elapsed))
        };
        self.rates = self.bytes.iter().filter_map(rate).collect();
    }

    /// Of several flows together; `None` when none of them was seen twice.
    pub(crate) fn of_all(&self, flows: &[Flow]) -> Option<f64> {
        let rates = flows.iter().filter_map(|flow| self.of(flow));
        rates.reduce(|sum, rate| sum + rate)
    }

    /// In bit/s, both ways together; `None` when it was seen once only.
    pub(super) fn of(&self, flow: &Flow) -> Option<f64> {
        self.rates.get(&ends(flow)).copied()
    }
}

fn ends(flow: &Flow) -> Ends {
    (flow.local, flow.remote)
}
