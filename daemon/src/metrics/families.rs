//! Which values there are, and from where in the status each comes.

use std::collections::BTreeMap;

use crate::control::{PathState, PathStatus, PeerStatus, Status};

use super::{Family, Kind, Sample};

type Labels = Vec<(&'static str, String)>;

/// With a label of its own, where a path has several.
type Value = (Option<(&'static str, &'static str)>, f64);

/// Name, help, and the values of one path.
type OfPath = (&'static str, &'static str, fn(&PathStatus) -> Vec<Value>);

const GAUGES_OF_PATHS: [OfPath; 10] = [
    ("pathweave_path_up", "1 while the path is up", |path| {
        one(flag(path.state == PathState::Up))
    }),
    (
        "pathweave_path_admin_down",
        "1 while an operator has taken the path down",
        |path| one(flag(path.state == PathState::AdminDown)),
    ),
    (
        "pathweave_path_reserve",
        "1 while connections leave the path aside though it is up, because its use would lower \
         their rate",
        |path| one(flag(path.reserve.is_some())),
    ),
    (
        "pathweave_path_carries_site_address",
        "1 where the site addresses travel now, and plain TCP and UDP with them",
        |path| one(flag(path.site_path)),
    ),
    (
        "pathweave_path_rtt_seconds",
        "Smoothed round-trip time inside the tunnel",
        |path| known(path.rtt_ms.map(|millis| millis / 1000.0)),
    ),
    (
        "pathweave_path_jitter_seconds",
        "How much the way towards us varies (RFC 3550)",
        |path| known(path.jitter_ms.map(|millis| millis / 1000.0)),
    ),
    (
        "pathweave_path_loss_ratio",
        "Share of probes lost lately, 0 to 1: rx towards us, tx towards the peer",
        |path| {
            let way = |name, loss: Option<f64>| loss.map(|loss| (Some(("direction", name)), loss));
            let ways = [way("rx", path.loss_rx), way("tx", path.loss_tx)];
            ways.into_iter().flatten().collect()
        },
    ),
    (
        "pathweave_path_mtu_bytes",
        "Largest inner packet that is sent now",
        |path| one(f64::from(path.mtu)),
    ),
    (
        "pathweave_path_subflows",
        "Established MPTCP subflows on the path now",
        |path| one(f64::from(path.subflows)),
    ),
    (
        "pathweave_path_last_handshake_timestamp_seconds",
        "When WireGuard's last handshake was completed, in seconds since 1970",
        |path| known(path.last_handshake_unix_s.map(number)),
    ),
];

const COUNTERS_OF_PATHS: [OfPath; 3] = [
    (
        "pathweave_path_bytes_total",
        "Inner bytes of data carried: rx received, tx sent",
        |path| {
            vec![
                (Some(("direction", "rx")), number(path.rx_bytes)),
                (Some(("direction", "tx")), number(path.tx_bytes)),
            ]
        },
    ),
    (
        "pathweave_path_flaps_total",
        "How often the path went down after having been up",
        |path| one(f64::from(path.flaps)),
    ),
    (
        "pathweave_path_dropped_packets_total",
        "Packets that were not delivered, by reason",
        |path| {
            let dropped = &path.dropped;
            let reason = |name, count| (Some(("reason", name)), number(count));
            vec![
                reason("malformed", dropped.malformed),
                reason("no_room", dropped.no_room),
                reason("unauthentic", dropped.unauthentic),
                reason("wrong_source", dropped.wrong_source),
            ]
        },
    ),
];

pub(super) fn all(status: &Status) -> Vec<Family> {
    let mut families = of_the_site(status);
    families.extend(of_the_peers(&status.peers));
    let gauges = GAUGES_OF_PATHS.map(|one| of_paths(one, Kind::Gauge, &status.peers));
    let counters = COUNTERS_OF_PATHS.map(|one| of_paths(one, Kind::Counter, &status.peers));
    families.extend(gauges.into_iter().chain(counters));
    families
}

fn of_the_site(status: &Status) -> Vec<Family> {
    let site = &status.site;
    let name = vec![("site", site.name.clone()), ("id", site.id.to_string())];
    let manager = ("path_manager", site.path_manager.clone());
    let version = vec![("version", site.version.clone())];
    let healing = &site.healing;
    let action = |name: &str, count| sample(vec![("action", name.to_owned())], number(count));
    vec![
        gauge(
            "pathweave_build_info",
            "1, with the version of the daemon",
            vec![sample(version, 1.0)],
        ),
        gauge(
            "pathweave_site_info",
            "1, with this site's name and id and who opens its MPTCP subflows",
            vec![sample([name, vec![manager]].concat(), 1.0)],
        ),
        gauge(
            "pathweave_warnings",
            "Sentences of warning in `pathweave status`",
            vec![sample(vec![], number(site.warnings.len() as u64))],
        ),
        counter(
            "pathweave_strangers_total",
            "Datagrams on our port that belong to no tunnel",
            vec![sample(vec![], number(site.strangers))],
        ),
        counter(
            "pathweave_healing_subflows_total",
            "MPTCP subflows that the daemon opened or closed: created, destroyed (their path died \
             or they hung), duplicate (their path had another one)",
            vec![
                action("created", healing.created),
                action("destroyed", healing.destroyed),
                action("duplicate", healing.duplicates),
            ],
        ),
        counter(
            "pathweave_healing_failures_total",
            "MPTCP subflows that could not be opened, by reason",
            counted("reason", &healing.failed),
        ),
        counter(
            "pathweave_repairs_total",
            "How often what other software undid was put right, by kind",
            counted("kind", &site.repairs),
        ),
        counter(
            "pathweave_fallbacks_total",
            "Connections of this machine that fell back to plain TCP and joins that failed, by \
             the kernel's reason",
            counted("reason", &site.fallbacks),
        ),
    ]
}

fn of_the_peers(peers: &[PeerStatus]) -> [Family; 2] {
    let of_each = |value: fn(&PeerStatus) -> f64| {
        let one = |peer: &PeerStatus| sample(vec![("peer", peer.site.clone())], value(peer));
        peers.iter().map(one).collect()
    };
    [
        gauge(
            "pathweave_peer_reachable",
            "1 while at least one path to the peer is up",
            of_each(|peer| flag(peer.reachable)),
        ),
        gauge(
            "pathweave_peer_plain_tcp_connections",
            "Established connections to the peer that are plain TCP: over one path only",
            of_each(|peer| f64::from(peer.plain_tcp)),
        ),
    ]
}

fn of_paths((name, help, values): OfPath, kind: Kind, peers: &[PeerStatus]) -> Family {
    let mut samples = Vec::new();
    for peer in peers {
        for path in &peer.paths {
            for (label, value) in values(path) {
                let mut labels = labels(peer, path);
                labels.extend(label.map(|(key, word)| (key, word.to_owned())));
                samples.push(sample(labels, value));
            }
        }
    }
    Family {
        name,
        help,
        kind,
        samples,
    }
}

fn labels(peer: &PeerStatus, path: &PathStatus) -> Labels {
    vec![
        ("peer", peer.site.clone()),
        ("path", path.path.to_string()),
        ("link", path.link.clone()),
        ("remote_link", path.remote_link.clone()),
    ]
}

fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family {
        name,
        help,
        kind: Kind::Gauge,
        samples,
    }
}

fn counter(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family {
        kind: Kind::Counter,
        ..gauge(name, help, samples)
    }
}

fn counted(label: &'static str, counts: &BTreeMap<String, u64>) -> Vec<Sample> {
    let one = |(what, count): (&String, &u64)| sample(vec![(label, what.clone())], number(*count));
    counts.iter().map(one).collect()
}

fn sample(labels: Labels, value: f64) -> Sample {
    Sample { labels, value }
}

fn one(value: f64) -> Vec<Value> {
    vec![(None, value)]
}

fn known(value: Option<f64>) -> Vec<Value> {
    value.into_iter().flat_map(one).collect()
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus' numbers are such, exact up to 9 petabytes"
)]
fn number(count: u64) -> f64 {
    count as f64
}
