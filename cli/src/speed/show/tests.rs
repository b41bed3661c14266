use pathweaved::control::speed::Order;
use pathweaved::control::{Flow, PathStatus};

use super::*;
use crate::render::tests::a_path;

fn flow(path: u8, sent: u64) -> Flow {
    Flow {
        path: Some(path),
        link: None,
        remote_link: None,
        local: "10.213.1.1:40000".parse().unwrap(),
        remote: "10.213.2.1:51820".parse().unwrap(),
        established: true,
        reserve: false,
        sent,
        received: 0,
        retransmitted: sent / 250,
        rtt_ms: 10.0,
        delivery_rate: 0,
    }
}

fn alone(path: PathStatus, rate: Result<f64, &str>) -> Alone {
    let measured = |rate| Measured {
        rate,
        flows: vec![flow(path.path, 1_000_000)],
    };
    Alone {
        measured: rate.map(measured).map_err(str::to_owned),
        path,
    }
}

fn an_outcome() -> Outcome {
    Outcome {
        peer: "tainan".to_owned(),
        order: Order {
            direction: Direction::Up,
            seconds: 5,
        },
        alone: vec![
            alone(a_path(1, "fiber"), Ok(93e6)),
            alone(a_path(2, "cable"), Ok(46.5e6)),
            alone(a_path(3, "lte"), Err("no answer for 12 s")),
        ],
        together: Some(Ok(Measured {
            rate: 132e6,
            flows: vec![flow(1, 60_000_000), flow(2, 30_000_000)],
        })),
    }
}

#[test]
fn rates_read_well_on_terminals_of_every_width() {
    let mut text = String::new();
    for width in [40, 80] {
        let shown = outcome(&an_outcome(), Style::narrow(width));
        for line in shown.lines() {
            assert!(line.chars().count() <= width, "wider than {width}: {line}");
        }
        text += &format!("━━━ {width}\n{shown}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_gain_is_over_the_best_path_and_who_receives_knows_no_repetitions() {
    let mut one = an_outcome();
    let value = serde_json::to_value(document(&one)).unwrap();
    assert_eq!(
        (&value["schema"], &value["direction"]),
        (&1.into(), &"up".into())
    );
    assert_eq!(value["gain"].as_f64().unwrap(), 132.0 / 93.0);
    assert_eq!(value["together"]["shares"][1]["path"], 2);
    assert_eq!(value["paths"][0]["retransmitted"], 0.004);
    assert_eq!(value["paths"][2]["error"], "no answer for 12 s");
    one.order.direction = Direction::Down;
    let value = serde_json::to_value(document(&one)).unwrap();
    assert!(value["paths"][0]["retransmitted"].is_null());
    one.together = Some(Err("the connection broke".to_owned()));
    let shown = outcome(&one, Style::plain());
    assert!(shown.contains("together: the connection broke"), "{shown}");
    assert!(one.failure().is_some());
}
