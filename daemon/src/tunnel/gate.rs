//! The gate in front of all sessions: an initiation costs a curve operation (100 µs) before one
//! knows whose it is, so what may cost that is bounded.
//!
//! The order, cheapest first: length and type, mac1, the cookie when there are many (all three
//! before this), then here: not the same again, a bucket per source, a budget for all. Nothing
//! here grows: a source that finds no room for a bucket is bounded by the budget alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Initiations looked into per second, from anywhere: 6 % of one core.
const BUDGET: u32 = 500;
/// Initiations per second from one source, as WireGuard has it (`PACKETS_PER_SECOND`,
/// drivers/net/wireguard/ratelimiter.c) ...
const PER_SECOND: u32 = 20;
/// ... and at once: all paths of a few sites behind one address.
const BURST: u32 = 40;
/// Sources remembered.
const SOURCES: usize = 1024;
/// Initiations remembered, to know one that comes again.
const REMEMBERED: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

/// What the gate has seen lately.
#[derive(Debug)]
pub struct Gate {
    seen: [u128; REMEMBERED],
    oldest: usize,
    buckets: BTreeMap<IpAddr, Bucket>,
    budget: Bucket,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    filled: Instant,
    tokens: u32,
}

impl Gate {
    pub fn new(now: Instant) -> Self {
        Self {
            seen: [0; REMEMBERED],
            oldest: 0,
            buckets: BTreeMap::new(),
            budget: Bucket::new(BUDGET, now),
        }
    }

    /// `initiation` may cost a curve operation.
    pub fn admits(&mut self, initiation: &[u8], source: IpAddr, now: Instant) -> bool {
        self.is_new(initiation) && self.bucket_allows(source, now) && self.budget.take(BUDGET, now)
    }

    /// By mac1, which is as good as a hash and has been verified.
    fn is_new(&mut self, initiation: &[u8]) -> bool {
        let Some(mac1) = initiation.get(116..).and_then(|rest| rest.first_chunk()) else {
            return false;
        };
        let mac1 = u128::from_le_bytes(*mac1);
        if self.seen.contains(&mac1) {
            return false;
        }
        if let Some(place) = self.seen.get_mut(self.oldest) {
            *place = mac1;
        }
        self.oldest = (self.oldest + 1) % REMEMBERED;
        true
    }

    fn bucket_allows(&mut self, source: IpAddr, now: Instant) -> bool {
        let source = subscriber(source);
        if let Some(bucket) = self.buckets.get_mut(&source) {
            return bucket.take_at(PER_SECOND, BURST, now);
        }
        if self.buckets.len() == SOURCES {
            // A bucket this old is full again: it says nothing.
            let full = SECOND * BURST / PER_SECOND;
            self.buckets
                .retain(|_, bucket| now.saturating_duration_since(bucket.filled) < full);
        }
        if self.buckets.len() < SOURCES {
            let mut bucket = Bucket::new(BURST, now);
            bucket.tokens -= 1;
            self.buckets.insert(source, bucket);
        }
        true
    }
}

impl Bucket {
    fn new(tokens: u32, now: Instant) -> Self {
        Self {
            filled: now,
            tokens,
        }
    }

    /// A bucket that holds what flows in during one second.
    fn take(&mut self, per_second: u32, now: Instant) -> bool {
        self.take_at(per_second, per_second, now)
    }

    fn take_at(&mut self, per_second: u32, most: u32, now: Instant) -> bool {
        let drop_time = SECOND / per_second;
        let elapsed = now.saturating_duration_since(self.filled);
        let drops = u32::try_from(elapsed.as_nanos() / drop_time.as_nanos()).unwrap_or(u32::MAX);
        if drops > 0 {
            self.tokens = self.tokens.saturating_add(drops).min(most);
            // What is left of a drop is kept, unless it ran over.
            self.filled = if self.tokens == most {
                now
            } else {
                self.filled + drop_time * drops
            };
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

/// Who has one IPv6 address has a whole /64.
fn subscriber(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th of many different initiations.
    fn initiation(n: u32) -> Vec<u8> {
        let mut bytes = vec![0; 148];
        bytes[116..120].copy_from_slice(&(n + 1).to_le_bytes());
        bytes
    }

    fn host(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn gate() -> (Gate, Instant) {
        let now = Instant::now();
        (Gate::new(now), now)
    }

    #[test]
    fn the_same_initiation_is_looked_into_once() {
        let (mut gate, now) = gate();
        assert!(gate.admits(&initiation(1), host(1), now));
        assert!(!gate.admits(&initiation(1), host(2), now));
        assert!(gate.admits(&initiation(2), host(2), now));
        assert!(!gate.admits(&[0; 100], host(3), now), "too short");
    }

    #[test]
    fn one_loud_source_does_not_keep_the_others_out() {
        let (mut gate, now) = gate();
        let loud = (0..10_000).filter(|n| gate.admits(&initiation(*n), host(1), now));
        assert_eq!(loud.count(), BURST as usize);
        assert!(gate.admits(&initiation(20_000), host(2), now));
        let later = now + SECOND;
        let loud = (30_000..40_000).filter(|n| gate.admits(&initiation(*n), host(1), later));
        assert_eq!(loud.count(), PER_SECOND as usize);
    }

    #[test]
    fn a_whole_v6_network_is_one_source() {
        let (mut gate, now) = gate();
        let address = |n: u32| IpAddr::V6((0x2001_0db8 << 96 | u128::from(n)).into());
        let loud = (0..1000).filter(|n| gate.admits(&initiation(*n), address(*n), now));
        assert_eq!(loud.count(), BURST as usize);
    }

    #[test]
    fn the_world_together_gets_the_budget_and_no_memory() {
        let (mut gate, now) = gate();
        let all = (0..100_000).filter(|n| gate.admits(&initiation(*n), host(*n), now));
        assert_eq!(all.count(), BUDGET as usize);
        assert!(gate.buckets.len() <= SOURCES);
        let later = now + SECOND * 10;
        assert!(gate.admits(&initiation(200_000), host(200_000), later));
        assert_eq!(gate.buckets.len(), 1, "old buckets make room");
    }

    #[test]
    fn a_peer_that_tries_every_five_seconds_is_always_let_in() {
        let (mut gate, now) = gate();
        for n in 0..1000 {
            let at = now + SECOND * 5 * n;
            for path in 0..9 {
                assert!(gate.admits(&initiation(n * 9 + path), host(1), at));
            }
        }
    }
}
