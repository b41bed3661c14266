//! Why a path is not up, in words that an administrator can act on.

use std::time::{Duration, Instant};

use crate::health::{Cause, Health};

/// Small packets pass, those of [`crate::mtu::LEAST`] bytes do not.
pub(super) fn too_small() -> String {
    "packets of 1280 bytes do not come through: the link carries less than 1360 bytes".to_owned()
}

/// Of a path whose handshake is not answered. A peer takes an initiation that is older than the
/// last one for a replay.
pub(super) fn wrong_clock(year: u64) -> String {
    format!(
        "no answer to our handshake, and this machine's clock says that it is the year {year}: a \
         peer that knows a later time takes it for an old one; set the clock"
    )
}

pub(super) fn down(cause: Cause, health: &Health, session: bool, now: Instant) -> String {
    match cause {
        Cause::NeverHeard if !session => "no answer to our handshake yet".to_owned(),
        Cause::NeverHeard => "session made, nothing heard inside it yet".to_owned(),
        Cause::Silence => silence(health, now),
        Cause::Fault => "this machine had no way to send on it; it is tried again".to_owned(),
        Cause::PeerDoesNotHear => {
            "the peer does not hear us: what we send on this path is lost".to_owned()
        }
        Cause::PeerWord => "the peer says that it is down there, and it is silent here".to_owned(),
        Cause::PeerAdminDown => "taken down at the other site".to_owned(),
    }
}

/// Of a path on its way up.
pub(super) fn not_yet(health: &Health, now: Instant) -> String {
    if let Some(left) = health.held_for(now) {
        let lately = match health.flaps_lately(now) {
            0 => "it went down several times before".to_owned(),
            1 => "it went down in the last minute".to_owned(),
            times => format!("it went down {times} times in the last minute"),
        };
        return format!("held back {} more: {lately}", seconds(left));
    }
    if health.is_held_there() {
        return "the other site holds it back: it went down there lately".to_owned();
    }
    if health.flaps() > 0 {
        return "it answers again; it is tried before it is used".to_owned();
    }
    "we hear the peer; it does not hear us yet".to_owned()
}

fn silence(health: &Health, now: Instant) -> String {
    let Some((silent, unanswered)) = health.silence(now) else {
        return "the path fell silent".to_owned();
    };
    let silent = seconds(silent);
    match unanswered {
        0 | 1 => format!("fell silent {silent} ago"),
        probes => {
            format!("fell silent {silent} ago; none of our {probes} probes since then was answered")
        }
    }
}

/// Whole seconds, never less than one.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs().max(1))
}
