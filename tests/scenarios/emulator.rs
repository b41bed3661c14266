//! The ISPs of the lab do what their settings say, packet by packet, at a gigabit per second.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test measures by the clock, and what is missing shall fail it"
)]

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use lab::impairment::Settings;
use lab::laboratory::outer;
use lab::load::{self, AT_ONCE, Carried, DATAGRAM, Load, bind};
use lab::programs::{lab_can_run, skipped};
use lab::{Isp, Lab};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use nix::sys::time::TimeValLike;

const PING: u16 = 4001;

/// Round trips of small datagrams, shortest first.
fn round_trips(lab: &Lab, count: u32) -> Vec<Duration> {
    let [a, b] = [1, 2].map(|id| bind(lab, id, PING).unwrap());
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = b.recv_from(&mut buffer) {
            b.send_to(&buffer[..length], from).unwrap();
        }
    });
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        a.send_to(b"ping", (outer(1, 2).0, PING)).unwrap();
        if a.recv(&mut [0; 100]).is_ok() {
            times.push(start.elapsed());
        }
    }
    echo.join().unwrap();
    times.sort();
    times
}

/// The median: a machine that does something else for a while is not the emulator's fault.
fn assert_a_millisecond(times: &[Duration], asked: Duration) {
    let at = |percent| times[(times.len() - 1) * percent / 100];
    println!(
        "round trip of {asked:?}: median {:.1?}, 90 % under {:.1?}, worst {:.1?}",
        at(50),
        at(90),
        at(100)
    );
    assert!(
        at(50).abs_diff(asked) < Duration::from_millis(1),
        "{:?} instead of {asked:?}",
        at(50)
    );
}

#[test]
fn the_delay_is_kept_within_a_millisecond() {
    if !lab_can_run() {
        return;
    }
    for round_trip in [4, 40] {
        let lab = Lab::two_sites(&[Isp::new(1000, round_trip)]).unwrap();
        let times = round_trips(&lab, 100);
        assert_a_millisecond(&times, Duration::from_millis(round_trip));
    }
}

#[test]
fn the_delay_is_kept_while_a_gigabit_per_second_passes() {
    if !lab_can_run() {
        return;
    }
    // So fast a line that a ping does not wait for the datagrams in front of it.
    let lab = Lab::two_sites(&[Isp::new(10_000, 40)]).unwrap();
    let end = Instant::now() + Duration::from_secs(4);
    let (times, bytes) = std::thread::scope(|scope| {
        let load = scope.spawn(|| load::udp(&lab, Load::Segmented, 1000, end).unwrap());
        (round_trips(&lab, 80), load.join().unwrap())
    });
    println!("meanwhile {} MB passed", bytes / 1_000_000);
    assert_a_millisecond(&times, Duration::from_millis(40));
}

#[test]
fn the_rate_is_kept() {
    if !lab_can_run() {
        return;
    }
    for rate in [20, 100] {
        for load in [Load::Segmented, Load::Plain] {
            let isp = Isp::new(rate, 4);
            let carried = load::carry(load, isp, 2 * rate, Duration::from_secs(2)).unwrap();
            let measured = carried.rate();
            println!("{load:?}: {rate} Mbit/s asked for, {measured:.1} measured");
            let share = measured / rate as f64;
            assert!(
                (0.9..=1.03).contains(&share),
                "{measured:.1} of {rate} Mbit/s"
            );
        }
    }
}

/// Seconds of processor time that other processes took, and other machines on the same hardware.
fn taken_by_others() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields = stat.lines().next().unwrap().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.map(|field| field.parse().unwrap()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: in hundredths.
    let all = (ticks[..8].iter().sum::<f64>() - ticks[3] - ticks[4]) / 100.0;
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let ours = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    all - ours as f64 / 1e6
}

/// A line of 1,200 Mbit/s under a load that fills it: what it carries, and the cores' share that
/// others took meanwhile.
fn fill(load: Load) -> (Carried, f64) {
    let before = taken_by_others();
    let carried = load::carry(load, Isp::new(1200, 10), 1250, Duration::from_secs(3)).unwrap();
    let others = (taken_by_others() - before).max(0.0) / carried.duration.as_secs_f64();
    println!(
        "{load:?}: carried {} MB using {:.2} processor seconds = {:.2} Gbit/s per core; {:.0} of \
         1200 Mbit/s by the clock, while others used {others:.2} cores",
        carried.bytes / 1_000_000,
        carried.used.as_secs_f64(),
        carried.per_core(),
        carried.rate(),
    );
    (carried, others)
}

#[test]
fn one_core_carries_a_gigabit_per_second() {
    if !lab_can_run() {
        return;
    }
    for load in [Load::Segmented, Load::Plain, Load::Tcp] {
        let (mut per_core, mut share, mut room) = (0.0_f64, 0.0_f64, false);
        for _ in 0..3 {
            let (carried, others) = fill(load);
            per_core = per_core.max(carried.per_core());
            share = share.max(carried.rate() / 1200.0);
            room |= others < 0.2;
            if per_core >= 1.0 && share >= 0.85 {
                break;
            }
        }
        assert!(
            per_core >= 1.0,
            "{load:?}: one core carries {per_core:.2} Gbit/s"
        );
        if share < 0.85 && !room {
            skipped("a gigabit per second by the clock: others use the machine");
        } else {
            assert!(share >= 0.85, "{load:?}: {share:.2} of 1200 Mbit/s");
        }
    }
}

/// What came of numbered datagrams that left in superpackets.
#[derive(Debug, PartialEq)]
struct Arrived {
    sent: u32,
    /// In order of arrival.
    numbers: Vec<u32>,
}

impl Arrived {
    fn share(&self) -> f64 {
        self.numbers.len() as f64 / f64::from(self.sent)
    }

    /// Share that came before one that was sent earlier.
    fn overtakers(&self) -> f64 {
        let (mut least, mut count) = (u32::MAX, 0);
        for number in self.numbers.iter().rev() {
            count += u32::from(*number > least);
            least = least.min(*number);
        }
        f64::from(count) / f64::from(self.sent)
    }

    /// Share of the superpackets that lost some of their datagrams, but not all.
    fn torn(&self) -> f64 {
        let superpackets = self.sent / AT_ONCE as u32;
        let torn = |first: &u32| {
            let of = |number: &&u32| **number / AT_ONCE as u32 == *first;
            (1..AT_ONCE).contains(&self.numbers.iter().filter(of).count())
        };
        (0..superpackets).filter(torn).count() as f64 / f64::from(superpackets)
    }
}

/// A datagram tells its number in every word.
fn superpacket(first: u32) -> Vec<u8> {
    let datagram = |number: u32| number.to_be_bytes().repeat(DATAGRAM / 4);
    (first..first + AT_ONCE as u32).flat_map(datagram).collect()
}

fn number(datagram: &[u8]) -> u32 {
    let words = datagram.chunks(4);
    let number = u32::from_be_bytes(datagram[..4].try_into().unwrap());
    assert!(
        datagram.len() == DATAGRAM && words.into_iter().all(|word| word == number.to_be_bytes()),
        "a datagram came out different"
    );
    number
}

fn drain(socket: &UdpSocket, into: &mut Vec<u32>) {
    let mut buffer = [0; 2000];
    while let Ok(length) = socket.recv(&mut buffer) {
        into.push(number(&buffer[..length]));
    }
}

fn through(change: impl Fn(&mut Settings)) -> Arrived {
    let lab = Lab::two_sites(&[Isp::new(1000, 20)]).unwrap();
    lab.sites[0].links[0].set(change);
    let [a, b] = [1, 2].map(|id| bind(&lab, id, 4000).unwrap());
    setsockopt(&a, UdpGsoSegment, &(DATAGRAM as i32)).unwrap();
    let (mut sent, mut numbers) = (0, Vec::new());
    for _ in 0..20 {
        // No more at once than an ordinary socket buffer holds.
        a.send_to(&superpacket(sent), (outer(1, 2).0, 4000))
            .unwrap();
        a.send_to(&superpacket(sent + AT_ONCE as u32), (outer(1, 2).0, 4000))
            .unwrap();
        sent += 2 * AT_ONCE as u32;
        b.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
        drain(&b, &mut numbers);
    }
    Arrived { sent, numbers }
}

#[test]
fn faults_strike_single_packets_of_a_superpacket() {
    if !lab_can_run() {
        return;
    }
    let whole = through(|_| ());
    assert!(
        whole.numbers.is_sorted() && whole.share() == 1.0,
        "{whole:?}"
    );
    let lost = through(|settings| settings.loss = 0.1);
    println!(
        "10 % loss: {:.3} arrived, {:.2} of the superpackets torn",
        lost.share(),
        lost.torn()
    );
    assert!((0.87..0.93).contains(&lost.share()) && lost.torn() > 0.8);
    let corrupt = through(|settings| settings.corrupt = 0.1);
    println!(
        "10 % corrupted: {:.3} arrived, all of them intact",
        corrupt.share()
    );
    assert!((0.87..0.93).contains(&corrupt.share()) && corrupt.torn() > 0.8);
    let doubled = through(|settings| settings.duplicate = 0.1);
    println!("10 % duplicated: {:.3} arrived", doubled.share());
    assert!((1.07..1.13).contains(&doubled.share()));
    let mixed = through(|settings| settings.reorder = 0.1);
    let share = mixed.overtakers();
    println!("10 % overtake: {share:.3} did, nothing was lost");
    assert!(mixed.share() == 1.0 && (0.07..0.13).contains(&share));
    assert!(
        through(|settings| settings.blackhole = true)
            .numbers
            .is_empty()
    );
}

#[test]
fn the_loss_is_what_was_asked_for() {
    if !lab_can_run() {
        return;
    }
    let lab = Lab::two_sites(&[Isp::new(1000, 2).with_loss(0.1)]).unwrap();
    let [a, b] = [1, 2].map(|id| bind(&lab, id, 4000).unwrap());
    b.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut arrived = 0;
    for _ in 0..20 {
        (0..100).for_each(|_| drop(a.send_to(&[0; 100], (outer(1, 2).0, 4000))));
        while b.recv(&mut [0; 200]).is_ok() {
            arrived += 1;
        }
    }
    println!("10 % loss: {arrived} of 2000 arrived");
    assert!((1740..1860).contains(&arrived), "{arrived}");
}

#[test]
fn an_isp_counts_the_packets_of_the_wire() {
    if !lab_can_run() {
        return;
    }
    let lab = Lab::two_sites(&[Isp::new(1000, 2)]).unwrap();
    let [a, b] = [1, 2].map(|id| bind(&lab, id, 4000).unwrap());
    let before = lab.sites[1].links[0].capture();
    setsockopt(&a, UdpGsoSegment, &(DATAGRAM as i32)).unwrap();
    a.send_to(&superpacket(0), (outer(1, 2).0, 4000)).unwrap();
    drain(&b, &mut Vec::new());
    let seen = lab.sites[1].links[0].capture();
    assert!(seen.packets - before.packets >= AT_ONCE as u64);
    assert!(seen.bytes - before.bytes >= (AT_ONCE * (DATAGRAM + 28)) as u64);
}
