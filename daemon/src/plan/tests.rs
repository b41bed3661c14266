use super::*;
use crate::config;
use crate::names::PublicKey;

const KEYS: [&str; 3] = [
    "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
    "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
    "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=",
];

/// Sites 1, 2, … with `links` links each, seen from site 1. `more` follows each site's id.
fn view(top: &str, links: u8, more: &[&str]) -> View {
    let mut text = format!("{top}\n");
    for ((id, more), key) in (1..).zip(more).zip(KEYS) {
        let link = |k: u8| format!("{{ name = \"l{k}\", interface = \"eth{k}\" }}, ");
        let links: String = (1..=links).map(link).collect();
        text += &format!("[site.s{id}]\nid = {id}\npublic_key = \"{key}\"\n{more}\n");
        if !more.contains("links") {
            text += &format!("links = [ {links} ]\n");
        }
    }
    let key: PublicKey = KEYS[0].parse().unwrap();
    config::parse("test", &text)
        .unwrap_or_else(|e| panic!("{e}"))
        .view(&key)
        .unwrap()
}

/// With no decision about the site addresses.
fn desired(view: &View, paths: &BTreeMap<PathId, PathUse>) -> KernelState {
    super::desired(view, paths, &BTreeMap::new())
}

/// All paths live, but for those told otherwise by (peer, number).
fn uses(view: &View, others: &[((u8, u8), PathUse)]) -> BTreeMap<PathId, PathUse> {
    let usage = |id: PathId| {
        let other = others
            .iter()
            .find(|((p, k), _)| (id.peer.value(), id.number.value()) == (*p, *k));
        other.map_or(PathUse::Live, |(_, usage)| *usage)
    };
    view.paths()
        .map(|(_, path)| (path.id, usage(path.id)))
        .collect()
}

/// The state as `ip` would show it, one object per line.
fn shown(state: &KernelState) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        state
            .addresses
            .iter()
            .map(|address| format!("address {address}")),
    );
    lines.extend(state.rules.iter().map(|rule| {
        format!(
            "rule {} from {} lookup {}",
            rule.priority, rule.from, rule.table
        )
    }));
    lines.extend(state.routes.iter().map(|(key, target)| match target {
        Target::Unreachable => format!("route {} table {} unreachable", key.destination, key.table),
        Target::Device { name, source } => {
            let source = source
                .map(|source| format!(" src {source}"))
                .unwrap_or_default();
            format!(
                "route {} table {} dev {name}{source}",
                key.destination, key.table
            )
        }
    }));
    lines.extend(
        state
            .endpoints
            .iter()
            .map(|address| format!("endpoint {address}")),
    );
    lines.extend(
        state
            .warnings
            .iter()
            .map(|warning| format!("warning {warning}")),
    );
    lines.join("\n")
}

#[test]
fn two_sites_with_two_paths() {
    let view = view("", 2, &["", ""]);
    insta::assert_snapshot!(shown(&desired(&view, &uses(&view, &[]))));
}

#[test]
fn a_dead_path_1_moves_the_site_address_and_nothing_else() {
    let view = view("", 3, &["", ""]);
    let before = desired(&view, &uses(&view, &[]));
    let after = desired(&view, &uses(&view, &[((2, 1), PathUse::Idle)]));
    let moved: Vec<_> = after
        .routes
        .iter()
        .filter(|(key, target)| before.routes.get(key) != Some(target))
        .collect();
    assert_eq!(moved.len(), 2, "one route for each family: {moved:?}");
    assert!(moved.iter().all(|(_, target)| {
        matches!(target, Target::Device { name, .. } if name.as_str() == "pw-s2-2")
    }));
    assert_eq!(before.routes.len(), after.routes.len());
    assert_eq!(
        (before.rules, before.endpoints),
        (after.rules, after.endpoints)
    );
}

#[test]
fn an_absent_path_is_named_by_no_route() {
    let view = view("", 2, &["", ""]);
    let state = desired(&view, &uses(&view, &[((2, 2), PathUse::Absent)]));
    assert!(!shown(&state).contains("pw-s2-2"), "{}", shown(&state));
}

#[test]
fn with_no_live_path_the_overlay_is_unreachable_and_nothing_goes_elsewhere() {
    let view = view("", 1, &["", "subnets = [\"192.168.20.0/24\"]"]);
    let state = desired(&view, &uses(&view, &[((2, 1), PathUse::Idle)]));
    assert!(
        state
            .routes
            .values()
            .all(|target| *target == Target::Unreachable)
    );
    assert!(shown(&state).contains("route 192.168.20.0/24 table 254 unreachable"));
}

#[test]
fn a_third_site_shares_rules_and_endpoints_and_its_subnets_are_routed_on_every_path() {
    let view = view("", 2, &["", "", "subnets = [\"192.168.30.0/24\"]"]);
    insta::assert_snapshot!(shown(&desired(&view, &uses(&view, &[]))));
}

#[test]
fn a_metered_link_carries_the_site_address_only_when_nothing_else_is_left() {
    let cheap = "{ name = \"b\", interface = \"b\" }";
    let links =
        format!("links = [ {{ name = \"a\", interface = \"a\", cost = \"metered\" }}, {cheap} ]");
    let view = view("overlay = [\"10.213.0.0/16\"]", 2, &[&links, ""]);
    let by = |uses: BTreeMap<PathId, PathUse>| {
        let state = desired(&view, &uses);
        let (_, target) = state
            .routes
            .into_iter()
            .find(|(key, _)| {
                key.table == MAIN_TABLE && key.destination.ip().to_string() == "10.213.2.1"
            })
            .unwrap();
        let Target::Device { name, .. } = target else {
            return String::new();
        };
        name.to_string()
    };
    assert_eq!(by(uses(&view, &[])), "pw-s2-2");
    assert_eq!(by(uses(&view, &[((2, 2), PathUse::Idle)])), "pw-s2-1");
}

#[test]
fn the_decided_path_carries_the_site_address_while_it_lives() {
    let view = view("overlay = [\"10.213.0.0/16\"]", 3, &["", ""]);
    let decided = BTreeMap::from([(SiteId::new(2).unwrap(), PathNumber::new(3).unwrap())]);
    let by = |uses: &BTreeMap<PathId, PathUse>| {
        let state = shown(&super::desired(&view, uses, &decided));
        let line = state
            .lines()
            .find(|line| line.starts_with("route 10.213.2.1/32 table 254"));
        line.map(str::to_owned).unwrap_or_default()
    };
    assert!(by(&uses(&view, &[])).contains("pw-s2-3"));
    assert!(by(&uses(&view, &[((2, 3), PathUse::Idle)])).contains("pw-s2-1"));
}

#[test]
fn one_family_alone_gives_nothing_of_the_other() {
    for (overlay, absent) in [("10.213.0.0/16", ":"), ("fd50:7761:7665::/48", "10.213")] {
        let view = view(&format!("overlay = [\"{overlay}\"]"), 2, &["", ""]);
        let state = shown(&desired(&view, &uses(&view, &[])));
        assert!(!state.contains(absent), "{state}");
    }
}

#[test]
fn what_the_kernel_has_no_place_for_is_said() {
    let view = view("", 9, &["", ""]);
    let state = desired(&view, &uses(&view, &[]));
    assert_eq!(state.endpoints.len(), 8);
    assert!(state.endpoints.iter().all(IpAddr::is_ipv4));
    assert_eq!(state.warnings.len(), 1, "{:?}", state.warnings);
    assert!(state.warnings[0].contains("fd50:7761:7665:1::2"));
}

#[test]
fn the_guard_knows_our_own_network_from_the_overlay_and_the_peers_subnets() {
    let view = view(
        "",
        1,
        &[
            "subnets = [\"192.168.10.0/24\"]",
            "subnets = [\"192.168.20.0/24\"]",
        ],
    );
    let guard = desired(&view, &BTreeMap::new()).guard.unwrap().script(true);
    insta::assert_snapshot!(guard);
}

#[test]
fn a_subflow_belongs_to_the_path_of_its_opener() {
    let view = view("", 2, &["", ""]);
    let paths = PathAddresses::of(&view);
    let path_of = |source: &str, destination: &str| {
        let ends = (source.parse().unwrap(), destination.parse().unwrap());
        paths
            .iter()
            .find(|path| path.carries(ends.0, ends.1))
            .map(|path| path.path.number.value())
    };
    assert_eq!(path_of("10.213.1.2", "10.213.2.1"), Some(2), "we opened it");
    assert_eq!(
        path_of("10.213.1.1", "10.213.2.2"),
        Some(2),
        "the peer opened it"
    );
    assert_eq!(path_of("10.213.1.1", "10.213.2.1"), Some(1));
    assert_eq!(path_of("10.213.1.2", "10.213.2.2"), None, "a cross subflow");
}
