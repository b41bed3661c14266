//! Whatever an authenticated peer says: it biases, and takes nothing down that it answers on.

use proptest::prelude::*;

use super::two_sites::{path_to, view};
use super::*;
use crate::packet::probe::Word;
use crate::packet::sighting::{Sighting, Whose};

/// One thing that a peer says, on one of three paths.
#[derive(Clone, Debug)]
enum Lie {
    Probe(u8, Probe),
    Size(u8, Size),
    Sighting(u8, Sighting),
}

fn word() -> impl Strategy<Value = Word> {
    any::<(u32, u8, u16)>().prop_map(|(at_ms, site_path, down)| Word {
        at_ms,
        site_path,
        down,
        release: None,
    })
}

/// Of a path on which it answers.
fn probe() -> impl Strategy<Value = Probe> {
    let state = prop_oneof![Just(ProbeState::Init), Just(ProbeState::Up)];
    let numbers = any::<(u8, u32, u32, u32, u64, u64)>();
    let rest = (
        any::<(bool, bool)>(),
        any::<Option<u8>>(),
        proptest::option::of(word()),
    );
    (state, numbers, rest).prop_map(|(state, numbers, ((hurry, held), loss, word))| Probe {
        state,
        path: numbers.0,
        hurry,
        // In Init that is another word for Down.
        held: held && state == ProbeState::Up,
        sequence: numbers.1,
        interval_us: numbers.2,
        hold_us: numbers.3,
        stamp_us: numbers.4,
        echo_us: numbers.5,
        loss,
        word,
    })
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let mine = any::<bool>().prop_map(|mine| if mine { Whose::Mine } else { Whose::Yours });
    (mine, any::<(u8, [u8; 4], u16)>()).prop_map(|(whose, (path, address, port))| Sighting {
        whose,
        path,
        at: SocketAddr::new(address.into(), port),
    })
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        4 => (1..=2_u8, probe()).prop_map(|(path, probe)| Lie::Probe(path, probe)),
        1 => (1..=3_u8, 44..=1420_u16).prop_map(|(path, size)| Lie::Size(path, Size::Came(size))),
        1 => (1..=3_u8, sighting()).prop_map(|(path, said)| Lie::Sighting(path, said)),
    ]
}

fn tell(site: &mut Site, lie: &Lie, now: Instant) {
    let ends = |path: u8| {
        let end = |site: u8| std::net::IpAddr::from([10, 213, site, path]);
        (end(2), end(1))
    };
    let (path, packet) = match lie {
        Lie::Probe(path, probe) => (*path, probe.to_packet(ends(*path).0, ends(*path).1)),
        Lie::Size(path, size) => (*path, size.to_packet(ends(*path).0, ends(*path).1)),
        Lie::Sighting(path, said) => (*path, said.to_packet(ends(*path).0, ends(*path).1)),
    };
    site.handle_control(path_to(2, path), &packet.unwrap(), now);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Paths 1 and 2 are answered on, path 3 is dead.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn a_peer_that_lies_takes_no_path_down_and_chooses_none_that_is_dead(
        lies in proptest::collection::vec(lie(), 1..200),
    ) {
        let mut now = Instant::now();
        let mut site = Site::new(view(1, 2, 3), now);
        for path in [1, 2] {
            site.handle_traffic(path_to(2, path), with_session(1), now);
            let honest = Lie::Probe(path, honest(now, now));
            tell(&mut site, &honest, now);
        }
        let start = now;
        for lie in &lies {
            now += Duration::from_millis(50);
            tell(&mut site, lie, now);
            for path in [1, 2] {
                tell(&mut site, &Lie::Probe(path, honest(start, now)), now);
            }
            let actions: Vec<_> = (0..100).map_while(|_| site.poll_action(now)).collect();
            prop_assert!(actions.len() < 50, "a flood");
            for action in actions {
                // About sizes it says the truth too: who says nothing there carries nothing.
                if let Action::Send { path, packet } = action
                    && let Some(Size::Asked(size)) = Size::from_packet(&packet)
                {
                    tell(&mut site, &Lie::Size(path.number.value(), Size::Came(size)), now);
                }
            }
            for path in [1, 2] {
                prop_assert_eq!(site.uses()[&path_to(2, path)], PathUse::Live, "by {:?}", lie);
            }
            prop_assert_eq!(site.uses()[&path_to(2, 3)], PathUse::Idle);
            let chosen = site.site_paths().values().next().map(|path| path.value());
            prop_assert!(matches!(chosen, Some(1 | 2)), "{chosen:?} by {lie:?}");
        }
    }
}

/// What keeps a path up, whatever else is said on it.
fn honest(start: Instant, now: Instant) -> Probe {
    let age = now.saturating_duration_since(start).as_micros();
    Probe {
        state: ProbeState::Init,
        path: 1,
        hurry: false,
        held: false,
        sequence: u32::try_from(age / 50_000).unwrap(),
        interval_us: 50_000,
        hold_us: 0,
        stamp_us: 1 + u64::try_from(age).unwrap(),
        echo_us: 0,
        loss: None,
        word: None,
    }
}
