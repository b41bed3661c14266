//! Two sites and the wires between them, under a virtual clock: what they agree upon, and how
//! soon.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::names::PathNumber;

const MILLI: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Wire {
    delay: Duration,
    /// Nothing arrives at the second site, at the first.
    cut: [bool; 2],
}

/// When it arrives, at which site, on which of its paths, and what.
type Parcel = (Instant, usize, PathId, Vec<u8>);

struct World {
    now: Instant,
    sites: [Site; 2],
    wires: Vec<Wire>,
    under_way: BinaryHeap<Reverse<Parcel>>,
    bytes: u64,
    busy: bool,
    next_data: Instant,
    /// When each end moved its site route, and to which path.
    moves: [Vec<(Instant, u8)>; 2],
}

pub(super) fn view(own: u8, other: u8, paths: u8) -> View {
    let with_links = |id: u8, name: &str| SiteConfig {
        links: (0..paths).map(|_| link("fiber")).collect(),
        ..site(id, name)
    };
    let peer = with_links(other, "there");
    let path = |number: u8| {
        let id = path_to(other, number);
        Path {
            id,
            link: usize::from(number) - 1,
            remote_link: usize::from(number) - 1,
            interface: InterfaceName::of_path(&peer.name, id),
            public_key: peer.public_key,
            mtu: 1420,
        }
    };
    let paths = (1..=paths).map(path).collect();
    View {
        overlay: OverlayPrefixes::new(Some("10.213.0.0/16".parse().unwrap()), None).unwrap(),
        listen_port: 51820,
        leak_guard: true,
        metrics: None,
        path_manager: Default::default(),
        speed_test: true,
        site: with_links(own, "here"),
        peers: vec![Peer { site: peer, paths }],
    }
}

pub(super) fn path_to(peer: u8, number: u8) -> PathId {
    PathId {
        peer: SiteId::new(peer).unwrap(),
        number: PathNumber::new(number).unwrap(),
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn new(delays: &[u64]) -> Self {
        let now = Instant::now();
        let paths = u8::try_from(delays.len()).unwrap();
        let wire = |millis: &u64| Wire {
            delay: Duration::from_millis(*millis),
            cut: [false; 2],
        };
        Self {
            now,
            sites: [(1, 2), (2, 1)].map(|(own, other)| Site::new(view(own, other, paths), now)),
            wires: delays.iter().map(wire).collect(),
            under_way: BinaryHeap::new(),
            bytes: 0,
            busy: true,
            next_data: now,
            moves: [Vec::new(), Vec::new()],
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
            let due = self.sites.iter().filter_map(|site| site.poll_timeout());
            let next = due.map(|(at, _)| at).chain(arrival).min().unwrap();
            let next = next.min(self.next_data);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.turn();
        }
    }

    fn turn(&mut self) {
        let now = self.now;
        let is_due = |site: &Site| site.poll_timeout().is_some_and(|(at, _)| at <= now);
        let mut touched = [is_due(&self.sites[0]), is_due(&self.sites[1])];
        if self.next_data <= self.now {
            touched = [true; 2];
            self.next_data = self.now + if self.busy { SECOND / 2 } else { SECOND * 10 };
            self.bytes += u64::from(self.busy);
            self.carry_data();
        }
        while let Some(Reverse((at, to, path, packet))) = self.under_way.pop() {
            if at > self.now {
                self.under_way.push(Reverse((at, to, path, packet)));
                break;
            }
            self.sites[to].handle_control(path, &packet, self.now);
            touched[to] = true;
        }
        for from in (0..2).filter(|site| touched[*site]) {
            while let Some(action) = self.sites[from].poll_action(self.now) {
                if let Action::Send { path, packet } = action {
                    self.send(from, path, packet);
                }
            }
            let path = self.site_path(from);
            if self.moves[from].last().map_or(0, |(_, path)| *path) != path {
                self.moves[from].push((self.now, path));
            }
        }
    }

    fn carry_data(&mut self) {
        let traffic = Traffic {
            heard: 0,
            data_bytes: self.bytes,
            session: true,
            refused: 0,
            mtu: 1420,
            remote: None,
        };
        for site in &mut self.sites {
            let paths: Vec<_> = site.uses().into_keys().collect();
            for path in paths {
                site.handle_traffic(path, traffic, self.now);
            }
        }
    }

    fn send(&mut self, from: usize, path: PathId, packet: Vec<u8>) {
        let wire = self.wires[usize::from(path.number.value()) - 1];
        if !wire.cut[from] {
            let back = path_to(if from == 0 { 1 } else { 2 }, path.number.value());
            let arrives = self.now + wire.delay;
            self.under_way
                .push(Reverse((arrives, 1 - from, back, packet)));
        }
    }

    fn cut(&mut self, path: usize, cut: bool) {
        self.wires[path - 1].cut = [cut; 2];
    }

    /// 0: there is none.
    fn site_path(&self, site: usize) -> u8 {
        let paths = self.sites[site].site_paths();
        paths.values().next().map_or(0, |number| number.value())
    }

    fn site_paths(&self) -> [u8; 2] {
        [self.site_path(0), self.site_path(1)]
    }

    fn live(&self, site: usize) -> usize {
        let uses = self.sites[site].uses();
        uses.values()
            .filter(|usage| **usage == PathUse::Live)
            .count()
    }
}

#[test]
fn both_ends_leave_a_dead_path_within_a_round_trip_of_each_other_and_return_so() {
    for dead in [1, 3] {
        let mut world = World::new(&[10, 30, 60]);
        world.run(SECOND * 20);
        assert_eq!(world.site_paths(), [1, 1]);
        world.cut(dead, true);
        let cut = world.now;
        world.run(SECOND);
        let left = if dead == 1 { [2, 2] } else { [1, 1] };
        assert_eq!(world.site_paths(), left, "path {dead} died");
        if dead == 1 {
            let at = [0, 1].map(|site| world.moves[site].last().unwrap().0 - cut);
            println!("left after {at:?}");
            assert!(at.iter().all(|at| *at < MILLI * 600), "{at:?}");
            assert!(at[0].abs_diff(at[1]) < MILLI * 120, "{at:?}");
        }
        world.run(SECOND * 10);
        world.cut(dead, false);
        let repaired = world.now;
        world.run(SECOND * 3);
        assert_eq!(world.site_paths(), [1, 1]);
        assert_eq!([world.live(0), world.live(1)], [3, 3]);
        if dead == 1 {
            let at = [0, 1].map(|site| world.moves[site].last().unwrap().0 - repaired);
            println!("back after {at:?}");
            assert!(at[0].abs_diff(at[1]) < MILLI * 120, "{at:?}");
        }
    }
}

#[test]
fn when_all_paths_die_the_first_to_answer_is_used_without_being_held_back() {
    let mut world = World::new(&[10, 30, 60]);
    world.run(SECOND * 20);
    for _ in 0..6 {
        (1..=3).for_each(|path| world.cut(path, true));
        world.run(SECOND * 2);
        assert_eq!(world.site_paths(), [0, 0]);
        (1..=3).for_each(|path| world.cut(path, false));
        world.run(SECOND);
        assert!(
            world.site_paths().iter().all(|path| *path != 0),
            "the peer answers again, and is not used"
        );
        world.run(SECOND * 2);
    }
}

#[test]
fn a_device_that_goes_is_known_at_the_other_end_before_silence_would_tell() {
    let mut world = World::new(&[10, 30, 60]);
    world.run(SECOND * 20);
    world.cut(1, true);
    let eth1: InterfaceName = "eth1".parse().unwrap();
    let gone = Some(Obstacle::NoCarrier(eth1));
    let (now, path) = (world.now, path_to(2, 1));
    world.sites[0].handle_obstacle(path, gone, now);
    assert_eq!(world.site_path(0), 2, "at once at the end that knows");
    world.run(MILLI * 300);
    assert_eq!(world.site_path(1), 2);
    assert_eq!([world.live(0), world.live(1)], [2, 2]);
}

#[test]
fn a_peer_that_calls_every_path_down_takes_none_down() {
    let mut world = World::new(&[10, 30]);
    world.run(SECOND * 5);
    let ends = ["10.213.2.1", "10.213.1.1"].map(|address| address.parse().unwrap());
    let liar = |at_ms: u32, path: u8| {
        let probe = Probe {
            state: ProbeState::Up,
            path,
            hurry: true,
            held: false,
            sequence: u32::MAX - at_ms,
            interval_us: 0,
            hold_us: u32::MAX,
            stamp_us: u64::from(at_ms) * 1000 + 1_000_000_000,
            echo_us: u64::MAX,
            loss: Some(254),
            word: Some(crate::packet::probe::Word {
                at_ms,
                site_path: 200,
                down: u16::MAX,
                release: None,
            }),
        };
        probe.to_packet(ends[0], ends[1]).unwrap()
    };
    for tenth in 0..100 {
        let now = world.now + MILLI * 100 * tenth;
        for path in [1, 2] {
            let packet = liar(tenth * 100, path);
            world.sites[0].handle_control(path_to(2, path), &packet, now);
        }
        while let Some(action) = world.sites[0].poll_action(now) {
            // About sizes it says the truth: who says nothing there carries nothing.
            if let Action::Send { path, packet } = action
                && let Some(Size::Asked(size)) = Size::from_packet(&packet)
            {
                let came = Size::Came(size).to_packet(ends[0], ends[1]).unwrap();
                world.sites[0].handle_control(path, &came, now);
            }
        }
        assert_eq!(world.live(0), 2, "after {tenth} lies");
        assert_ne!(world.site_path(0), 0);
    }
}

#[test]
fn a_round_trip_that_hovers_between_two_classes_does_not_make_the_site_route_flap() {
    const DAYS: u32 = 4;
    let mut world = World::new(&[60, 20]);
    world.busy = false;
    for minute in 0..DAYS * 24 * 60 {
        // A round trip of 100 to 200 ms, in waves of forty minutes.
        let phase = f64::from(minute) / 40.0 * std::f64::consts::TAU;
        world.wires[0].delay = (MILLI * 75).mul_f64(1.0 + phase.sin() / 3.0);
        world.run(SECOND * 60);
        if world.site_path(0) != world.site_path(1) {
            // It has just moved: the word is under way.
            world.run(MILLI * 200);
        }
        assert_eq!(world.site_path(0), world.site_path(1), "minute {minute}");
    }
    let moves = world.moves[0].len();
    println!("{moves} moves of the site route in {DAYS} days");
    assert!(moves <= 8 * usize::try_from(DAYS).unwrap());
}

/// A linear congruential generator (Knuth, MMIX): the same seed, the same month.
fn roll(seed: &mut u64, sides: u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % sides
}

/// Every hour some paths die for five minutes, in one direction or both.
#[test]
fn in_thirty_days_of_outages_both_ends_always_agree_on_a_path_that_lives() {
    let mut world = World::new(&[20, 60, 120]);
    let (mut seed, mut outages) = (7, 0);
    let check = |world: &World, when: &str| {
        let alive: Vec<_> = (0..3).filter(|path| !world.wires[*path].cut[0]).collect();
        let [ours, theirs] = world.site_paths();
        let live = [world.live(0), world.live(1)];
        assert_eq!(live, [alive.len(); 2], "{when}");
        assert_eq!(ours, theirs, "{when}");
        let lives = alive.iter().any(|path| path + 1 == usize::from(ours));
        assert!(lives || alive.is_empty(), "{when}: {ours}");
    };
    for hour in 0..30 * 24 {
        for path in 0..3 {
            let cuts = [[true; 2], [true, false], [false; 2]];
            world.wires[path].cut = cuts[usize::try_from(roll(&mut seed, 6)).unwrap().min(2)];
            outages += u32::from(world.wires[path].cut[0]);
        }
        world.busy = roll(&mut seed, 12) == 0;
        world.run(SECOND * 30);
        world.busy = false;
        world.run(SECOND * 270);
        check(&world, &format!("hour {hour}, in the outage"));
        world
            .wires
            .iter_mut()
            .for_each(|wire| wire.cut = [false; 2]);
        world.run(SECOND * 3300);
        check(&world, &format!("hour {hour}, after the repair"));
    }
    let moves = world.moves[0].len();
    println!("{outages} outages, {moves} moves of the site route");
}
