//! The ISPs of the lab do what their settings say: rate, delay, loss.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a test measures by the clock, and what is missing shall fail it"
)]

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use lab::laboratory::outer;
use lab::programs::lab_can_run;
use lab::{Isp, Lab};

/// Binds a UDP socket at site `id` to its first link's address.
fn bind(lab: &Lab, id: u8) -> UdpSocket {
    let address: IpAddr = outer(1, id).0.into();
    let site = &lab.sites[usize::from(id) - 1];
    let socket = site
        .namespace()
        .enter(move || UdpSocket::bind((address, 4000)))
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    socket
}

fn round_trips(isp: Isp, count: u32) -> Vec<Duration> {
    let lab = Lab::two_sites(&[isp]).unwrap();
    let (a, b) = (bind(&lab, 1), bind(&lab, 2));
    b.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = b.recv_from(&mut buffer) {
            b.send_to(&buffer[..length], from).unwrap();
        }
    });
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        a.send_to(b"ping", (outer(1, 2).0, 4000)).unwrap();
        if a.recv(&mut [0; 100]).is_ok() {
            times.push(start.elapsed());
        }
    }
    echo.join().unwrap();
    times.sort();
    times
}

#[test]
fn the_delay_is_kept_within_a_millisecond() {
    if !lab_can_run() {
        return;
    }
    let times = round_trips(Isp::new(1000, 40), 100);
    let median = times[times.len() / 2];
    println!(
        "round trip of 40 ms: median {median:?}, worst {:?}",
        times.last().unwrap()
    );
    assert!(
        median.abs_diff(Duration::from_millis(40)) < Duration::from_millis(1),
        "{median:?}"
    );
}

#[test]
fn the_loss_is_what_was_asked_for() {
    if !lab_can_run() {
        return;
    }
    let lab = Lab::two_sites(&[Isp::new(1000, 2).with_loss(0.1)]).unwrap();
    let (a, b) = (bind(&lab, 1), bind(&lab, 2));
    let mut arrived = 0;
    for _ in 0..20 {
        (0..100).for_each(|_| drop(a.send_to(&[0; 100], (outer(1, 2).0, 4000))));
        b.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        while b.recv(&mut [0; 200]).is_ok() {
            arrived += 1;
        }
    }
    println!("10 % loss: {arrived} of 2000 arrived");
    assert!((1740..1860).contains(&arrived), "{arrived}");
}

/// Megabits per second that UDP packets of 1,400 bytes get through in two seconds.
fn flood(rate: u64) -> f64 {
    let lab = Lab::two_sites(&[Isp::new(rate, 4)]).unwrap();
    let (a, b) = (bind(&lab, 1), bind(&lab, 2));
    let end = Instant::now() + Duration::from_secs(2);
    let sender = std::thread::spawn(move || {
        while Instant::now() < end {
            (0..10).for_each(|_| drop(a.send_to(&[0; 1372], (outer(1, 2).0, 4000))));
            // As fast as twice the line, not as fast as the processor.
            std::thread::sleep(Duration::from_micros(10 * 1400 * 8 / (2 * rate)));
        }
    });
    let (mut bytes, start) = (0, Instant::now());
    while Instant::now() < end {
        bytes += b.recv(&mut [0; 2000]).map_or(0, |length| length + 28);
    }
    let rate = bytes as f64 * 8.0 / 1e6 / start.elapsed().as_secs_f64();
    sender.join().unwrap();
    rate
}

#[test]
fn the_rate_is_kept() {
    if !lab_can_run() {
        return;
    }
    for rate in [20, 100] {
        let measured = flood(rate);
        println!("{rate} Mbit/s asked for, {measured:.1} measured");
        let share = measured / rate as f64;
        assert!(
            (0.9..=1.03).contains(&share),
            "{measured:.1} of {rate} Mbit/s"
        );
    }
}

#[test]
fn how_much_one_link_carries_is_measured() {
    if !lab_can_run() {
        return;
    }
    let measured = flood(1200);
    println!(
        "1200 Mbit/s asked for, {measured:.0} measured with sender and receiver on this machine"
    );
    assert!(
        measured > 100.0,
        "{measured:.0} Mbit/s is less than the other tests need"
    );
}
