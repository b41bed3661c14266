use super::*;
use crate::packet::probe::Word;

mod properties;
mod simulation;

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
                if let Some(mut probe) = self.ends[from].poll_probe(self.now)
                    && !self.cut[from]
                {
                    probe.word = Some(Word::default());
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
fn the_far_end_does_not_notice_another_daemon_that_goes_on_with_the_path() {
    let mut pair = Pair::new(Duration::from_millis(40));
    pair.run(Duration::from_secs(5));
    let since = pair.ends[1].age(pair.now);
    pair.ends[0] = Health::new(1, pair.now);
    pair.ends[0].adopt(pair.now);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.states(), UP);
    assert!(pair.ends[1].age(pair.now) > since, "it went down there");
    assert_eq!(pair.ends[1].flaps(), 0);
}

#[test]
fn a_path_that_was_taken_over_and_is_dead_goes_down_within_seconds() {
    let mut pair = Pair::new(Duration::from_millis(40));
    pair.cut = [true; 2];
    pair.ends[0].adopt(pair.now);
    pair.run(Duration::from_millis(2900));
    assert_eq!(pair.ends[0].state(), State::Up);
    pair.run(Duration::from_millis(200));
    assert_eq!(pair.ends[0].state(), State::Down(Cause::Silence));
}

/// Lets `time` pass for one machine whose far end says nothing.
fn pass(health: &mut Health, from: Instant, time: Duration) -> Instant {
    let mut now = from;
    while now < from + time {
        now += Duration::from_millis(10);
        health.handle_timeout(now);
        health.poll_probe(now);
    }
    now
}

#[test]
fn the_first_start_takes_a_round_trip_and_a_half() {
    let mut pair = Pair::new(Duration::from_millis(20));
    pair.run(Duration::from_millis(250));
    assert_eq!(pair.states(), UP);
}

#[test]
fn an_idle_path_that_dies_in_one_direction_is_down_at_both_ends_within_four_seconds() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(20));
    pair.cut = [true, false];
    pair.run(Duration::from_secs(4));
    assert!(matches!(pair.states()[1], State::Down(_) | State::Init));
    assert_ne!(
        pair.states()[0],
        State::Up,
        "the end that still hears must not believe in the path"
    );
}

#[test]
fn data_on_a_path_that_died_while_idle_finds_it_dead_in_less_than_a_second() {
    let mut pair = Pair::new(Duration::from_millis(20));
    pair.run(Duration::from_secs(21));
    pair.cut = [true, true];
    let now = pair.now;
    pair.ends[0].handle_data(now);
    pair.run(Duration::from_millis(900));
    assert_eq!(pair.states()[0], State::Down(Cause::Silence));
}

#[test]
fn a_path_that_carries_data_one_way_is_probed_fast_from_both_ends() {
    let mut pair = Pair::new(Duration::from_millis(20));
    pair.run(Duration::from_secs(20));
    let before = pair.ends[1].sequence;
    for _ in 0..30 {
        let now = pair.now;
        pair.ends[0].handle_data(now);
        pair.run(Duration::from_millis(100));
    }
    let probes = pair.ends[1].sequence - before;
    assert!((29..33).contains(&probes), "{probes} in 3 s");
}

#[test]
fn an_idle_path_costs_less_than_a_kilobit_a_second() {
    let mut pair = Pair::new(Duration::from_millis(20));
    pair.run(Duration::from_secs(20));
    let before = [pair.ends[0].sequence, pair.ends[1].sequence];
    pair.run(Duration::from_secs(100));
    let probes = pair.ends[0].sequence - before[0] + pair.ends[1].sequence - before[1];
    let mut probe = pair.ends[0].poll_probe(pair.now + IDLE_INTERVAL).unwrap();
    probe.word = Some(Word::default());
    let inner = probe
        .to_packet("10.213.1.1".parse().unwrap(), "10.213.2.1".parse().unwrap())
        .unwrap();
    // WireGuard's header and tag, UDP, IPv4.
    let outer = inner.len() + 32 + 8 + 20;
    let bits = probes * u32::try_from(outer).unwrap() * 8 / 100;
    println!("{outer} outer bytes a probe, {bits} bit/s both ways together");
    assert!(bits < 900, "{bits} bit/s");
}

#[test]
fn a_slower_pace_is_announced_before_it_is_taken_up() {
    let mut pair = Pair::new(Duration::from_millis(20));
    pair.run(Duration::from_secs(20));
    let now = pair.now;
    pair.ends.iter_mut().for_each(|end| end.handle_data(now));
    pair.run(Duration::from_millis(2600));
    // It is just slowing down: even the loss of nine probes is no silence.
    pair.cut = [true, true];
    pair.run(Duration::from_millis(600));
    pair.cut = [false, false];
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), UP);
    assert_eq!(pair.ends[0].flaps(), 0);
}

#[test]
fn a_busy_path_is_seen_dead_within_half_a_second() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    for _ in 0..60 {
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
    assert_eq!(pair.ends[0].flaps(), 1);
}

/// Cuts the wire until both ends are down, and gives back how long they then take to come up.
fn flap(pair: &mut Pair) -> Duration {
    pair.cut = [true, true];
    while pair.states().contains(&State::Up) {
        pair.run(Duration::from_millis(50));
    }
    pair.cut = [false, false];
    let repaired = pair.now;
    while pair.states() != UP {
        pair.run(Duration::from_millis(10));
    }
    pair.now - repaired
}

#[test]
fn each_outage_holds_it_back_longer_and_calm_makes_up_for_it() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    let back: Vec<_> = (0..8).map(|_| flap(&mut pair).as_secs_f64()).collect();
    println!("up again after {back:?}");
    assert!(back[0] < 1.2, "a first outage: {back:?}");
    assert!((2.0..3.0).contains(&back[2]), "{back:?}");
    assert!((60.0..62.0).contains(&back[7]), "{back:?}");
    pair.run(Duration::from_secs(100));
    assert!(flap(&mut pair) < Duration::from_secs(2));
}

#[test]
fn the_last_hope_of_a_peer_is_not_held_back() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    for _ in 0..6 {
        flap(&mut pair);
    }
    pair.ends
        .iter_mut()
        .for_each(|end| end.handle_company(true));
    assert!(flap(&mut pair) < Duration::from_secs(1));
}

#[test]
fn a_held_path_says_for_how_long() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    for _ in 0..4 {
        flap(&mut pair);
    }
    pair.cut = [true, true];
    pair.run(Duration::from_secs(5));
    pair.cut = [false, false];
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), [State::Init, State::Init]);
    let left = pair.ends[0].held_for(pair.now).unwrap().as_secs_f64();
    assert!((6.0..8.0).contains(&left), "{left}");
}

#[test]
fn the_peers_word_takes_down_what_is_silent_and_nothing_that_is_heard() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(20));
    let now = pair.now;
    pair.ends[0].handle_word(true, now);
    pair.run(Duration::from_secs(20));
    assert_eq!(pair.states(), UP, "a lie about a path that is heard");
    pair.ends[0].handle_word(false, pair.now);
    pair.cut = [true, true];
    let now = pair.now;
    pair.ends[0].handle_word(true, now);
    pair.run(Duration::from_millis(600));
    assert_eq!(pair.states()[0], State::Down(Cause::PeerWord));
}

#[test]
fn what_this_machine_knows_takes_the_path_down_at_once() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    let now = pair.now;
    pair.ends[0].handle_refused(now);
    assert_eq!(pair.states()[0], State::Down(Cause::Fault));
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), UP, "it was for a moment");
    let now = pair.now;
    pair.ends[0].handle_fault(true, now);
    pair.run(Duration::from_secs(20));
    assert_ne!(pair.states()[0], State::Up, "no carrier, whatever is heard");
    assert_ne!(pair.states()[1], State::Up);
    let now = pair.now;
    pair.ends[0].handle_fault(false, now);
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.states(), UP);
}

#[test]
fn a_machine_that_slept_does_not_take_its_sleep_for_silence() {
    for sleep in [1, 5, 3600, 86_400].map(Duration::from_secs) {
        let mut pair = Pair::new(Duration::from_millis(10));
        pair.run(Duration::from_secs(20));
        pair.now += sleep;
        pair.wire.clear();
        pair.run(Duration::from_secs(10));
        assert_eq!(pair.states(), UP);
        assert_eq!(pair.ends[0].flaps(), 0, "both slept for {sleep:?}");
    }
}

#[test]
fn probes_that_overtook_each_other_do_not_turn_back_time() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_millis(5));
    let mut old = pair.ends[1].poll_probe(pair.now + DOWN_INTERVAL).unwrap();
    old.state = ProbeState::Down;
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), UP);
    let now = pair.now;
    pair.ends[0].handle_probe(&old, now);
    assert_eq!(pair.states(), UP, "an old probe came late");
}

#[test]
fn each_end_learns_what_the_other_misses_and_how_much_the_way_varies() {
    let mut pair = Pair::new(Duration::from_millis(10));
    pair.run(Duration::from_secs(5));
    for tenth in 0..200 {
        let now = pair.now;
        pair.ends.iter_mut().for_each(|end| end.handle_data(now));
        pair.cut = [tenth % 4 == 0, false];
        pair.run(Duration::from_millis(100));
    }
    let [here, there] = &pair.ends;
    assert_eq!((here.loss(), there.loss_there()), (Some(0.0), Some(0.0)));
    let missed = here.loss_there().unwrap();
    assert!((0.2..0.3).contains(&missed), "{missed}");
    assert!(here.jitter().unwrap() < Duration::from_millis(2));
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
    pass(&mut health, later, Duration::from_secs(20));
    assert_eq!(health.state(), State::Down(Cause::Silence));
}

/// A plain `wg` peer that answers each echo after 20 ms, for `time`; every third is lost.
fn answer_echoes(health: &mut Health, from: Instant, time: Duration, data: bool) -> Instant {
    let (mut now, mut replies) = (from, Vec::<(Instant, u16, u64)>::new());
    while now < from + time {
        now += Duration::from_millis(10);
        for (_, sequence, stamp) in replies.extract_if(.., |(at, ..)| *at <= now) {
            health.handle_echo_reply(sequence, stamp, now);
        }
        if data {
            health.handle_data(now);
        }
        health.handle_timeout(now);
        if let Some(probe) = health.poll_probe(now)
            && probe.sequence % 3 != 0
        {
            let sequence = u16::try_from(probe.sequence % 65_536).unwrap();
            replies.push((now + Duration::from_millis(20), sequence, probe.stamp_us));
        }
    }
    now
}

#[test]
fn a_plain_wg_peer_is_watched_as_well_idle_or_busy() {
    let pair = Pair::new(Duration::ZERO);
    let mut health = Health::new(1, pair.now);
    let mut now = answer_echoes(&mut health, pair.now, Duration::from_secs(600), false);
    now = answer_echoes(&mut health, now, Duration::from_secs(60), true);
    now = answer_echoes(&mut health, now, Duration::from_secs(60), false);
    assert_eq!((health.state(), health.flaps()), (State::Up, 0));
    now = pass(&mut health, now, Duration::from_secs(5));
    assert_eq!(health.state(), State::Down(Cause::Silence), "idle");
    now = answer_echoes(&mut health, now, Duration::from_secs(60), true);
    assert_eq!(health.state(), State::Up);
    pass(&mut health, now, Duration::from_millis(1100));
    assert_eq!(health.state(), State::Down(Cause::Silence), "busy");
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
    pass(&mut health, pair.now, Duration::from_secs(26));
    assert_eq!(health.state(), State::Down(Cause::Silence));
}

#[test]
fn the_whole_transition_table() {
    let states = [
        State::AdminDown,
        State::Down(Cause::NeverHeard),
        State::Down(Cause::Silence),
        State::Down(Cause::PeerWord),
        State::Init,
        State::Up,
    ];
    let inputs = [
        Input::Hears(ProbeState::AdminDown),
        Input::Hears(ProbeState::Down),
        Input::Hears(ProbeState::Init),
        Input::Hears(ProbeState::Up),
        Input::Silence,
        Input::Fault,
        Input::PeerWord,
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
