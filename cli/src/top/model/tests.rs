use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::draw::{draw, shares};
use super::super::theme::Theme;
use super::*;
use crate::flows::{plain, seen, transfer};
use crate::render::tests::a_status;
use crate::style::Style;

#[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

/// A look at paths alone.
fn looked(status: Status, now: Instant) -> News {
    let look = Look {
        status,
        connections: None,
    };
    News::Look(Box::new(look), now)
}

/// In each second path 1 moves three quarters of the transfer, path 2 the rest.
fn connections(second: u64) -> Seen {
    let mut busy = transfer();
    busy.connection.flows[0].sent += second * 7_500_000;
    busy.connection.flows[1].sent += second * 2_500_000;
    seen(vec![plain(), busy])
}

/// Twenty seconds of it: the first path carries 80 Mbit/s and loses now and then, the third 20.
fn twenty_seconds() -> Model {
    let (mut model, start) = (Model::default(), start());
    for second in 0..20 {
        let mut status = a_status();
        let paths = &mut status.peers[0].paths;
        (paths[0].tx_bytes, paths[0].rx_bytes) = (second * 10_000_000, second * 1000);
        (paths[2].tx_bytes, paths[2].rx_bytes) = (second * 2_500_000, 0);
        paths[0].loss_rx = Some(if second % 7 == 0 { 0.03 } else { 0.0 });
        let now = start + Duration::from_secs(second);
        let look = Look {
            status,
            connections: Some(connections(second)),
        };
        model.handle_news(News::Look(Box::new(look), now));
    }
    model
}

fn screen(model: &Model, width: u16) -> String {
    screen_of(model, width, true)
}

fn screen_of(model: &Model, width: u16, utf8: bool) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, 16)).unwrap();
    let theme = Theme::new(Style::plain(), utf8);
    terminal.draw(|frame| draw(model, theme, frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn it_reads_well_on_narrow_and_wide_terminals() {
    let model = twenty_seconds();
    let screens = [40, 80, 120, 200].map(|width| screen(&model, width));
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn nothing_is_known_at_first() {
    insta::assert_snapshot!(screen(&Model::default(), 60));
}

#[test]
fn a_path_is_taken_down_and_brought_back_by_its_keys() {
    let mut model = twenty_seconds();
    let wish = |path, state| {
        Next::Ask(Wish {
            peer: "tainan".to_owned(),
            path,
            state,
        })
    };
    assert_eq!(model.handle_key(Key::TakeDown), wish(1, AdminState::Down));
    assert_eq!(model.handle_key(Key::Following), Next::Stay);
    assert_eq!(model.handle_key(Key::BringUp), wish(2, AdminState::Up));
    for _ in 0..5 {
        model.handle_key(Key::PageOn);
    }
    assert_eq!(model.handle_key(Key::BringUp), wish(3, AdminState::Up));
    assert_eq!(model.handle_key(Key::Quit), Next::Quit);
}

#[test]
fn the_last_path_is_taken_down_only_after_a_yes() {
    let mut status = a_status();
    status.peers[0].paths.truncate(2);
    let mut model = Model::default();
    model.handle_news(looked(status, start()));
    for (answer, expected) in [(Key::No, false), (Key::Following, false), (Key::Yes, true)] {
        assert_eq!(model.handle_key(Key::TakeDown), Next::Stay);
        assert!(matches!(model.remark, Remark::Question(..)));
        let next = model.handle_key(answer);
        assert_eq!(matches!(next, Next::Ask(_)), expected, "{answer:?}");
        assert_eq!((&model.remark, model.selected), (&Remark::Nothing, 0));
    }
}

#[test]
fn a_wish_counts_before_a_look_shows_it() {
    let mut status = a_status();
    for path in &mut status.peers[0].paths {
        path.state = PathState::Up;
    }
    status.peers[0].paths.truncate(2);
    let mut model = Model::default();
    model.handle_news(looked(status.clone(), start()));
    assert!(matches!(model.handle_key(Key::TakeDown), Next::Ask(_)));
    model.handle_key(Key::Following);
    // A look that began before the wish.
    model.handle_news(looked(status, start()));
    assert_eq!(model.handle_key(Key::TakeDown), Next::Stay);
    assert!(matches!(model.remark, Remark::Question(..)));
}

#[test]
fn a_question_and_a_silent_daemon_read_well_on_narrow_terminals() {
    let mut status = a_status();
    status.peers[0].paths.truncate(2);
    let mut asked = Model::default();
    asked.handle_news(looked(status, start()));
    asked.handle_key(Key::TakeDown);
    let mut silent = twenty_seconds();
    silent.handle_news(News::Silence(
        "no daemon answers on /run/pathweave/pathweave.sock: is pathweaved running?".to_owned(),
    ));
    assert_eq!(
        silent.handle_key(Key::TakeDown),
        Next::Stay,
        "it would be late"
    );
    let screens = [&asked, &silent].map(|model| screen(model, 40) + "\n" + &screen(model, 80));
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn a_terminal_of_lang_c_gets_signs_that_it_has() {
    let text = screen_of(&twenty_seconds(), 120, false);
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn what_is_old_is_told_until_the_daemon_answers_again() {
    let mut model = twenty_seconds();
    model.handle_news(News::Silence("no daemon answers".to_owned()));
    model.handle_key(Key::Following);
    assert!(screen(&model, 80).contains("what is shown is old: no daemon answers"));
    model.handle_news(looked(a_status(), start()));
    assert_eq!(model.remark, Remark::Nothing);
}

#[test]
fn a_path_that_was_made_anew_has_no_rate_for_a_moment() {
    let (mut model, start) = (twenty_seconds(), start());
    let later = start + Duration::from_secs(60);
    let mut status = a_status();
    status.peers[0].paths[0].tx_bytes = 0;
    model.handle_news(looked(status.clone(), later));
    let rates = |model: &Model| {
        let (peer, path) = paths(&status).next().unwrap();
        model.history(peer, path).unwrap().rates
    };
    assert_eq!(rates(&model), None);
}

#[test]
fn on_a_low_terminal_connections_keep_a_third() {
    let cases = [
        ((4, 3, 20), [4, 3]),
        ((401, 3, 20), [17, 3]),
        ((401, 50, 21), [14, 7]),
        ((4, 50, 20), [4, 16]),
        ((4, 0, 2), [2, 0]),
    ];
    for ((paths, connections, room), expected) in cases {
        assert_eq!(shares(paths, connections, room), expected);
    }
}
