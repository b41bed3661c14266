use super::*;

fn number(number: u8) -> PathNumber {
    PathNumber::new(number).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

fn up(path: u8, millis: u64, since: Instant) -> Candidate {
    let rank = Rank {
        standing: Standing::Up,
        cost: Cost::Flat,
        loss: LossClass::Clean,
        round_trip: RoundTripClass::of(Some(Duration::from_millis(millis))),
        number: number(path),
    };
    Candidate { rank, since }
}

fn down(path: u8, since: Instant) -> Candidate {
    let mut candidate = up(path, 10, since);
    candidate.rank.standing = Standing::Down;
    candidate
}

#[test]
fn rank_is_state_then_cost_then_loss_then_round_trip_then_number() {
    let now = start();
    let best = up(9, 700, now).rank;
    let mut worse = up(1, 700, now).rank;
    assert!(worse < best, "number last");
    worse.round_trip = RoundTripClass::Far;
    assert!(worse < best);
    worse.loss = LossClass::Lossy;
    assert!(best < worse);
    worse = up(1, 10, now).rank;
    worse.cost = Cost::Metered;
    let broken = Rank {
        loss: LossClass::Broken,
        ..best
    };
    assert!(broken < worse, "metered comes after lossy");
    let down = down(1, now).rank;
    assert!(worse < down);
}

#[test]
fn a_dead_path_is_left_at_once_and_taken_again_at_once_when_it_is_back() {
    let (now, mut choice) = (start(), Choice::new(start()));
    let second = Duration::from_secs(1);
    choice.decide(&[up(1, 10, now), up(2, 10, now)], None, now);
    assert_eq!(choice.current(), Some(number(1)));
    let (died, back) = (now + second, now + second * 60);
    choice.decide(&[down(1, died), up(2, 10, now)], None, died);
    assert_eq!(choice.current(), Some(number(2)));
    choice.decide(&[up(1, 10, back), up(2, 10, now)], None, back);
    assert_eq!(choice.current(), Some(number(1)));
    choice.decide(&[down(1, back), down(2, back)], None, back);
    assert_eq!(choice.current(), None);
}

#[test]
fn a_better_class_must_hold_and_each_such_move_makes_the_next_harder() {
    let (now, mut choice) = (start(), Choice::new(start()));
    let second = Duration::from_secs(1);
    choice.decide(&[up(1, 10, now), up(2, 10, now)], None, now);
    let (mut moves, mut last) = (Vec::new(), Some(number(1)));
    for s in 1..3600_u32 {
        let at = now + second * s;
        // The two change places every 90 seconds.
        let [one, two] = if s / 90 % 2 == 0 {
            [300, 10]
        } else {
            [10, 300]
        };
        choice.decide(&[up(1, one, now), up(2, two, now)], None, at);
        if choice.current() != last {
            (last, _) = (choice.current(), moves.push(s));
        }
    }
    assert_eq!(moves, [11, 110, 220, 350], "seconds of the moves");
}

#[test]
fn the_one_who_follows_takes_what_it_is_told_unless_that_is_dead_here() {
    let (now, mut choice) = (start(), Choice::new(start()));
    let both = [up(1, 10, now), up(2, 10, now)];
    choice.decide(&both, Some(number(2)), now);
    assert_eq!(choice.current(), Some(number(2)));
    choice.decide(&[up(1, 10, now), down(2, now)], Some(number(2)), now);
    assert_eq!(choice.current(), Some(number(1)));
    choice.decide(&both, Some(number(7)), now);
    assert_eq!(choice.current(), Some(number(1)), "a path that is none");
}

#[test]
fn the_one_who_decides_prefers_what_the_other_also_calls_up() {
    let (now, mut choice) = (start(), Choice::new(start()));
    let mut here_only = up(1, 10, now);
    choice.decide(&[here_only, up(2, 10, now)], None, now);
    here_only.rank.standing = Standing::UpHereOnly;
    choice.decide(&[here_only, up(2, 10, now)], None, now);
    assert_eq!(choice.current(), Some(number(2)));
    choice.decide(&[here_only, down(2, now)], None, now);
    assert_eq!(choice.current(), Some(number(1)), "the last one");
}
