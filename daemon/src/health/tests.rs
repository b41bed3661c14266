use super::*;

/// Two ends joined by a wire that can be cut in either direction, under a virtual clock.
struct Pair {
    now: Instant,
    ends: [Health; 2],
    /// Probes under way: when they arrive, and at which end.
    wire: Vec<(Instant, usize, Probe)>,
    delay: Duration,
    cut: [bool; 2],
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn new(delay: Duration) -> Self {
        let now = Instant::now();
        let ends = [Health::new(1, now), Health::new(1, now)];
        Self {
            now,
            ends,
            wire: Vec::new(),
            delay,
            cut: [false; 2],
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.deliver();
            for from in 0..2 {
                self.ends[from].handle_timeout(self.now);
                if let Some(probe) = self.ends[from].poll_probe(self.now)
                    && !self.cut[from]
                {
                    self.wire.push((self.now + self.delay, 1 - from, probe));
                }
            }
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.wire.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, to, probe) in due {
            self.ends[to].handle_probe(&probe, now);
        }
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}

const UP: [State; 2] = [State::Up, State::Up];

#[test]
fn both_ends_come_up_and_measure_the_round_trip() {
    let mut pair = Pair::new(Duration::from_millis(40));
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.states(), UP);
    let rtt = pair.ends[0].round_trip().unwrap();
    assert!(
        rtt.abs_diff(Duration::from_millis(80)) < Duration::from_millis(3),
        "{rtt:?}"
    );
    assert_eq!(pair.ends[0].loss(), Some(0.0));
}

#[test]
fn a_path_that_dies_in_one_direction_is_down_at_both_ends_within_two_seconds() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    pair.cut = [true, false];
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states()[1], State::Down(Cause::Silence));
    assert_ne!(
        pair.states()[0],
        State::Up,
        "the end that still hears must not believe in the path"
    );
}

#[test]
fn a_busy_path_is_seen_dead_within_half_a_second() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    for _ in 0..20 {
        let now = pair.now;
        pair.ends.iter_mut().for_each(|end| end.handle_data(now));
        pair.run(Duration::from_millis(50));
    }
    assert_eq!(pair.states(), UP);
    pair.cut = [true, true];
    pair.run(Duration::from_millis(500));
    assert_eq!(pair.states(), [State::Down(Cause::Silence); 2]);
}

#[test]
fn a_healed_path_comes_back_within_two_seconds() {
    let mut pair = Pair::new(Duration::from_millis(150));
    pair.run(Duration::from_secs(5));
    pair.cut = [true, true];
    pair.run(Duration::from_secs(30));
    pair.cut = [false, false];
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), UP);
}

#[test]
fn an_operator_takes_a_path_down_at_both_ends_and_brings_it_back() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    let now = pair.now;
    pair.ends[0].handle_admin(false, now);
    pair.run(Duration::from_secs(1));
    assert_eq!(
        pair.states(),
        [State::AdminDown, State::Down(Cause::PeerAdminDown)]
    );
    let now = pair.now;
    pair.ends[0].handle_admin(true, now);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), UP);
}

#[test]
fn any_authenticated_packet_keeps_a_path_up() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    pair.cut = [true, true];
    for _ in 0..50 {
        let now = pair.now;
        pair.ends.iter_mut().for_each(|end| end.handle_heard(now));
        pair.run(Duration::from_millis(100));
    }
    assert_eq!(pair.states(), UP);
}

#[test]
fn an_echo_reply_of_a_plain_wg_peer_is_enough() {
    let pair = Pair::new(Duration::ZERO);
    let mut health = Health::new(1, pair.now);
    let probe = health.poll_probe(pair.now).unwrap();
    let later = pair.now + Duration::from_millis(30);
    health.handle_echo_reply(1, probe.stamp_us, later);
    assert_eq!(health.state(), State::Up);
    assert_eq!(health.round_trip(), Some(Duration::from_millis(30)));
    health.handle_timeout(later + Duration::from_secs(2));
    assert_eq!(health.state(), State::Down(Cause::Silence));
}

#[test]
fn a_lying_far_end_cannot_stretch_the_detection_beyond_its_bounds() {
    let pair = Pair::new(Duration::ZERO);
    let mut health = Health::new(1, pair.now);
    let mut probe = health.poll_probe(pair.now).unwrap();
    (probe.state, probe.interval_us, probe.echo_us) = (ProbeState::Init, u32::MAX, u64::MAX);
    health.handle_probe(&probe, pair.now);
    assert_eq!(health.state(), State::Up);
    assert_eq!(health.round_trip(), None);
    health.handle_timeout(pair.now + Duration::from_secs(21));
    assert_eq!(health.state(), State::Down(Cause::Silence));
}

#[test]
fn the_whole_transition_table() {
    let states = [
        State::AdminDown,
        State::Down(Cause::NeverHeard),
        State::Init,
        State::Up,
    ];
    let inputs = [
        Input::Hears(ProbeState::AdminDown),
        Input::Hears(ProbeState::Down),
        Input::Hears(ProbeState::Init),
        Input::Hears(ProbeState::Up),
        Input::Silence,
        Input::AdminDown,
        Input::AdminUp,
    ];
    let table: Vec<String> = states
        .iter()
        .flat_map(|state| inputs.iter().map(move |input| (state, input)))
        .map(|(state, input)| format!("{state:?} + {input:?} = {:?}", next(*state, *input)))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}
