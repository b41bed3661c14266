//! pathweave's daemon: one WireGuard-compatible tunnel per path between two sites, and the
//! kernel's own MPTCP set up so that one unmodified TCP connection uses all of them.
//!
//! # The house
//!
//! A room uses only rooms that stand below it. `tests/scenarios/tidy.rs` holds the same table
//! and checks it.
//!
//! | room | what it is | it may use |
//! |---|---|---|
//! | [`runtime`] | lanes, receivers, supervisor, clock, signals, control socket: wires everything | all |
//! | **shell: does, does not decide** | | |
//! | [`tun`] | a path's TUN interface | packet, sys, names |
//! | [`carrier`] | how a path's datagrams travel (UDP now) | packet, sys, names |
//! | [`host`] | the kernel's state: observe, verdict, apply, watch | plan, sys, names |
//! | [`sys`] | the only `unsafe`: system calls without a library | – |
//! | **below: no I/O, no clock, no async** | | |
//! | [`site`] | the deciding machine, one per daemon | config, change, plan, harm, health, mtu, packet, control, names |
//! | [`tunnel`] | the data-plane machine, one per path | noise, packet, names |
//! | [`noise`] | the seam to boringtun | names |
//! | [`plan`] | configuration + live paths → the kernel state we want | config, names |
//! | [`change`] | what a new fleet file means for a running daemon | config, names |
//! | [`healing`] | one subflow per live path for every open connection | plan, names |
//! | [`harm`] | whether a path's use lowers the total | names |
//! | [`health`] | one path's state machine | packet, names |
//! | [`metrics`] | the status in Prometheus' words | control |
//! | [`uapi`] | what WireGuard's own tools ask a tunnel, and are told | names |
//! | [`mtu`] | the largest packet that a path carries | – |
//! | [`packet`] | IP, WireGuard and probe bytes ↔ types; batches | names |
//! | [`config`] | the fleet file: raw → checked | names |
//! | [`control`] | requests, responses, status: all that the CLI knows | names |
//! | [`names`] | small checked types | – |
//!
//! **A packet out**: kernel MPTCP picks the subflow with source A_k → rule `from A_k` → TUN →
//! the lane reads a batch, the tunnel seals it → one send on the socket of that link.
//! **A packet in**: one GRO receive → [`tunnel`] opens the batch, checks the inner source, takes
//! probes out for [`health`] → one write to the TUN → kernel MPTCP puts the stream together.
//! **A path goes bad**: [`health`] → [`site`] → new [`plan`] → [`host`] compares and applies →
//! [`healing`] destroys the path's subflows, and opens them again when it is back.

pub mod carrier;
pub mod change;
pub mod config;
pub mod control;
pub mod harm;
pub mod healing;
pub mod health;
pub mod host;
pub mod metrics;
pub mod mtu;
pub mod names;
pub mod noise;
pub mod packet;
pub mod plan;
pub mod runtime;
pub mod site;
pub mod sys;
pub mod tun;
pub mod tunnel;
pub mod uapi;
