//! Links behind NAT at both ends of a path: who knocks where, who dials whom, and what is told.

use super::two_sites::{SECOND, path_to, view};
use super::*;
use crate::config::{Endpoint, Host};
use crate::packet::sighting::{Sighting, Whose};

/// nara, whose first link has an endpoint, to tainan, whose first link has one perhaps; path 1 is
/// up, path 2 lies between two links without.
fn nara(is_open_there: bool) -> (Site, Instant) {
    let mut view = view(1, 2, 2);
    let endpoint = Endpoint {
        host: Host::Address("192.0.2.1".parse().unwrap()),
        port: 51820,
    };
    view.site.links[0].endpoint = Some(endpoint.clone());
    view.peers[0].site.links[0].endpoint = is_open_there.then_some(endpoint);
    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    let now = Instant::now();
    let mut site = Site::new(view, now);
    let remote = Some(at("192.0.2.2:51820"));
    let traffic = Traffic {
        remote,
        ..with_session(1)
    };
    site.handle_traffic(path_to(2, 1), traffic, now);
    hear(&mut site, ProbeState::Init, now);
    assert_eq!(site.uses()[&path_to(2, 1)], PathUse::Live);
    for path in [path_to(2, 1), path_to(2, 2)] {
        let remote_link = "fiber".to_owned();
        let obstacle = Some(Obstacle::NoEndpoint { remote_link });
        site.handle_obstacle(path, obstacle, now);
    }
    (site, now)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tell(site: &mut Site, path: u8, whose: Whose, place: &str, now: Instant) {
    let place = at(place);
    let sighting = Sighting {
        whose,
        path,
        at: place,
    };
    let [ours, theirs] = ["10.213.1.1", "10.213.2.1"].map(|text| text.parse().unwrap());
    let packet = sighting.to_packet(theirs, ours).unwrap();
    site.handle_control(path_to(2, 1), &packet, now);
}

/// What is done, in words. Questions about sizes are answered.
fn done(site: &mut Site, now: Instant) -> Vec<String> {
    let [ours, theirs] = ["10.213.1.1", "10.213.2.1"].map(|text| text.parse().unwrap());
    let mut told = Vec::new();
    for action in actions(site, now) {
        match action {
            Action::Knock { at, whom, .. } => told.push(format!("knock {at} {whom:?}")),
            Action::Dial { at, .. } => told.push(format!("dial {at}")),
            Action::StartHandshake { .. } => told.push("handshake".to_owned()),
            Action::Send { packet, path } => {
                if let Some(Size::Asked(size)) = Size::from_packet(&packet) {
                    let came = Size::Came(size).to_packet(theirs, ours).unwrap();
                    site.handle_control(path, &came, now);
                }
                let said = Sighting::from_packet(&packet);
                let in_words = |said: Sighting| {
                    let Sighting { whose, path, at } = said;
                    format!("say {whose:?} {path} {at}")
                };
                told.extend(said.map(in_words));
            }
            Action::SetMtu { .. } => {}
        }
    }
    told
}

fn reason(site: &Site) -> String {
    site.reason(path_to(2, 2)).unwrap()
}

#[test]
fn a_site_knocks_at_both_doors_from_the_link_that_nobody_can_dial() {
    let (mut site, now) = nara(true);
    assert_eq!(
        done(&mut site, now),
        [
            "say Yours 1 192.0.2.2:51820",
            "knock 192.0.2.2:51820 Peer",
            "handshake"
        ]
    );
    tell(&mut site, 1, Whose::Yours, "192.0.2.1:51820", now);
    let later = now + SECOND * 5;
    hear(&mut site, ProbeState::Up, later);
    let done = done(&mut site, later);
    let knocks: Vec<_> = done
        .iter()
        .filter(|what| what.starts_with("knock"))
        .collect();
    assert_eq!(
        knocks,
        [
            "knock 192.0.2.2:51820 Peer",
            "knock 192.0.2.1:51820 Ourselves"
        ]
    );
}

#[test]
fn a_site_that_alone_has_an_endpoint_learns_at_its_own_door_and_says_so() {
    let (mut site, now) = nara(false);
    tell(&mut site, 1, Whose::Yours, "192.0.2.1:51820", now);
    assert_eq!(
        done(&mut site, now),
        ["knock 192.0.2.1:51820 Ourselves", "handshake"]
    );
    site.handle_knock(Caller::Ourselves, 1, at("198.18.2.1:4444"), now);
    assert_eq!(
        done(&mut site, now),
        ["say Mine 2 198.18.2.1:4444"],
        "nobody to dial yet"
    );
    let two = SiteId::new(2).unwrap();
    site.handle_knock(Caller::Peer(two), 2, at("198.18.2.2:5555"), now + SECOND);
    assert_eq!(
        done(&mut site, now + SECOND),
        [
            "dial 198.18.2.2:5555",
            "say Yours 2 198.18.2.2:5555",
            "say Mine 2 198.18.2.1:4444",
            "handshake"
        ]
    );
}

#[test]
fn what_a_peer_says_makes_us_dial_once_a_second_and_only_where_there_is_no_endpoint() {
    let (mut site, now) = nara(true);
    done(&mut site, now);
    let mut dialled = 0;
    for step in 1..=400_u32 {
        let now = now + Duration::from_millis(10) * step;
        if step % 10 == 0 {
            hear(&mut site, ProbeState::Up, now);
        }
        for path in 0..=255 {
            tell(
                &mut site,
                path,
                Whose::Mine,
                &format!("198.18.0.1:{step}"),
                now,
            );
            tell(&mut site, path, Whose::Yours, "198.18.0.1:9", now);
        }
        let done = done(&mut site, now);
        dialled += done.iter().filter(|what| what.starts_with("dial")).count();
        assert_eq!(site.uses()[&path_to(2, 1)], PathUse::Live);
    }
    assert_eq!(dialled, 4, "in four seconds");
}

#[test]
fn why_they_have_not_met_is_told() {
    let (mut site, now) = nara(true);
    let neither = "neither fiber here nor fiber there has an endpoint";
    assert_eq!(
        reason(&site),
        format!(
            "{neither}: it is being found out where they are seen, at the endpoints of paths that \
             are up"
        )
    );
    tell(&mut site, 2, Whose::Mine, "198.18.2.2:5555", now);
    assert_eq!(
        reason(&site),
        format!(
            "{neither}; dialling 198.18.2.2:5555, where fiber is seen: no answer (a NAT that gives \
             each destination another port cannot be met)"
        )
    );
    site.handle_knock(Caller::Ourselves, 1, at("198.18.2.1:4444"), now);
    tell(&mut site, 2, Whose::Yours, "198.18.2.1:4445", now);
    assert_eq!(
        reason(&site),
        format!(
            "{neither}, and the NAT before fiber gives each destination another port \
             (198.18.2.1:4444, 198.18.2.1:4445): such links cannot meet"
        )
    );
    for tenth in 1..=200 {
        actions(&mut site, now + SECOND * tenth / 10);
    }
    assert_eq!(site.uses()[&path_to(2, 1)], PathUse::Idle);
    assert_eq!(
        reason(&site),
        format!("{neither}: they meet once another path to there is up")
    );
}
