//! Healing against a small model of the kernel: two peers, three paths each.

use proptest::prelude::*;

use std::net::IpAddr;

use super::*;
use crate::config;
use crate::names::{PathNumber, PublicKey, SiteId};

const FLEET: &str = r#"
overlay = ["10.213.0.0/16"]
[site.one]
id = 1
public_key = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
links = [{ name = "a", interface = "a" }, { name = "b", interface = "b" }, { name = "c", interface = "c" }]
[site.two]
id = 2
public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
links = [{ name = "a", interface = "a" }, { name = "b", interface = "b" }, { name = "c", interface = "c" }]
[site.three]
id = 3
public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
links = [{ name = "a", interface = "a" }, { name = "b", interface = "b" }, { name = "c", interface = "c" }]
"#;

fn path(peer: u8, number: u8) -> PathId {
    PathId {
        peer: SiteId::new(peer).unwrap(),
        number: PathNumber::new(number).unwrap(),
    }
}

fn address(site: u8, path: u8) -> IpAddr {
    IpAddr::from([10, 213, site, path])
}

/// The kernel of site 1, as far as healing sees it.
struct Machine {
    healing: Healing,
    addresses: Vec<PathAddresses>,
    live: BTreeSet<PathId>,
    subflows: Vec<Subflow>,
    port: u16,
    now: Instant,
    /// Joins are swallowed.
    deaf: bool,
}

impl Machine {
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn new() -> Self {
        let key: PublicKey = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
            .parse()
            .unwrap();
        let view = config::parse("test", FLEET).unwrap().view(&key).unwrap();
        Self {
            healing: Healing::default(),
            addresses: PathAddresses::of(&view),
            live: view.paths().map(|(_, path)| path.id).collect(),
            subflows: Vec::new(),
            port: 40_000,
            now: Instant::now(),
            deaf: false,
        }
    }

    fn add(&mut self, token: u32, source: IpAddr, destination: IpAddr, opened_here: bool) {
        self.port += 1;
        self.subflows.push(Subflow {
            backup: false,
            token,
            source,
            source_port: self.port,
            destination,
            destination_port: 7000,
            opened_here,
            established: true,
            takes_joins: true,
            bytes_acked: 0,
            bytes_received: 0,
        });
    }

    /// A connection that we opened, with its first subflow; one look fills it.
    fn open(&mut self, token: u32, peer: u8) {
        self.add(token, address(1, 1), address(peer, 1), true);
        self.look();
        self.look();
    }

    /// One look, what comes of it in the kernel, and a third of a second.
    fn look(&mut self) -> Vec<Action> {
        let paths = Paths {
            addresses: &self.addresses,
            live: &self.live,
        };
        let actions = self.healing.look(&self.subflows, paths, self.now);
        // Joins under way are answered where their path lives, else given up.
        let live = |subflow: &Subflow| {
            paths
                .of(subflow)
                .is_some_and(|path| self.live.contains(&path))
        };
        self.subflows
            .retain(|subflow| subflow.established || (live(subflow) && !self.deaf));
        self.subflows
            .iter_mut()
            .for_each(|subflow| subflow.established = true);
        for action in &actions {
            match *action {
                Action::Abandon(subflow) | Action::Destroy(subflow) => {
                    self.subflows
                        .retain(|other| other.source_port != subflow.source_port);
                    let left = self
                        .subflows
                        .iter()
                        .any(|other| other.token == subflow.token && other.established);
                    assert!(left, "the last subflow was destroyed");
                }
                Action::Create(join) => {
                    self.add(join.token, join.source, join.destination, true);
                    self.subflows.last_mut().unwrap().established = false;
                }
            }
        }
        self.now += Duration::from_millis(330);
        actions
    }

    /// Until there is nothing to do.
    fn settle(&mut self) {
        for _ in 0..400 {
            self.look();
        }
    }

    /// Data flows on every live path.
    fn flow(&mut self) {
        let (addresses, live) = (&self.addresses, &self.live);
        let paths = Paths { addresses, live };
        for subflow in &mut self.subflows {
            if paths.of(subflow).is_some_and(|path| live.contains(&path)) {
                subflow.bytes_acked += 1000;
            }
        }
    }

    /// Path numbers of a connection's subflows.
    fn paths_of(&self, token: u32) -> Vec<u8> {
        let (addresses, live) = (&self.addresses, &self.live);
        let paths = Paths { addresses, live };
        let of = self
            .subflows
            .iter()
            .filter(|subflow| subflow.token == token);
        let mut numbers: Vec<_> = of
            .map(|subflow| paths.of(subflow).unwrap().number.value())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    fn ports_of(&self, token: u32) -> Vec<u16> {
        let of = self
            .subflows
            .iter()
            .filter(|subflow| subflow.token == token);
        of.map(|subflow| subflow.source_port).collect()
    }

    fn set(&mut self, path: PathId, live: bool) {
        if live {
            self.live.insert(path);
        } else {
            self.live.remove(&path);
        }
    }
}

#[test]
fn a_connection_gets_one_subflow_per_path_and_then_is_left_alone() {
    let mut machine = Machine::new();
    machine.open(7, 2);
    assert_eq!(machine.paths_of(7), [1, 2, 3]);
    for _ in 0..50 {
        assert_eq!(machine.look(), []);
    }
    assert_eq!(machine.healing.counts.created, 2);
}

#[test]
fn a_new_connection_is_filled_without_looking_at_the_others() {
    let mut machine = Machine::new();
    machine.add(7, address(1, 1), address(2, 1), true);
    let paths = Paths {
        addresses: &machine.addresses,
        live: &machine.live,
    };
    let first = machine.subflows[0];
    let actions = machine
        .healing
        .handle_established(&first, paths, machine.now);
    let join = |k| {
        Action::Create(Join {
            token: 7,
            source: address(1, k),
            id: k,
            destination: address(2, 1),
            port: 7000,
        })
    };
    assert_eq!(actions, [join(2), join(3)]);
}

#[test]
fn a_connection_that_takes_no_joins_yet_gets_none() {
    let mut machine = Machine::new();
    machine.add(7, address(1, 1), address(2, 1), true);
    machine.subflows[0].takes_joins = false;
    assert_eq!(machine.look(), []);
}

#[test]
fn every_path_s_subflow_goes_with_it_and_comes_back_with_it() {
    for dead in 1..=3 {
        let mut machine = Machine::new();
        machine.open(7, 2);
        machine.open(8, 3);
        let others = machine.ports_of(8);
        machine.set(path(2, dead), false);
        machine.look();
        let left: Vec<_> = (1..=3).filter(|number| *number != dead).collect();
        assert_eq!(machine.paths_of(7), left, "at once");
        let kept = machine.ports_of(7);
        machine.settle();
        machine.set(path(2, dead), true);
        machine.look();
        machine.look();
        assert_eq!(machine.paths_of(7), [1, 2, 3]);
        let ports = machine.ports_of(7);
        assert!(
            kept.iter().all(|port| ports.contains(port)),
            "healthy ones were renewed"
        );
        assert_eq!(
            machine.ports_of(8),
            others,
            "another peer's connection was touched"
        );
    }
}

#[test]
fn a_connection_that_the_peer_opened_loses_its_dead_subflow_and_is_filled_by_the_peer() {
    let mut machine = Machine::new();
    for number in 1..=3 {
        machine.add(9, address(1, 1), address(2, number), false);
    }
    machine.set(path(2, 2), false);
    machine.look();
    assert_eq!(machine.paths_of(9), [1, 3]);
    machine.set(path(2, 2), true);
    machine.settle();
    assert_eq!(machine.paths_of(9), [1, 3], "only the opener creates");
}

#[test]
fn when_all_paths_are_dead_nothing_is_destroyed_and_then_one_after_the_other_is_renewed() {
    let mut machine = Machine::new();
    machine.open(7, 2);
    let before = machine.ports_of(7);
    (1..=3).for_each(|number| machine.set(path(2, number), false));
    machine.settle();
    assert_eq!(machine.ports_of(7), before);
    (1..=3).for_each(|number| machine.set(path(2, number), true));
    let mut most = 0;
    for _ in 0..60 {
        let actions = machine.look();
        let created = actions
            .iter()
            .filter(|action| matches!(action, Action::Create(_)));
        most = most.max(created.count());
        machine.flow();
    }
    assert_eq!(most, 1, "all at once");
    assert_eq!(machine.paths_of(7), [1, 2, 3]);
}

#[test]
fn a_last_subflow_that_moves_again_by_itself_is_not_renewed() {
    let mut machine = Machine::new();
    machine.open(7, 2);
    (1..=3).for_each(|number| machine.set(path(2, number), false));
    machine.settle();
    let before = machine.ports_of(7);
    (1..=3).for_each(|number| machine.set(path(2, number), true));
    machine.flow();
    machine.settle();
    assert_eq!(machine.ports_of(7), before);
}

#[test]
fn of_two_subflows_on_one_path_the_busier_stays() {
    let mut machine = Machine::new();
    machine.open(7, 2);
    machine.add(7, address(1, 2), address(2, 1), true);
    let busy = machine.port;
    machine.subflows.last_mut().unwrap().bytes_received = 5;
    machine.look();
    assert_eq!(machine.paths_of(7), [1, 2, 3]);
    assert!(machine.ports_of(7).contains(&busy));
    assert_eq!(machine.healing.counts.duplicates, 1);
}

#[test]
fn joins_that_are_never_answered_are_tried_more_and_more_rarely() {
    let mut machine = Machine::new();
    machine.deaf = true;
    machine.open(7, 2);
    for _ in 0..3600 * 3 {
        machine.look();
    }
    let created = machine.healing.counts.created;
    assert!(
        (60..=140).contains(&created),
        "{created} tries on two paths in an hour"
    );
    assert_eq!(
        machine.healing.counts.failed.values().sum::<u64>(),
        created - 2
    );
    machine.deaf = false;
    machine.settle();
    assert_eq!(machine.paths_of(7), [1, 2, 3]);
    assert!(machine.healing.attempts.is_empty());
}

#[test]
fn nothing_is_remembered_of_a_connection_that_has_ended() {
    let mut machine = Machine::new();
    machine.open(7, 2);
    (1..=3).for_each(|number| machine.set(path(2, number), false));
    machine.look();
    machine.subflows.clear();
    machine.look();
    let Healing {
        marked,
        attempts,
        renewed,
        ..
    } = &machine.healing;
    assert!(marked.is_empty() && attempts.is_empty() && renewed.is_empty());
}

#[derive(Clone, Debug)]
enum Happening {
    Path(u8, u8, bool),
    Open(u8),
    Lost(usize),
    Doubled(usize),
    Flow,
    Look,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (2..=3u8, 1..=3u8, any::<bool>())
            .prop_map(|(peer, number, live)| Happening::Path(peer, number, live)),
        (2..=3u8).prop_map(Happening::Open),
        (0..20usize).prop_map(Happening::Lost),
        (0..20usize).prop_map(Happening::Doubled),
        Just(Happening::Flow),
        Just(Happening::Look),
        Just(Happening::Look),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_in_the_end_there_is_one_subflow_per_live_path(
        happenings in proptest::collection::vec(happening(), 0..60),
        dead in 0..3u8,
    ) {
        let mut machine = Machine::new();
        let mut opened = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Path(peer, number, live) => machine.set(path(peer, number), live),
                Happening::Open(peer) if opened.len() < 6 => {
                    let token = 100 + u32::try_from(opened.len()).unwrap();
                    machine.add(token, address(1, 1), address(peer, 1), true);
                    opened.push((token, peer));
                }
                // The network takes one, but a connection's last.
                Happening::Lost(at) if at < machine.subflows.len() => {
                    let token = machine.subflows[at].token;
                    let established = machine.subflows.iter().filter(|s| s.token == token && s.established);
                    if established.count() > 1 {
                        machine.subflows.remove(at);
                    }
                }
                Happening::Doubled(at) if at < machine.subflows.len() => {
                    let Subflow { token, source, destination, .. } = machine.subflows[at];
                    machine.add(token, source, destination, true);
                }
                Happening::Flow => machine.flow(),
                Happening::Open(_) | Happening::Lost(_) | Happening::Doubled(_) | Happening::Look => {
                    machine.look();
                }
            }
        }
        for (peer, number) in [2, 3].into_iter().flat_map(|peer| [1, 2, 3].map(|number| (peer, number))) {
            machine.set(path(peer, number), number != dead);
        }
        machine.settle();
        let expected: Vec<u8> = (1..=3).filter(|number| *number != dead).collect();
        for (token, _) in opened {
            prop_assert_eq!(machine.paths_of(token), expected.clone());
        }
        prop_assert_eq!(machine.look(), []);
    }
}
