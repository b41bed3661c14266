//! Paths that are not up, or not as good as they should be.

use pathweaved::control::{PathStatus, PeerStatus, Trouble};

use super::super::facts::{Facts, name};
use super::super::finding::{Finding, Severity};
use super::links::{Troubled as _, is_filtered, is_routeless};

/// Loss from which one TCP flow is visibly slow: the Mathis bound at 50 ms is 4 Mbit/s.
const LOSSY: f64 = 0.005;
const VERY_LOSSY: f64 = 0.05;
/// Outages of a path that is called unsteady.
const OFTEN: u32 = 3;
const LATELY_S: u64 = 600;

pub(crate) fn down(facts: &Facts) -> Vec<Finding> {
    let explained = |path: &PathStatus| is_filtered(facts, path) || is_routeless(facts, path);
    let down = facts.paths().filter_map(|(peer, path)| {
        let trouble = path.trouble()?;
        (!explained(path)).then(|| of_path(facts, peer, path, trouble))
    });
    let unreachable = facts.peers().filter(|peer| !peer.reachable);
    let unreachable = unreachable.map(|peer| {
        Finding::new(
            Severity::Broken,
            peer.site.clone(),
            format!("{} cannot be reached: none of its paths is up.", peer.site),
            "See the paths' own findings below; one of them is enough.",
        )
    });
    unreachable.chain(down).collect()
}

fn of_path(facts: &Facts, peer: &PeerStatus, path: &PathStatus, trouble: Trouble) -> Finding {
    let severity = if matches!(trouble, Trouble::AdminDown | Trouble::PeerAdminDown) {
        Severity::Advice
    } else if peer.reachable {
        Severity::Degraded
    } else {
        Severity::Broken
    };
    let (reason, remedy) = words(facts, peer, path, trouble);
    Finding::new(severity, name(peer, path), reason, remedy)
        .because("state", path.reason.as_deref().unwrap_or("-"))
        .because("datagrams heard", path.diagnosis.heard)
        .because("handshakes tried", path.diagnosis.handshakes)
}

/// The device, or the link where it is told by its address.
fn device(path: &PathStatus) -> &str {
    path.diagnosis.device.as_deref().unwrap_or(&path.link)
}

fn no_answer(facts: &Facts, peer: &PeerStatus, path: &PathStatus) -> (String, String) {
    let to = path.endpoint.as_deref().unwrap_or("the other site");
    let port = to.rsplit_once(':').map_or("51820", |(_, port)| port);
    let reason = format!(
        "Nothing ever came back on this path, though {} handshakes were sent to {to}.",
        path.diagnosis.handshakes
    );
    let remedy = format!(
        "Open UDP port {port} at both ends, in firewall and router: here on {}, at {} on {}; see \
         that pathweaved runs there with the same fleet file{}.",
        device(path),
        peer.site,
        path.remote_link,
        clock_hint(facts)
    );
    (reason, remedy)
}

fn not_dialled(peer: &PeerStatus, path: &PathStatus) -> (String, String) {
    let (site, there, device) = (&peer.site, &path.remote_link, device(path));
    let though = if peer.reachable {
        ", though the other paths work"
    } else {
        ""
    };
    let reason = format!(
        "{site}'s link {there} has no endpoint and must dial us, and nothing that it sent unasked \
         has ever come in on {device}{though}."
    );
    let remedy = format!(
        "Open the UDP port for what comes in unasked on {device}, in this machine's firewall and \
         in its router; that answers pass is not enough."
    );
    (reason, remedy)
}

fn words(
    facts: &Facts,
    peer: &PeerStatus,
    path: &PathStatus,
    trouble: Trouble,
) -> (String, String) {
    let told = path.reason.as_deref().unwrap_or("it is not up");
    let (site, link, there) = (&peer.site, &path.link, &path.remote_link);
    let device = device(path);
    let down = |remedy: String| (format!("It is down: {told}."), remedy);
    match trouble {
        Trouble::NoAnswer => no_answer(facts, peer, path),
        Trouble::NotDialled => not_dialled(peer, path),
        Trouble::NothingInside | Trouble::PeerDoesNotHear => (
            format!("Only one direction works: {told}."),
            format!(
                "Look for a firewall or a translation of addresses that lets UDP pass only one \
                 way between {link} and {there}."
            ),
        ),
        Trouble::AdminDown | Trouble::PeerAdminDown => (
            format!("It is out of use: {told}."),
            format!(
                "Bring it back with `pathweave path up {site} {}`, at the site that took it down.",
                path.path
            ),
        ),
        Trouble::ComingUp => (
            format!("It answers and is not used yet: {told}."),
            "Wait: it is used when it has proved itself.".to_owned(),
        ),
        Trouble::TooSmall => (
            format!("It answers and cannot be used: {told}."),
            format!("Let the ISP of {link} or {there} carry packets of 1360 bytes and more."),
        ),
        Trouble::DeviceMissing => down(format!(
            "Correct `interface` of the link in the fleet file, or bring {device} up: `ip link` \
             shows what there is."
        )),
        Trouble::NoCarrier => down(format!("Look at {device}'s cable, modem or driver.")),
        Trouble::NoSocket => {
            down("Free the UDP port, or choose another `listen_port` at all sites.".to_owned())
        }
        Trouble::Unresolved => down(format!(
            "Correct the endpoint of {site}'s link {there}, or this machine's DNS."
        )),
        Trouble::NoWay => down(format!(
            "See that {device} is up, with an address and a route."
        )),
        Trouble::Silence | Trouble::PeerSaysDown => down(format!(
            "The ISP of {device} or of {there} is out: nothing need be done here, the path comes \
             back by itself."
        )),
        Trouble::NoTun | Trouble::Other => down(format!(
            "`pathweave path show {site} {}` and the daemon's log tell more.",
            path.path
        )),
    }
}

/// WireGuard ignores handshakes that are older than the last one, by the sender's clock.
fn clock_hint(facts: &Facts) -> &'static str {
    if facts.clock.future.is_some() {
        "; and set this machine's clock first"
    } else {
        ""
    }
}

pub(crate) fn lossy(facts: &Facts) -> Vec<Finding> {
    let up = facts.paths().filter(|(_, path)| path.trouble().is_none());
    up.flat_map(|(peer, path)| {
        let found = [loss(peer, path), unsteady(peer, path), reserve(peer, path)];
        found.into_iter().flatten()
    })
    .collect()
}

fn loss(peer: &PeerStatus, path: &PathStatus) -> Option<Finding> {
    let ways = [(path.loss_rx, "from"), (path.loss_tx, "to")];
    let ways = ways
        .into_iter()
        .filter_map(|(loss, way)| Some((loss?, way)));
    let (loss, way) = ways.max_by(|a, b| a.0.total_cmp(&b.0))?;
    if loss < LOSSY {
        return None;
    }
    let severity = if loss < VERY_LOSSY {
        Severity::Advice
    } else {
        Severity::Degraded
    };
    let reason = format!(
        "It loses {:.1} % of the packets {way} {}: each loss slows its subflows down.",
        loss * 100.0,
        peer.site
    );
    let remedy = format!(
        "Show the figure to the ISP of {} or {}; under load, it may be a queue that is too short.",
        path.link, path.remote_link
    );
    Some(Finding::new(severity, name(peer, path), reason, remedy))
}

fn unsteady(peer: &PeerStatus, path: &PathStatus) -> Option<Finding> {
    if path.flaps < OFTEN || path.since_s > LATELY_S {
        return None;
    }
    let reason = format!(
        "It went down {} times since the daemon was started, the last time within ten minutes.",
        path.flaps
    );
    let remedy = format!(
        "Look at the line of {} or of {}.",
        path.link, path.remote_link
    );
    Some(Finding::new(
        Severity::Degraded,
        name(peer, path),
        reason,
        remedy,
    ))
}

fn reserve(peer: &PeerStatus, path: &PathStatus) -> Option<Finding> {
    let why = path.reserve.as_ref()?;
    let reason = format!("Connections leave it aside: {why}.");
    let remedy = "Nothing need be done: they are faster without it, and it is there if the others \
                  fail.";
    Some(Finding::new(
        Severity::Advice,
        name(peer, path),
        reason,
        remedy,
    ))
}
