//! The states of a path and the whole transition table, RFC 5880 sections 6.2 and 6.8.6.
//!
//! ```text
//!            hears Down                 hears Init or Up
//!   ┌──────┐ ─────────► ┌──────┐ ──────────────────────► ┌────┐
//!   │ Down │            │ Init │                         │ Up │
//!   └──────┘ ◄───────── └──────┘                         └────┘
//!      ▲  │   silence, fault, the peer's word               ▲ │
//!      │  └──────────────── hears Init ─────────────────────┘ │
//!      └──── silence, fault, the peer's word, hears Down ─────┘
//! ```
//!
//! A path that is held back after an outage takes the far end's Init and Up for a Down: it waits
//! in Init, and the far end with it.

use crate::packet::probe::ProbeState;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    AdminDown,
    Down(Cause),
    Init,
    Up,
}

/// Why a path is down: what an operator would look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing was heard since the path was made.
    NeverHeard,
    /// It was heard once and then fell silent, or the other end does not answer.
    Silence,
    /// This machine cannot send on it: no device, no carrier, no route, no address.
    Fault,
    /// The other end says that it does not hear us.
    PeerDoesNotHear,
    /// The other end said over another path that this one is down, and it was silent.
    PeerWord,
    /// The other end's operator took it down.
    PeerAdminDown,
}

/// What may happen to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Hears(ProbeState),
    Silence,
    Fault,
    PeerWord,
    AdminDown,
    AdminUp,
}

pub(super) fn next(state: State, input: Input) -> State {
    match (state, input) {
        (_, Input::AdminDown) => State::AdminDown,
        (State::AdminDown, Input::AdminUp) => State::Down(Cause::NeverHeard),
        (State::AdminDown, Input::Hears(_) | Input::Silence | Input::Fault | Input::PeerWord) => {
            State::AdminDown
        }
        (State::Down(_) | State::Init | State::Up, Input::AdminUp) => state,

        (State::Down(_) | State::Init | State::Up, Input::Hears(ProbeState::AdminDown)) => {
            State::Down(Cause::PeerAdminDown)
        }
        (State::Down(_) | State::Init | State::Up, Input::Fault) => State::Down(Cause::Fault),

        (State::Down(_), Input::Hears(ProbeState::Down)) => State::Init,
        (State::Down(_), Input::Hears(ProbeState::Init)) => State::Up,
        (State::Down(_), Input::Hears(ProbeState::Up) | Input::PeerWord) => state,
        (State::Down(cause), Input::Silence) => State::Down(match cause {
            Cause::NeverHeard => Cause::NeverHeard,
            Cause::PeerWord => Cause::PeerWord,
            Cause::Silence | Cause::Fault | Cause::PeerDoesNotHear | Cause::PeerAdminDown => {
                Cause::Silence
            }
        }),

        (State::Init, Input::Hears(ProbeState::Down)) => State::Init,
        (State::Init, Input::Hears(ProbeState::Init | ProbeState::Up)) => State::Up,
        (State::Init | State::Up, Input::Silence) => State::Down(Cause::Silence),
        (State::Init | State::Up, Input::PeerWord) => State::Down(Cause::PeerWord),

        (State::Up, Input::Hears(ProbeState::Down)) => State::Down(Cause::PeerDoesNotHear),
        (State::Up, Input::Hears(ProbeState::Init | ProbeState::Up)) => State::Up,
    }
}

/// The same state, whatever its cause.
pub(super) fn same_kind(a: State, b: State) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b)
}
