//! Wires everything: threads for the data plane, one asynchronous supervisor for the rest.

mod adopt;
pub mod clock;
pub mod control_socket;
mod door;
mod endpoints;
pub mod healer;
pub mod instance;
pub mod lane;
mod lately;
mod links;
mod metrics_server;
mod named_socket;
mod paths;
pub mod program;
pub mod receiver;
mod repairs;
mod service;
mod signals;
mod speed;
pub mod start;
mod story;
mod supervisor;
pub mod wake;
pub mod wall_clock;
mod wg_sockets;
