//! The search over a path that swallows what is too large, on a virtual clock.

use proptest::prelude::*;

use super::*;

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// A path and its search. Answers come one round trip later.
struct Path {
    search: MtuSearch,
    now: Instant,
    /// What the path carries.
    carries: u16,
    /// Every so many-th probe is lost all the same; 0: none.
    loses_every: u64,
    sent: u64,
    under_way: Vec<(Instant, u16)>,
}

impl Path {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn new(most: u16, carries: u16) -> Self {
        let now = Instant::now();
        let mut search = MtuSearch::new(most);
        search.handle_traffic(Some(ROUND_TRIP), false, now);
        search.handle_up(now);
        Self {
            search,
            now,
            carries,
            loses_every: 0,
            sent: 0,
            under_way: Vec::new(),
        }
    }

    /// One thing that happens; gives back how much time passed.
    fn step(&mut self) {
        while let Some(size) = self.search.poll_probe(self.now) {
            self.sent += 1;
            let lost = self.loses_every != 0 && self.sent.is_multiple_of(self.loses_every);
            if size <= self.carries && !lost {
                self.under_way.push((self.now + ROUND_TRIP, size));
            }
        }
        let arrival = self.under_way.iter().map(|(at, _)| *at).min();
        let next = self.search.poll_timeout().into_iter().chain(arrival).min();
        let next = next.expect("something is to happen");
        assert!(next > self.now || arrival == Some(next), "it spins");
        self.now = next;
        let (came, under_way) = self.under_way.drain(..).partition(|(at, _)| *at <= next);
        self.under_way = under_way;
        let came: Vec<(Instant, u16)> = came;
        for (_, size) in came {
            self.search.handle_answer(size, next);
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// How long until the verdict is this.
    fn until(&mut self, verdict: impl Fn(Verdict) -> bool) -> Duration {
        let start = self.now;
        while !verdict(self.search.verdict()) {
            assert!(
                self.now - start < Duration::from_secs(900),
                "{:?}",
                self.search
            );
            self.step();
        }
        self.now - start
    }
}

#[test]
fn a_path_that_carries_what_one_hopes_for_is_known_after_one_round_trip_and_one_probe() {
    let mut path = Path::new(1420, 1500);
    let time = path.until(|verdict| verdict == Verdict::Passes(1420));
    assert_eq!((time, path.sent), (ROUND_TRIP, 1));
}

#[test]
fn a_smaller_path_is_found_within_a_few_bytes() {
    // PPPoE, IPIP, GRE, another tunnel, the least, and jumbo frames that are none.
    for (most, carries) in [
        (1420, 1412),
        (1420, 1400),
        (1420, 1396),
        (1420, 1340),
        (1420, 1280),
        (8920, 1420),
        (65_455, 9000),
    ] {
        let mut path = Path::new(most, carries);
        let first = path.until(|verdict| matches!(verdict, Verdict::Passes(_)));
        assert!(
            first < Duration::from_secs(2),
            "{most}/{carries}: usable after {first:?}"
        );
        path.run(Duration::from_secs(5));
        let Verdict::Passes(found) = path.search.verdict() else {
            panic!("{carries}")
        };
        assert!(
            found <= carries && carries - found < STEP,
            "{most}/{carries}: {found}"
        );
    }
}

#[test]
fn a_path_too_small_for_ipv6_is_not_usable_until_it_grows() {
    let mut path = Path::new(1420, 1279);
    path.until(|verdict| verdict == Verdict::TooSmall);
    path.run(Duration::from_secs(20));
    assert_eq!(path.search.verdict(), Verdict::TooSmall);
    path.carries = 1420;
    let time = path.until(|verdict| verdict == Verdict::Passes(1420));
    assert!(time <= AGAIN + WAIT.start().saturating_mul(20), "{time:?}");
}

#[test]
fn a_path_that_begins_to_swallow_large_packets_is_found_out_within_five_seconds() {
    for round_trip in [10, 40, 300] {
        let mut path = Path::new(1420, 1420);
        path.until(|verdict| verdict == Verdict::Passes(1420));
        let round_trip = Duration::from_millis(round_trip);
        path.search.handle_traffic(Some(round_trip), true, path.now);
        path.run(Duration::from_secs(10));
        path.carries = 1380;
        let time = path.until(|verdict| verdict != Verdict::Passes(1420));
        assert!(time < Duration::from_secs(5), "{round_trip:?}: {time:?}");
        path.run(Duration::from_secs(5));
        assert!(
            matches!(path.search.verdict(), Verdict::Passes(1377..=1380)),
            "{:?}",
            path.search
        );
    }
}

#[test]
fn a_path_that_grows_is_used_in_full_after_ten_minutes() {
    let mut path = Path::new(1420, 1400);
    path.run(Duration::from_secs(10));
    path.carries = 1420;
    let time = path.until(|verdict| verdict == Verdict::Passes(1420));
    assert!(time <= RAISE + Duration::from_secs(1), "{time:?}");
}

#[test]
fn an_idle_path_costs_next_to_nothing() {
    let mut path = Path::new(1420, 1420);
    path.run(Duration::from_secs(3600));
    assert!(path.sent <= 31, "{} probes of 1.4 kB in an hour", path.sent);
}

#[test]
fn every_fifth_probe_lost_takes_no_mtu_away() {
    let mut path = Path::new(1420, 1420);
    path.loses_every = 5;
    path.search.handle_traffic(Some(ROUND_TRIP), true, path.now);
    path.until(|verdict| verdict == Verdict::Passes(1420));
    for _ in 0..3600 {
        path.run(Duration::from_secs(1));
        assert_eq!(path.search.verdict(), Verdict::Passes(1420));
    }
}

#[test]
fn a_silence_of_the_whole_path_is_no_word_about_sizes() {
    for silence in [200, 500, 1200, 5000] {
        let mut path = Path::new(1420, 1420);
        path.search.handle_traffic(Some(ROUND_TRIP), true, path.now);
        path.until(|verdict| verdict == Verdict::Passes(1420));
        for _ in 0..20 {
            path.run(Duration::from_millis(1730));
            path.carries = 0;
            path.run(Duration::from_millis(silence));
            path.carries = 1420;
            path.run(Duration::from_secs(4));
            let verdict = path.search.verdict();
            assert_eq!(verdict, Verdict::Passes(1420), "{silence} ms of silence");
        }
    }
}

#[test]
fn nothing_is_known_of_a_path_that_was_down() {
    let mut path = Path::new(1420, 1420);
    path.until(|verdict| verdict == Verdict::Passes(1420));
    path.search.handle_down();
    assert_eq!(path.search.verdict(), Verdict::Unknown);
    assert_eq!(path.search.poll_timeout(), None);
    assert_eq!(path.search.poll_probe(path.now), None);
    path.search.handle_answer(1420, path.now);
    assert_eq!(path.search.verdict(), Verdict::Unknown, "a late answer");
}

proptest! {
    #[test]
    fn what_is_found_passes_and_hardly_more_would(most in LEAST..=65_455, carries in 1000..=65_535u16) {
        let mut path = Path::new(most, carries);
        path.run(Duration::from_secs(10));
        match path.search.verdict() {
            Verdict::Passes(found) => {
                prop_assert!(found <= carries.min(most));
                prop_assert!(carries.min(most) - found < STEP, "{found} of {carries}");
            }
            Verdict::TooSmall => prop_assert!(carries < LEAST),
            Verdict::Unknown => prop_assert!(false, "{:?}", path.search),
        }
    }

    #[test]
    fn answers_that_nobody_asked_for_change_nothing(size in any::<u16>()) {
        let mut path = Path::new(1420, 1400);
        path.run(Duration::from_secs(5));
        let before = path.search.verdict();
        let (now, next) = (path.now, path.search.poll_timeout());
        path.search.handle_answer(size, now);
        prop_assert_eq!(path.search.verdict(), before);
        prop_assert!(path.search.poll_timeout() >= next);
    }
}
