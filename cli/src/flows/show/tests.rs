use std::time::{Duration, Instant};

use pathweaved::control::{Connection, Lack, SCHEMA};

use super::super::program::Program;
use super::*;

fn a_flow(path: u8, sent: u64) -> Flow {
    Flow {
        path: Some(path),
        link: Some(format!("isp{path}")),
        remote_link: Some("fiber".to_owned()),
        local: format!("10.213.1.{path}:4000{path}").parse().unwrap(),
        remote: "10.213.2.1:873".parse().unwrap(),
        established: true,
        reserve: false,
        sent,
        received: 10 * u64::from(path),
        retransmitted: 0,
        rtt_ms: 10.26 * f64::from(path),
        delivery_rate: 50_000_000,
    }
}

pub(crate) fn transfer() -> Known {
    let mut second = a_flow(2, 80_000_000);
    second.retransmitted = 52_000;
    Known {
        connection: Connection {
            peer: "tainan".to_owned(),
            kind: Kind::Multipath,
            reason: None,
            opened_here: Some(true),
            local: "10.213.1.1:40001".parse().unwrap(),
            remote: "10.213.2.1:873".parse().unwrap(),
            inode: 4711,
            uid: 0,
            age_s: Some(185),
            sent: 120_000_000,
            received: 30,
            flows: vec![a_flow(1, 40_000_000), second],
            lacks: vec![Lack {
                path: 3,
                link: "lte".to_owned(),
                remote_link: "fiber".to_owned(),
                why: "no answer for 12 s".to_owned(),
            }],
        },
        program: Some(Program {
            pid: 815,
            name: "rsync".to_owned(),
            asked_for_mptcp: Some(true),
        }),
    }
}

pub(crate) fn plain() -> Known {
    let mut flow = a_flow(1, 900);
    flow.local = "10.213.1.1:22".parse().unwrap();
    flow.remote = "10.213.2.1:51234".parse().unwrap();
    Known {
        connection: Connection {
            kind: Kind::Plain,
            reason: Some(
                "the program here listens with plain TCP: start it under `mptcpize run`".to_owned(),
            ),
            opened_here: Some(false),
            local: flow.local,
            remote: flow.remote,
            age_s: None,
            sent: 900,
            received: 10,
            flows: vec![flow],
            lacks: Vec::new(),
            ..transfer().connection
        },
        program: None,
    }
}

pub(crate) fn seen(connections: Vec<Known>) -> Seen {
    Seen {
        schema: SCHEMA,
        connections,
    }
}

/// A second in which path 1 moved 2.5 MB and path 2 moved 7.5 MB.
#[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
fn rates() -> Rates {
    let (mut rates, now) = (Rates::default(), Instant::now());
    let mut before = transfer();
    before.connection.flows[0].sent -= 2_500_000;
    before.connection.flows[1].sent -= 7_500_000;
    rates.take(&seen(vec![before]), now);
    rates.take(&seen(vec![transfer()]), now + Duration::from_secs(1));
    rates
}

#[test]
fn connections_read_well_on_terminals_of_every_width() {
    let mut text = String::new();
    for width in [40, 80, 200] {
        let shown = flows(
            &seen(vec![transfer(), plain()]),
            &rates(),
            Style::narrow(width),
        );
        for line in shown.lines() {
            assert!(line.chars().count() <= width, "wider than {width}: {line}");
        }
        text += &format!("━━━ {width}\n{shown}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn without_connections_and_without_rates_it_says_what_it_knows() {
    let nothing = flows(&seen(Vec::new()), &Rates::default(), Style::plain());
    assert_eq!(nothing, "no open connections to the peers\n");
    let once = flows(&seen(vec![transfer()]), &Rates::default(), Style::plain());
    assert!(once.contains("67 %") && !once.contains("bit/s"), "{once}");
    let colored = flows(&seen(vec![plain()]), &Rates::default(), Style::colored());
    assert!(colored.contains("\u{1b}[33mplain TCP"), "{colored}");
}
