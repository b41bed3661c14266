//! The laboratory: sites and their ISPs on one machine.
//!
//! ```text
//!   nara (id 1)                    the Internet                     tainan (id 2)
//!  ┌────────────┐   up ┌────────┐              ┌────────┐ down  ┌────────────┐
//!  │ isp1 ──────┼─────►│ impair │──┐        ┌─►│ impair │──────►│ isp1       │
//!  │ 198.18.1.1 │◄─────│  ment  │  │ router │  │  ment  │◄──────│ 198.18.1.2 │
//!  │ isp2 …     │ down └────────┘  └────────┘  └────────┘  up   │ isp2 …     │
//!  └────────────┘     2001:db8:<link>::<site> beside each IPv4 address └────┘
//! ```
//! A site is a network namespace held by a descriptor: it vanishes with the process, even when
//! that is killed. An ISP link is a TUN device, an [`impairment::Impairment`] each way, and a
//! thread; the router looks at outer destination addresses only, so every link reaches every
//! other. Nothing here needs a program but the daemon.

#![allow(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a laboratory lives by the clock, starts programs, and fails loudly"
)]

pub mod capture;
pub mod daemon;
pub mod edits;
pub mod enter;
pub mod flaps;
pub mod folder;
pub mod held;
pub mod idle;
pub mod impairment;
pub mod internet;
pub mod laboratory;
pub mod load;
pub mod namespace;
pub mod outage;
mod port;
pub mod programs;
pub mod router;
pub mod second_link;
pub mod sys;
pub mod transfer;

pub use laboratory::{Isp, Lab, Site};
