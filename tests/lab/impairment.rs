//! What a bad line does to packets: a pure, seeded machine; time is an argument.
//!
//! A packet passes blackhole and loss, waits for its turn at the line's rate in a bounded queue,
//! then travels for the delay and some jitter. `handle_packet` in, `poll_delivery` out, sleep
//! until `poll_timeout`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the line does. The default does nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// bit/s of IP packets; `None` is unlimited.
    pub rate: Option<u64>,
    pub delay: Duration,
    /// Each packet's delay is longer by up to this; packets keep their order.
    pub jitter: Duration,
    /// Shares of packets, 0.0..=1.0.
    pub loss: f64,
    pub duplicate: f64,
    pub corrupt: f64,
    /// This share overtakes: it is not delayed at all.
    pub reorder: f64,
    /// Bytes that may wait for their turn; what is over is dropped.
    pub queue: usize,
    /// Larger IP packets are swallowed without a word.
    pub largest: usize,
    /// Everything is lost.
    pub blackhole: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            reorder: 0.0,
            queue: 1 << 20,
            largest: usize::MAX,
            blackhole: false,
        }
    }
}

/// A packet under way; the earliest comes first, and of those the first sent.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    at: Instant,
    order: u64,
    packet: Vec<u8>,
}

#[derive(Debug)]
pub struct Impairment {
    pub settings: Settings,
    random: ChaCha8Rng,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    /// When the line has sent all that it took.
    free: Option<Instant>,
    /// The last packet's arrival, for order under jitter.
    last: Option<Instant>,
    count: u64,
}

impl Impairment {
    pub fn new(settings: Settings, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let under_way = BinaryHeap::new();
        Self {
            settings,
            random,
            under_way,
            free: None,
            last: None,
            count: 0,
        }
    }

    pub fn handle_packet(&mut self, mut packet: Vec<u8>, now: Instant) {
        let swallowed = self.settings.blackhole || packet.len() > self.settings.largest;
        if swallowed || self.chance(self.settings.loss) {
            return;
        }
        let Some(sent) = self.serialise(packet.len(), now) else {
            return;
        };
        if self.chance(self.settings.corrupt) && !packet.is_empty() {
            let at = self.random.next_u64() as usize % packet.len();
            packet[at] ^= 1 << (self.random.next_u32() % 8);
        }
        if self.chance(self.settings.duplicate) {
            self.travel(packet.clone(), sent);
        }
        self.travel(packet, sent);
    }

    /// The next packet that has arrived by `now`.
    pub fn poll_delivery(&mut self, now: Instant) -> Option<Vec<u8>> {
        let due = self
            .under_way
            .peek()
            .is_some_and(|Reverse(first)| first.at <= now);
        let Reverse(first) = due.then(|| self.under_way.pop()).flatten()?;
        Some(first.packet)
    }

    /// When the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(first)| first.at)
    }

    /// When the last bit of the packet has left; `None` when the queue is full.
    fn serialise(&mut self, length: usize, now: Instant) -> Option<Instant> {
        let Some(rate) = self.settings.rate else {
            return Some(now);
        };
        let start = self.free.filter(|free| *free > now).unwrap_or(now);
        let waiting = (start - now).as_secs_f64() * rate as f64 / 8.0;
        if waiting as usize + length > self.settings.queue {
            return None;
        }
        let end = start + Duration::from_secs_f64(length as f64 * 8.0 / rate as f64);
        self.free = Some(end);
        Some(end)
    }

    fn travel(&mut self, packet: Vec<u8>, sent: Instant) {
        let at = if self.chance(self.settings.reorder) {
            sent
        } else {
            let jitter = self.settings.jitter.mul_f64(self.unit());
            let at = sent + self.settings.delay + jitter;
            let at = self.last.filter(|last| *last > at).unwrap_or(at);
            self.last = Some(at);
            at
        };
        self.count += 1;
        self.under_way.push(Reverse(UnderWay {
            at,
            order: self.count,
            packet,
        }));
    }

    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }

    fn unit(&mut self) -> f64 {
        self.random.next_u32() as f64 / (u32::MAX as f64 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` packets of 1,250 bytes, one each `gap`; gives arrivals since the start.
    fn arrivals(settings: Settings, count: u8, gap: Duration) -> Vec<(u8, Duration)> {
        let start = Instant::now();
        let mut line = Impairment::new(settings, 7);
        for number in 0..count {
            line.handle_packet(vec![number; 1250], start + gap * u32::from(number));
        }
        let mut arrived = Vec::new();
        while let Some(at) = line.poll_timeout() {
            let packet = line.poll_delivery(at).unwrap();
            arrived.push((packet[0], at - start));
        }
        arrived
    }

    #[test]
    fn delay_and_rate_add_up() {
        let settings = Settings {
            rate: Some(10_000_000),
            delay: Duration::from_millis(20),
            ..Settings::default()
        };
        let arrived = arrivals(settings, 3, Duration::ZERO);
        let millis: Vec<_> = arrived.iter().map(|(_, at)| at.as_millis()).collect();
        assert_eq!(millis, [21, 22, 23], "1,250 bytes take 1 ms at 10 Mbit/s");
    }

    #[test]
    fn a_full_queue_drops_what_comes_last() {
        let settings = Settings {
            rate: Some(10_000_000),
            queue: 2 * 1250,
            ..Settings::default()
        };
        let arrived = arrivals(settings, 5, Duration::ZERO);
        assert_eq!(arrived.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn loss_takes_its_share_and_the_same_seed_loses_the_same() {
        let settings = || Settings {
            loss: 0.3,
            ..Settings::default()
        };
        let arrived = arrivals(settings(), 250, Duration::from_millis(1));
        assert!(
            (150..200).contains(&arrived.len()),
            "{} of 250 arrived",
            arrived.len()
        );
        assert_eq!(arrived, arrivals(settings(), 250, Duration::from_millis(1)));
    }

    #[test]
    fn jitter_keeps_the_order_and_reorder_does_not() {
        let jitter = Duration::from_millis(50);
        let settings = Settings {
            jitter,
            delay: jitter,
            ..Settings::default()
        };
        let order = |settings| {
            let arrived = arrivals(settings, 100, Duration::from_millis(1));
            arrived.iter().map(|(n, _)| *n).collect::<Vec<_>>()
        };
        assert!(order(settings.clone()).is_sorted());
        assert!(
            !order(Settings {
                reorder: 0.2,
                ..settings
            })
            .is_sorted()
        );
    }

    #[test]
    fn duplicates_and_corruption_happen_and_a_blackhole_swallows_all() {
        let count = |settings| arrivals(settings, 200, Duration::ZERO).len();
        assert!(
            count(Settings {
                duplicate: 0.5,
                ..Settings::default()
            }) > 250
        );
        assert_eq!(
            count(Settings {
                blackhole: true,
                ..Settings::default()
            }),
            0
        );
        let mut line = Impairment::new(
            Settings {
                corrupt: 1.0,
                ..Settings::default()
            },
            1,
        );
        let now = Instant::now();
        line.handle_packet(vec![0; 100], now);
        let packet = line.poll_delivery(now).unwrap();
        assert_eq!(packet.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }
}
