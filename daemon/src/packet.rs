//! IP, WireGuard and probe bytes ↔ types.

pub mod echo;
pub mod inner;
pub mod probe;
