use super::*;

const STEP: Duration = Duration::from_millis(250);

fn number(value: u8) -> PathNumber {
    PathNumber::new(value).unwrap()
}

fn condition(path: u8, millis: u64, loss: f64) -> Condition {
    Condition {
        path: number(path),
        round_trip: Some(Duration::from_millis(millis)),
        loss,
        silent: false,
    }
}

/// A transfer whose rate follows from the paths that are in use.
struct World {
    harm: Harm,
    now: Instant,
    paths: Vec<Condition>,
    rate: fn(&[u8]) -> f64,
    /// So long nearly nothing moves when other paths are used than before.
    hangover: Duration,
    used: Vec<u8>,
    changed: Instant,
    /// Bytes that a program has written, and nobody has acknowledged.
    waiting: u64,
    /// Bytes moved.
    moved: f64,
    dice: u64,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn new(paths: Vec<Condition>, rate: fn(&[u8]) -> f64) -> Self {
        let now = Instant::now() + Duration::from_secs(60);
        Self {
            harm: Harm::default(),
            now,
            paths,
            rate,
            hangover: Duration::ZERO,
            waiting: 0,
            used: Vec::new(),
            changed: now,
            moved: 0.0,
            dice: 1,
        }
    }

    /// Rates vary by 3 % either way.
    fn chance(&mut self) -> f64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f64::from(u32::try_from(self.dice >> 33).unwrap() % 1000) / 1000.0 * 0.06 + 0.97
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.now += STEP;
            let reserve = self.harm.reserve();
            let used = self.paths.iter().filter(|one| !reserve.contains(&one.path));
            let used: Vec<u8> = used.map(|one| one.path.value()).collect();
            if used != self.used {
                (self.used, self.changed) = (used.clone(), self.now);
            }
            let held_up = self.now - self.changed < self.hangover;
            let rate = (self.rate)(&used) * if held_up { 0.2 } else { 1.0 };
            let bytes = rate * 1e6 / 8.0 * STEP.as_secs_f64() * self.chance();
            self.moved += bytes;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bytes"
            )]
            let moved = Moved {
                acked: bytes as u64,
                waiting: self.waiting,
            };
            self.harm.handle_look(moved, &self.paths, self.now);
        }
    }

    fn reserve(&self) -> Vec<u8> {
        self.harm
            .reserve()
            .iter()
            .map(|path| path.value())
            .collect()
    }

    /// Mbit/s over that time.
    fn mean(&mut self, seconds: u64) -> f64 {
        let before = self.moved;
        self.run(seconds);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let time = seconds as f64;
        (self.moved - before) * 8.0 / 1e6 / time
    }
}

fn harmful(used: &[u8]) -> f64 {
    match used {
        [1, 2] => 35.0,
        [1] => 60.0,
        _ => 3.0,
    }
}

#[test]
fn a_path_that_lowers_the_total_is_out_of_use_within_seconds_and_the_hour_loses_nothing() {
    let mut world = World::new(vec![condition(1, 20, 0.0), condition(2, 220, 0.0)], harmful);
    world.run(10);
    assert_eq!(world.reserve(), [2]);
    let reason = world.harm.reason(number(2), world.now).unwrap();
    assert!(reason.contains("together moved 3"), "{reason}");
    let mean = world.mean(3600);
    assert!(mean > 0.97 * 60.0, "{mean} Mbit/s over an hour");
    assert_eq!(world.reserve(), [2]);
}

#[test]
fn what_lies_in_the_queue_of_a_path_that_is_no_more_used_is_not_held_against_the_others() {
    let paths = vec![condition(1, 20, 0.0), condition(2, 350, 0.03)];
    let mut world = World::new(paths, harmful);
    world.hangover = Duration::from_millis(1400);
    world.run(12);
    assert_eq!(world.reserve(), [2]);
    let reason = world.harm.reason(number(2), world.now).unwrap();
    assert!(reason.contains("together moved"), "{reason}");
}

#[test]
fn a_path_that_holds_up_everything_is_found_out_though_nothing_moves() {
    let stalls: fn(&[u8]) -> f64 = |used| if used == [1] { 60.0 } else { 0.1 };
    let mut world = World::new(vec![condition(1, 20, 0.0), condition(2, 220, 0.03)], stalls);
    world.waiting = 4 << 20;
    // It begins well.
    world.rate = |_| 60.0;
    world.run(2);
    world.rate = stalls;
    world.run(12);
    assert_eq!(world.reserve(), [2]);
    let reason = world.harm.reason(number(2), world.now).unwrap();
    assert!(reason.contains("together moved"), "{reason}");
}

#[test]
fn a_path_that_helps_is_not_taken_out_and_hardly_ever_tried() {
    let sum = |used: &[u8]| {
        used.iter()
            .map(|path| [0.0, 60.0, 30.0, 10.0][usize::from(*path)])
            .sum()
    };
    let paths = vec![
        condition(1, 20, 0.0),
        condition(2, 80, 0.02),
        condition(3, 200, 0.0),
    ];
    let mut world = World::new(paths, sum);
    let mean = world.mean(3600);
    assert!(mean > 0.985 * 100.0, "{mean} Mbit/s over an hour");
    assert_eq!(world.reserve(), Vec::<u8>::new());
}

#[test]
fn outages_that_come_and_go_are_no_reason() {
    let sum: fn(&[u8]) -> f64 = |used| if used.len() == 2 { 90.0 } else { 60.0 };
    let paths = vec![condition(1, 20, 0.0), condition(2, 80, 0.05)];
    let mut world = World::new(paths, sum);
    for _ in 0..600 {
        world.run(2);
        world.paths[1].silent = true;
        world.rate = |_| 5.0;
        world.run(1);
        world.paths[1].silent = false;
        world.rate = sum;
        let reason = world.harm.reason(number(2), world.now);
        let sentenced = reason.is_some_and(|why| why.contains("together moved"));
        assert!(!sentenced, "for an outage");
    }
}

#[test]
fn paths_with_one_bottleneck_do_no_harm() {
    let one = |_: &[u8]| 50.0;
    let mut world = World::new(vec![condition(1, 20, 0.0), condition(2, 90, 0.03)], one);
    world.run(600);
    assert_eq!(world.reserve(), Vec::<u8>::new());
}

#[test]
fn paths_that_are_alike_are_never_tried() {
    let mut world = World::new(
        vec![condition(1, 20, 0.0), condition(2, 40, 0.001)],
        harmful,
    );
    for _ in 0..600 {
        world.run(1);
        assert_eq!(world.harm.reserve().len(), 0);
    }
}

#[test]
fn a_program_that_is_slow_by_itself_is_no_reason() {
    let slow = |used: &[u8]| if used.is_empty() { 0.0 } else { 2.0 };
    let mut world = World::new(vec![condition(1, 20, 0.0), condition(2, 220, 0.1)], slow);
    world.run(600);
    assert_eq!(world.reserve(), Vec::<u8>::new());
}

#[test]
fn what_is_in_reserve_is_used_when_the_others_are_dead_and_forgiven_when_it_got_better() {
    let mut world = World::new(vec![condition(1, 20, 0.0), condition(2, 220, 0.0)], harmful);
    world.run(10);
    let whole = std::mem::replace(&mut world.paths, vec![condition(2, 220, 0.0)]);
    world.run(1);
    assert_eq!(world.reserve(), Vec::<u8>::new(), "the last path");
    world.paths = whole;
    world.run(20);
    assert_eq!(world.reserve(), [2]);
    world.rate = |used| if used.len() == 2 { 63.0 } else { 60.0 };
    world.run(300);
    assert_eq!(world.reserve(), Vec::<u8>::new(), "tried again");
}

#[test]
fn a_transfer_that_ends_in_a_trial_leaves_every_path_in_use() {
    let mut world = World::new(vec![condition(1, 20, 0.0), condition(2, 220, 0.0)], harmful);
    while world.reserve().is_empty() {
        world.run(1);
    }
    world.rate = |_| 0.0;
    world.run(5);
    assert_eq!(world.reserve(), Vec::<u8>::new());
}
