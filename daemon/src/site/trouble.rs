//! Why a path is not up, in a word that a program can act on: see [`super::reason`] for people.

use crate::control::Trouble;
use crate::health::{Cause, State};

use super::entry::{Obstacle, Traffic};

/// Of a path that is not up, or that this machine cannot use.
pub(super) fn of(state: State, obstacle: Option<&Obstacle>, traffic: &Traffic) -> Trouble {
    match (state, obstacle) {
        (State::AdminDown, _) => Trouble::AdminDown,
        (_, Some(Obstacle::DeviceMissing(_))) => Trouble::DeviceMissing,
        (_, Some(Obstacle::NoCarrier(_))) => Trouble::NoCarrier,
        (_, Some(Obstacle::NoTun(_))) => Trouble::NoTun,
        (_, Some(Obstacle::NoSocket(_))) => Trouble::NoSocket,
        (State::Init | State::Up, Some(_) | None) => Trouble::ComingUp,
        (State::Down(_), Some(Obstacle::NoEndpoint { .. })) => Trouble::NotDialled,
        (State::Down(_), Some(Obstacle::Unresolved(_))) => Trouble::Unresolved,
        (State::Down(cause), None) => by_cause(cause, traffic),
    }
}

fn by_cause(cause: Cause, traffic: &Traffic) -> Trouble {
    match cause {
        Cause::NeverHeard if traffic.session => Trouble::NothingInside,
        Cause::NeverHeard if traffic.refused > 0 => Trouble::NoWay,
        Cause::NeverHeard => Trouble::NoAnswer,
        Cause::Silence => Trouble::Silence,
        Cause::Fault => Trouble::NoWay,
        Cause::PeerDoesNotHear => Trouble::PeerDoesNotHear,
        Cause::PeerWord => Trouble::PeerSaysDown,
        Cause::PeerAdminDown => Trouble::PeerAdminDown,
    }
}
