//! Prometheus' text format, version 0.0.4.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Family, Kind, Sample};

/// What HTTP says of it.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

#[derive(Debug)]
struct Once(Vec<Family>);

pub fn text(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Once(families)));
    let mut text = String::new();
    // A string takes everything.
    if prometheus_text::encode(&mut text, &registry).is_err() {
        text.clear();
    }
    text
}

impl Collector for Once {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let told = self.0.iter().filter(|family| !family.samples.is_empty());
        for family in told {
            put(family, &mut encoder)?;
        }
        Ok(())
    }
}

fn put(family: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (kind, name) = match family.kind {
        // The encoder adds the suffix that a counter must have.
        Kind::Counter => (MetricType::Counter, family.name.trim_end_matches("_total")),
        Kind::Gauge => (MetricType::Gauge, family.name),
    };
    let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
    for Sample { labels, value } in &family.samples {
        let mut sample = metric.encode_family(labels)?;
        match family.kind {
            Kind::Counter => sample.encode_counter::<NoLabelSet, _, f64>(value, None)?,
            Kind::Gauge => sample.encode_gauge(value)?,
        }
    }
    Ok(())
}
