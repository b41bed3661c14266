//! What rose lately: the kernel's counters tell what happened since the machine was started, and
//! nobody is helped by last month's trouble. And the most that each path carried. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::names::PathId;

const WINDOW: Duration = Duration::from_secs(600);
/// The counters are looked at this often.
const LOOK: Duration = Duration::from_secs(60);

pub type Counters = BTreeMap<String, u64>;

/// Counters of a while ago; as many looks as the window has.
#[derive(Debug, Default)]
pub struct Lately(VecDeque<(Instant, Counters)>);

impl Lately {
    pub fn wants_look(&self, now: Instant) -> bool {
        let last = self.0.back();
        last.is_none_or(|(at, _)| now.saturating_duration_since(*at) >= LOOK)
    }

    pub fn handle_look(&mut self, counters: Counters, now: Instant) {
        self.0.push_back((now, counters));
        let old = |(at, _): &(Instant, Counters)| now.saturating_duration_since(*at) >= WINDOW;
        // The newest of the old ones is what the window begins with.
        while self.0.get(1).is_some_and(old) {
            self.0.pop_front();
        }
    }

    /// By how much the counters of now are higher than at the window's begin.
    pub fn rose(&self, counters: Counters) -> Counters {
        let Some((_, before)) = self.0.front() else {
            return Counters::new();
        };
        let rise = |(name, count): (String, u64)| {
            let rise = count.saturating_sub(before.get(&name).copied().unwrap_or(0));
            (rise > 0).then_some((name, rise))
        };
        counters.into_iter().filter_map(rise).collect()
    }
}

/// The best second of each path, in bit/s out and in.
#[derive(Debug, Default)]
pub struct Peaks {
    since: Option<Instant>,
    before: BTreeMap<PathId, [u64; 2]>,
    peaks: BTreeMap<PathId, [u64; 2]>,
}

impl Peaks {
    /// About once a second: bytes that each path has carried so far, out and in.
    pub fn handle_look(&mut self, bytes: BTreeMap<PathId, [u64; 2]>, now: Instant) {
        let since = self.since.replace(now);
        let millis = since.map_or(0, |since| now.saturating_duration_since(since).as_millis());
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        for (path, carried) in bytes.iter().filter(|_| millis > 0) {
            let Some(before) = self.before.get(path) else {
                continue;
            };
            let peak = self.peaks.entry(*path).or_default();
            for way in 0..2 {
                let rate = carried[way].saturating_sub(before[way]) * 8000 / millis;
                peak[way] = peak[way].max(rate);
            }
        }
        self.peaks.retain(|path, _| bytes.contains_key(path));
        self.before = bytes;
    }

    pub fn of(&self, path: PathId) -> [u64; 2] {
        self.peaks.get(&path).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{PathNumber, SiteId};

    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn counters(count: u64) -> Counters {
        [("MPJoinRejected".to_owned(), count)].into()
    }

    #[test]
    fn what_rose_in_the_last_ten_minutes_is_told_and_then_forgotten() {
        let (mut lately, start) = (Lately::default(), start());
        let after = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for minute in 0..100 {
            assert!(lately.wants_look(after(minute)));
            // Three happen in the fifth minute.
            let count = if minute < 5 { 7 } else { 10 };
            lately.handle_look(counters(count), after(minute));
            let rose = lately.rose(counters(count));
            let expected = if (5..15).contains(&minute) { 3 } else { 0 };
            let told = rose.get("MPJoinRejected").copied().unwrap_or(0);
            assert_eq!(told, expected, "minute {minute}");
            assert!(lately.0.len() <= 12);
        }
        assert!(!lately.wants_look(after(99) + Duration::from_secs(59)));
        assert!(lately.rose(counters(1)).is_empty(), "counted anew");
    }

    #[test]
    fn the_best_second_of_a_path_is_kept_until_the_path_goes() {
        let (mut peaks, start) = (Peaks::default(), start());
        let path = PathId {
            peer: SiteId::new(2).unwrap(),
            number: PathNumber::FIRST,
        };
        for (second, bytes) in [(0, 0), (1, 1_000_000), (2, 1_500_000), (3, 1_500_000)] {
            let now = start + Duration::from_secs(second);
            peaks.handle_look([(path, [bytes, bytes / 2])].into(), now);
        }
        assert_eq!(peaks.of(path), [8_000_000, 4_000_000]);
        peaks.handle_look(BTreeMap::new(), start + Duration::from_secs(4));
        assert_eq!(peaks.of(path), [0, 0]);
    }
}
