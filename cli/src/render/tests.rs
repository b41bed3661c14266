use pathweaved::control::{Dropped, Offload, SCHEMA, SiteStatus};

use super::*;

pub(crate) fn a_path(number: u8, link: &str) -> PathStatus {
    PathStatus {
        offload: Offload {
            tun: true,
            send_segments: 64,
            receive: true,
            socket_buffer: 4 << 20,
        },
        path: number,
        state: PathState::Up,
        reason: None,
        link: link.to_owned(),
        remote_link: "fiber".to_owned(),
        metered: false,
        interface: format!("pw-tainan-{number}"),
        overlay_address: Some(format!("10.213.1.{number}")),
        overlay_address6: None,
        endpoint: Some("198.51.100.20:51820".to_owned()),
        carrier: "udp".to_owned(),
        rtt_ms: Some(10.26),
        loss: Some(0.012),
        jitter_ms: Some(1.4),
        loss_rx: Some(0.012),
        loss_tx: Some(0.0),
        since_s: 7322,
        flaps: 3,
        held_up_s: None,
        reserve: None,
        site_path: number == 1,
        mtu: 1420,
        last_handshake_s: Some(61),
        last_handshake_unix_s: Some(1_790_000_000),
        tx_bytes: 123_456_789,
        rx_bytes: 950,
        subflows: 4,
        dropped: Dropped::default(),
        diagnosis: Default::default(),
    }
}

pub(crate) fn a_status() -> Status {
    let mut dead = a_path(2, "cable");
    dead.state = PathState::Down;
    dead.reason = Some("device eth2 does not exist".to_owned());
    (dead.endpoint, dead.rtt_ms, dead.loss, dead.last_handshake_s) = (None, None, None, None);
    let mut slow = a_path(3, "satellite");
    (slow.rtt_ms, slow.endpoint) = (Some(612.0), Some("[2001:db8::20]:51820".to_owned()));
    Status {
        schema: SCHEMA,
        site: SiteStatus {
            name: "nara".to_owned(),
            id: 1,
            address: Some("10.213.1.1".to_owned()),
            address6: Some("fd50:7761:7665:1::1".to_owned()),
            public_key: String::new(),
            version: "0.1.0".to_owned(),
            warnings: Vec::new(),
            strangers: 0,
            path_manager: "userspace".into(),
            healing: Default::default(),
            repairs: Default::default(),
            fallbacks: Default::default(),
            listen_port: 51820,
            speed_test: true,
            diagnosis: Default::default(),
        },
        peers: vec![PeerStatus {
            site: "tainan".to_owned(),
            id: 2,
            address: Some("10.213.2.1".to_owned()),
            address6: Some("fd50:7761:7665:2::1".to_owned()),
            reachable: true,
            plain_tcp: 0,
            version: None,
            paths: vec![a_path(1, "fiber"), dead, slow],
        }],
    }
}

#[test]
fn the_status_shows_which_isp_is_dead_and_which_is_slow() {
    insta::assert_snapshot!(status(&a_status(), Style::plain()));
}

#[test]
fn colours_say_what_the_words_say() {
    let text = status(&a_status(), Style::colored());
    insta::assert_snapshot!(text.replace('\u{1b}', "␛"));
}

#[test]
fn when_all_is_well_there_is_no_column_for_why() {
    let mut well = a_status();
    well.peers[0].paths.remove(1);
    insta::assert_snapshot!(status(&well, Style::plain()));
}

#[test]
fn a_path_taken_down_by_an_operator_is_not_missed() {
    let mut calm = a_status();
    let path = &mut calm.peers[0].paths[1];
    path.state = PathState::AdminDown;
    path.reason = Some("taken down by the operator".to_owned());
    insta::assert_snapshot!(status(&calm, Style::plain()));
}

#[test]
fn long_names_ipv6_endpoints_and_a_peer_with_one_path_keep_the_columns() {
    let mut wide = a_status();
    let mut other = wide.peers[0].clone();
    (other.site, other.id) = ("a-far-away-site-with-a-long-name".to_owned(), 254);
    (other.address, other.reachable) = (None, true);
    other.paths.truncate(1);
    let path = &mut other.paths[0];
    path.link = "fiber-of-the-first-floor-provide".to_owned();
    path.endpoint = Some("[2001:db8:1234:5678:9abc:def0:1234:5678]:51820".to_owned());
    (path.loss, path.rx_bytes, path.last_handshake_s) = (None, 7_700_000_000_000, Some(8000));
    wide.peers.push(other);
    insta::assert_snapshot!(status(&wide, Style::plain()));
}

#[test]
fn a_peer_behind_dead_paths_only_is_unreachable() {
    let mut dark = a_status();
    dark.peers[0]
        .paths
        .retain(|path| path.state == PathState::Down);
    dark.peers[0].reachable = false;
    insta::assert_snapshot!(status(&dark, Style::plain()));
}

#[test]
fn lists_are_one_line_each() {
    let peers = a_status().peers;
    let plain = Style::plain();
    insta::assert_snapshot!(peer_list(&peers, plain) + "\n" + &path_list(&peers, plain));
}

#[test]
fn one_path_is_shown_with_all_that_is_known() {
    let peers = a_status().peers;
    insta::assert_snapshot!(path("tainan", &peers[0].paths[0], Style::plain()));
}

#[test]
fn a_site_without_peers_says_so() {
    let mut alone = a_status();
    alone.peers.clear();
    alone.site.warnings.push("something is odd".to_owned());
    alone.site.repairs = [("route".to_owned(), 12), ("rule".to_owned(), 3)].into();
    insta::assert_snapshot!(status(&alone, Style::plain()));
}

#[test]
fn a_narrow_terminal_loses_columns_and_not_the_reason() {
    let eighty = status(&a_status(), Style::narrow(80));
    let forty = status(&a_status(), Style::narrow(40));
    insta::assert_snapshot!(eighty + "\n" + &forty);
}
