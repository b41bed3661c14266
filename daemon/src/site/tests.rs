mod connections;
mod lies;
mod meeting;
mod two_sites;

use std::time::Duration;

use super::*;
use crate::config::{Cost, Link, OverlayPrefixes, Path, Peer, Site as SiteConfig, SiteKind};
use crate::control::PathState;
use crate::names::{InterfaceName, PathNumber, PrivateKey, SiteId};
use crate::packet::probe::{Probe, ProbeState};
use crate::packet::size::Size;

fn link(name: &str) -> Link {
    Link {
        offload: true,
        name: name.parse().unwrap(),
        interface: Some("eth1".parse().unwrap()),
        sources: Vec::new(),
        endpoint: None,
        cost: Cost::Flat,
        up: None,
        down: None,
        mtu: None,
        public_key: None,
    }
}

fn site(id: u8, name: &str) -> SiteConfig {
    SiteConfig {
        id: SiteId::new(id).unwrap(),
        name: name.parse().unwrap(),
        kind: SiteKind::Pathweave,
        public_key: PrivateKey::from_bytes([id; 32]).public(),
        subnets: Vec::new(),
        metrics: None,
        links: vec![link("fiber")],
    }
}

fn one_path() -> PathId {
    PathId {
        peer: SiteId::new(2).unwrap(),
        number: PathNumber::FIRST,
    }
}

#[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
fn start() -> (Site, Instant) {
    let peer = site(2, "tainan");
    let path = Path {
        id: one_path(),
        link: 0,
        remote_link: 0,
        interface: InterfaceName::of_path(&peer.name, one_path()),
        public_key: peer.public_key,
        mtu: 1420,
    };
    let v4 = "10.213.0.0/16".parse().unwrap();
    let view = View {
        overlay: OverlayPrefixes::new(Some(v4), None).unwrap(),
        listen_port: 51820,
        leak_guard: true,
        metrics: None,
        path_manager: Default::default(),
        speed_test: true,
        site: site(1, "nara"),
        peers: vec![Peer {
            site: peer,
            paths: vec![path],
        }],
    };
    let now = Instant::now();
    (Site::new(view, now), now)
}

fn actions(site: &mut Site, now: Instant) -> Vec<Action> {
    std::iter::from_fn(|| site.poll_action(now)).collect()
}

fn hear(site: &mut Site, state: ProbeState, now: Instant) {
    let probe = Probe {
        state,
        path: 1,
        hurry: false,
        held: false,
        sequence: 1,
        interval_us: 400_000,
        hold_us: 0,
        stamp_us: 1,
        echo_us: 0,
        loss: None,
        word: None,
    };
    let packet = probe
        .to_packet("10.213.2.1".parse().unwrap(), "10.213.1.1".parse().unwrap())
        .unwrap();
    site.handle_control(one_path(), &packet, now);
}

fn with_session(heard: u64) -> Traffic {
    Traffic {
        heard,
        data_bytes: 0,
        session: true,
        refused: 0,
        mtu: 1420,
        remote: None,
    }
}

#[test]
fn without_a_session_it_shakes_hands_again_and_again_and_ever_more_slowly() {
    let (mut site, now) = start();
    let handshakes = (0..300)
        .flat_map(|tenth| actions(&mut site, now + Duration::from_millis(100 * tenth)))
        .inspect(|action| {
            assert!(
                matches!(action, Action::StartHandshake { .. }),
                "{action:?}"
            )
        })
        .count();
    assert_eq!(handshakes, 8, "at 0, 1, 3, 7, 12, 17, 22 and 27 s");
}

#[test]
fn a_path_is_used_only_while_both_ends_hear_each_other() {
    let (mut site, now) = start();
    assert_eq!(site.uses()[&one_path()], PathUse::Idle);
    site.handle_traffic(one_path(), with_session(1), now);
    hear(&mut site, ProbeState::Init, now);
    assert_eq!(site.uses()[&one_path()], PathUse::Live);
    for tenth in 1..=150 {
        actions(&mut site, now + Duration::from_millis(100 * tenth));
    }
    assert_eq!(site.uses()[&one_path()], PathUse::Idle);
    let status = site.status(&BTreeMap::new(), Vec::new(), 0);
    assert_eq!(
        status.peers[0].paths[0].reason.as_deref(),
        Some("fell silent 15 s ago; none of our 76 probes since then was answered")
    );
    assert!(!status.peers[0].reachable);
}

#[test]
fn an_obstacle_at_this_end_takes_the_path_out_of_use_at_once_and_says_why() {
    let (mut site, now) = start();
    site.handle_traffic(one_path(), with_session(1), now);
    hear(&mut site, ProbeState::Init, now);
    let eth1: InterfaceName = "eth1".parse().unwrap();
    site.handle_obstacle(one_path(), Some(Obstacle::DeviceMissing(eth1)), now);
    assert_eq!(site.uses()[&one_path()], PathUse::Idle);
    let status = site.status(&BTreeMap::new(), Vec::new(), 0);
    let path = &status.peers[0].paths[0];
    assert_eq!(path.state, PathState::Down);
    assert_eq!(path.reason.as_deref(), Some("device eth1 does not exist"));
    site.handle_obstacle(one_path(), None, now);
    assert_eq!(site.uses()[&one_path()], PathUse::Idle);
    let status = site.status(&BTreeMap::new(), Vec::new(), 0);
    assert_eq!(
        status.peers[0].paths[0].reason.as_deref(),
        Some("this machine had no way to send on it; it is tried again")
    );
}

#[test]
fn an_operators_wish_removes_the_path_from_the_kernel_and_tells_the_peer() {
    let (mut site, now) = start();
    site.handle_traffic(one_path(), with_session(1), now);
    hear(&mut site, ProbeState::Up, now);
    site.handle_admin(one_path(), AdminState::Down, now);
    assert_eq!(site.uses()[&one_path()], PathUse::Absent);
    let told = actions(&mut site, now)
        .into_iter()
        .any(|action| match action {
            Action::Send { packet, .. } => Probe::from_packet(&packet)
                .is_some_and(|probe| probe.state == ProbeState::AdminDown),
            Action::StartHandshake { .. }
            | Action::SetMtu { .. }
            | Action::Dial { .. }
            | Action::Knock { .. } => false,
        });
    assert!(told, "the peer was not told");
}

#[test]
fn a_person_who_names_no_path_of_ours_is_told_which_there_are() {
    let (site, _) = start();
    assert_eq!(site.find("tainan", 1), Ok(one_path()));
    let error = site.find("osaka", 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "no site is called \"osaka\"; this site's peers are: tainan"
    );
    let error = site.find("tainan", 4).unwrap_err().to_string();
    assert_eq!(error, "tainan has no path 4; its paths are 1 to 1");
}

fn sizes_asked(site: &mut Site, now: Instant) -> Vec<u16> {
    let asked = actions(site, now)
        .into_iter()
        .filter_map(|action| match action {
            Action::Send { packet, .. } => match Size::from_packet(&packet) {
                Some(Size::Asked(size)) => Some(size),
                Some(Size::Came(_)) | None => None,
            },
            Action::StartHandshake { .. }
            | Action::SetMtu { .. }
            | Action::Dial { .. }
            | Action::Knock { .. } => None,
        });
    asked.collect()
}

/// Ten seconds on a path that swallows what is larger than `carries`; the MTUs that were set.
fn search(site: &mut Site, carries: u16, start: Instant) -> Vec<u16> {
    let [ours, theirs] = ["10.213.1.1", "10.213.2.1"].map(|text| text.parse().unwrap());
    let mut set = Vec::new();
    for step in 0..500 {
        let now = start + Duration::from_millis(20 * step);
        hear(site, ProbeState::Up, now);
        for action in actions(site, now) {
            match action {
                Action::SetMtu { mtu, .. } => set.push(mtu),
                Action::Send { packet, .. } => {
                    if let Some(Size::Asked(size)) = Size::from_packet(&packet)
                        && size <= carries
                    {
                        let came = Size::Came(size).to_packet(theirs, ours).unwrap();
                        site.handle_control(one_path(), &came, now);
                    }
                }
                Action::StartHandshake { .. } | Action::Dial { .. } | Action::Knock { .. } => {}
            }
        }
    }
    set
}

#[test]
fn a_path_s_mtu_is_what_comes_through() {
    for (carries, expected) in [(1420, None), (1400, Some(1400)), (1280, Some(1280))] {
        let (mut site, now) = start();
        site.handle_traffic(one_path(), with_session(1), now);
        hear(&mut site, ProbeState::Init, now);
        let set = search(&mut site, carries, now);
        let found = set
            .last()
            .map(|mtu| (mtu.abs_diff(expected.unwrap_or(0)) < 4, *mtu <= carries));
        assert_eq!(found, expected.map(|_| (true, true)), "{carries}: {set:?}");
        assert_eq!(site.uses()[&one_path()], PathUse::Live);
    }
}

#[test]
fn a_path_that_carries_too_little_is_not_used_and_says_so() {
    let (mut site, now) = start();
    site.handle_traffic(one_path(), with_session(1), now);
    hear(&mut site, ProbeState::Init, now);
    assert_eq!(search(&mut site, 1200, now), Vec::<u16>::new());
    assert_eq!(site.uses()[&one_path()], PathUse::Idle);
    let status = site.status(&BTreeMap::new(), Vec::new(), 0);
    assert_eq!(
        status.peers[0].paths[0].reason.as_deref(),
        Some("packets of 1280 bytes do not come through: the link carries less than 1360 bytes")
    );
}

#[test]
fn the_far_end_s_questions_about_sizes_are_answered() {
    let (mut site, now) = start();
    let [ours, theirs] = ["10.213.1.1", "10.213.2.1"].map(|text| text.parse().unwrap());
    site.handle_traffic(one_path(), with_session(1), now);
    let asked = Size::Asked(1400).to_packet(theirs, ours).unwrap();
    (0..100).for_each(|_| site.handle_control(one_path(), &asked, now));
    let answers = actions(&mut site, now).into_iter().filter(|action| {
        matches!(action, Action::Send { packet, .. } if Size::from_packet(packet) == Some(Size::Came(1400)))
    });
    assert_eq!(
        answers.count(),
        16,
        "a flood of questions is not answered in full"
    );
    assert_eq!(
        sizes_asked(&mut site, now),
        Vec::<u16>::new(),
        "the path is not up"
    );
}
