//! IP, WireGuard and probe bytes ↔ types, and the batches that packets travel in.

pub mod batch;
pub mod coalesce;
pub mod echo;
pub mod ecn;
pub mod inner;
pub mod ip;
pub mod message;
pub mod probe;
pub mod sighting;
pub mod size;

#[cfg(test)]
mod tests;
