use std::collections::BTreeSet;

use super::*;

/// A site with one path that is up and one that never was.
fn a_status() -> Status {
    let path = |number: u8, more: &str| {
        format!(
            r#"{{"path": {number}, "link": "fiber", "remote_link": "a \"b\\c",
            "interface": "pw-tainan-{number}", "carrier": "udp", "mtu": 1420, "subflows": 4,
            "tx_bytes": 123456789012, "rx_bytes": 950, {more}}}"#
        )
    };
    let up = path(
        1,
        r#""state": "up", "rtt_ms": 10.25, "jitter_ms": 1.5, "loss_rx": 0.012, "loss_tx": 0.0,
        "flaps": 3, "site_path": true, "last_handshake_unix_s": 1790000000, "dropped":
        {"wrong_source": 1, "malformed": 2, "unauthentic": 3, "no_room": 4}"#,
    );
    let down = path(
        2,
        r#""state": "admin-down", "reason": "taken down by the operator""#,
    );
    let text = format!(
        r#"{{"schema": 1, "site": {{"name": "nara", "id": 1, "public_key": "", "version": "0.1.0",
        "warnings": ["something is odd"], "strangers": 7, "path_manager": "userspace",
        "healing": {{"created": 5, "destroyed": 2, "duplicates": 0, "failed": {{"no route": 1}}}},
        "repairs": {{"leak guard": 2}}, "fallbacks": {{"DSSCorruptionFallback": 1}}}},
        "peers": [{{"site": "tainan", "id": 2, "reachable": true, "plain_tcp": 1,
        "paths": [{up}, {down}]}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_status_in_prometheus_words() {
    insta::assert_snapshot!(text(families(&a_status())));
}

#[test]
fn what_is_not_known_is_left_out() {
    let text = text(families(&a_status()));
    let unknown = text
        .lines()
        .filter(|line| line.contains(r#"path="2""#))
        .find(|line| line.contains("rtt") || line.contains("loss") || line.contains("handshake"));
    assert_eq!(unknown, None);
}

/// As <https://prometheus.io/docs/practices/naming/> has it.
#[test]
fn names_keep_the_conventions() {
    let families = families(&a_status());
    let names: BTreeSet<_> = families.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), families.len(), "a name is used twice");
    for Family {
        name, help, kind, ..
    } in &families
    {
        assert!(name.starts_with("pathweave_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}: {help}");
    }
}
