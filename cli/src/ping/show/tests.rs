use std::time::{Duration, Instant};

use super::*;
use crate::ping::tally::Tally;
use crate::render::tests::a_path;

/// Three paths: one measured by the daemon, one dead, one that its operator took down.
fn some_runs() -> Vec<Run> {
    let mut dead = a_path(2, "cable");
    dead.state = PathState::Down;
    dead.reason = Some("no answer for 12 s".to_owned());
    let mut aside = a_path(3, "satellite");
    aside.state = PathState::AdminDown;
    aside.reason = Some("taken down by `pathweave path down`".to_owned());
    let ways = [
        Way::Daemon("the site address travels by another path"),
        Way::Dead("pw-tainan-2: No such device".to_owned()),
        Way::Aside,
    ];
    let paths = [a_path(1, "fiber"), dead, aside];
    let run = |(path, way)| Run {
        path,
        way,
        tally: Tally::default(),
    };
    paths.into_iter().zip(ways).map(run).collect()
}

#[test]
fn paths_read_well_on_terminals_of_every_width() {
    let mut text = String::new();
    let to = "10.213.2.1".parse().unwrap();
    for width in [40, 80] {
        let shown = table_of("tainan", to, &some_runs(), Style::narrow(width));
        for line in shown.lines() {
            assert!(line.chars().count() <= width, "wider than {width}: {line}");
        }
        text += &format!("━━━ {width}\n{shown}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_was_not_measured_is_null_and_only_the_dead_path_is_lost() {
    let runs = some_runs();
    let lost: Vec<_> = runs.iter().map(Run::is_lost).collect();
    assert_eq!(lost, [false, true, false]);
    let to = "10.213.2.1".parse().unwrap();
    let value = serde_json::to_value(document("tainan", to, &runs)).unwrap();
    assert_eq!(
        (&value["schema"], &value["address"]),
        (&1.into(), &"10.213.2.1".into())
    );
    assert_eq!(value["paths"][0]["rtt_mean_ms"], 10.26);
    assert!(value["paths"][1]["rtt_mean_ms"].is_null());
    assert_eq!(value["paths"][1]["reason"], "no answer for 12 s");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
fn a_round_is_a_line_for_each_path() {
    let mut runs = some_runs();
    let now = Instant::now();
    let sequence = runs[1].tally.send(now);
    runs[1]
        .tally
        .receive(sequence, now + Duration::from_millis(9));
    let shown = lines(4, &runs);
    assert_eq!(shown.lines().count(), 3);
    assert!(
        shown.starts_with("4  path 1  fiber → fiber  not asked\n"),
        "{shown}"
    );
}
