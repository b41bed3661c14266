//! Whatever a far end, an operator and the clock may do.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Probe(Probe),
    Heard,
    Data,
    Echo(u16, u64),
    Admin(bool),
    Fault(bool),
    Refused,
    Word(bool),
    Alone(bool),
    News,
    /// Time passes, with all that is due done in it.
    Run(u32),
    /// Time passes, and nobody looks.
    Sleep(u32),
}

fn probe() -> impl Strategy<Value = Probe> {
    let state = prop_oneof![
        Just(ProbeState::AdminDown),
        Just(ProbeState::Down),
        Just(ProbeState::Init),
        Just(ProbeState::Up),
    ];
    let stamps = (
        1..10_000_000_u64,
        prop_oneof![Just(0), any::<u64>(), 1..5_000_000_u64],
    );
    let flags = any::<(bool, bool, u32, u32, u32)>();
    (state, stamps, flags, any::<Option<u8>>()).prop_map(|(state, stamps, flags, loss)| Probe {
        state,
        path: 1,
        hurry: flags.0,
        held: flags.1,
        sequence: flags.2,
        interval_us: flags.3,
        hold_us: flags.4 % 1_000_000,
        stamp_us: stamps.0,
        echo_us: stamps.1,
        loss,
        word: loss.map(|_| Word::default()),
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => probe().prop_map(Event::Probe),
        1 => Just(Event::Heard),
        2 => Just(Event::Data),
        1 => any::<(u16, u64)>().prop_map(|(sequence, stamp)| Event::Echo(sequence, stamp)),
        1 => any::<bool>().prop_map(Event::Admin),
        1 => any::<bool>().prop_map(Event::Fault),
        1 => Just(Event::Refused),
        1 => any::<bool>().prop_map(Event::Word),
        1 => any::<bool>().prop_map(Event::Alone),
        1 => Just(Event::News),
        4 => (0..3_000_u32).prop_map(Event::Run),
        1 => (0..100_000_000_u32).prop_map(Event::Sleep),
    ]
}

/// Does what is due now; then nothing may be due.
fn drain(health: &mut Health, now: Instant) {
    health.handle_timeout(now);
    let probes = std::iter::from_fn(|| health.poll_probe(now))
        .take(3)
        .count();
    assert!(probes <= 1, "a flood of probes");
    assert!(
        health.poll_timeout() > now,
        "{:?} wants to be looked at again at once: {health:?}",
        health.state()
    );
}

fn apply(health: &mut Health, event: &Event, now: &mut Instant) {
    let millis = |time: u32| Duration::from_millis(u64::from(time));
    match event {
        Event::Probe(probe) => health.handle_probe(probe, *now),
        Event::Heard => health.handle_heard(*now),
        Event::Data => health.handle_data(*now),
        Event::Echo(sequence, stamp) => health.handle_echo_reply(*sequence, *stamp, *now),
        Event::Admin(up) => health.handle_admin(*up, *now),
        Event::Fault(fault) => health.handle_fault(*fault, *now),
        Event::Refused => health.handle_refused(*now),
        Event::Word(down) => health.handle_word(*down, *now),
        Event::Alone(alone) => health.handle_company(*alone),
        Event::News => health.handle_news(*now),
        Event::Sleep(time) => *now += millis(*time),
        Event::Run(time) => {
            let end = *now + millis(*time);
            drain(health, *now);
            while health.poll_timeout() <= end {
                *now = health.poll_timeout();
                drain(health, *now);
            }
            *now = end;
        }
    }
}

/// Only these make a path come up: a far end that says that it hears us.
fn may_bring_up(event: &Event) -> bool {
    match event {
        Event::Probe(probe) => matches!(probe.state, ProbeState::Init | ProbeState::Up),
        Event::Echo(..) => true,
        Event::Heard
        | Event::Data
        | Event::Admin(_)
        | Event::Fault(_)
        | Event::Refused
        | Event::Word(_)
        | Event::Alone(_)
        | Event::News
        | Event::Run(_)
        | Event::Sleep(_) => false,
    }
}

proptest! {
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn it_never_panics_nor_spins_and_is_up_only_when_both_ends_hear(
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let mut now = Instant::now();
        let mut health = Health::new(1, now);
        let mut fault = false;
        for event in &events {
            let before = health.state();
            apply(&mut health, event, &mut now);
            if let Event::Fault(new) = event {
                fault = *new;
            }
            if before != State::Up && health.state() == State::Up {
                prop_assert!(may_bring_up(event), "{before:?} came up by {event:?}");
                prop_assert!(!fault, "a path with a fault came up");
            }
            drain(&mut health, now);
        }
        // A far end that says no more is given up, whatever it said before.
        let end = now + Duration::from_secs(60);
        apply(&mut health, &Event::Run(60_000), &mut now);
        prop_assert!(now >= end);
        prop_assert!(
            matches!(health.state(), State::Down(_) | State::AdminDown),
            "{:?} after a minute of silence",
            health.state()
        );
    }
}
