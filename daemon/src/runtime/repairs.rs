//! What other software undid, and we mended: counted, and not fought over. Who undoes the same
//! thing again and again is left alone for longer and longer, and named.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::control::Mended;
use crate::host::Object;

/// Changes in the kernel are awaited this long together before they are looked at.
const SETTLE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(60);
/// So many times within the window is a quarrel.
const QUARREL: usize = 10;
/// So many more double the wait.
const STEP: usize = 3;
/// So many different things are told of one kind.
const NOTED: usize = 6;

#[derive(Debug, Default)]
pub struct Repairs {
    totals: BTreeMap<Object, u64>,
    /// When each was mended last, and what was done.
    last: BTreeMap<Object, (Instant, Vec<String>)>,
    /// When a thing was mended lately; as many as are needed.
    lately: BTreeMap<Object, VecDeque<Instant>>,
}

impl Repairs {
    /// These were mended at once; what was done, in words.
    pub fn handle(&mut self, mended: impl Iterator<Item = (Object, String)>, now: Instant) {
        for (object, what) in mended {
            self.note(object, what, now);
            *self.totals.entry(object).or_default() += 1;
            let times = self.lately.entry(object).or_default();
            // Ten routes at once are one time.
            if times.back() != Some(&now) {
                times.push_back(now);
            }
            if times.len() > 2 * QUARREL + STEP * 8 {
                times.pop_front();
            }
        }
    }

    fn note(&mut self, object: Object, what: String, now: Instant) {
        let (at, done) = self.last.entry(object).or_insert((now, Vec::new()));
        *at = now;
        done.retain(|before| *before != what);
        done.push(what);
        if done.len() > NOTED {
            done.remove(0);
        }
    }

    /// How long changes are awaited before they are looked at.
    pub fn settle(&self, now: Instant) -> Duration {
        let most = self
            .lately
            .keys()
            .map(|object| self.times(*object, now))
            .max();
        let over = most.unwrap_or(0).saturating_sub(QUARREL);
        let doublings = u32::try_from(over.div_ceil(STEP)).unwrap_or(u32::MAX);
        SETTLE
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(LONGEST)
    }

    /// For the status: how often what was mended since the start.
    pub fn totals(&self) -> BTreeMap<String, u64> {
        let named = |(object, count): (&Object, &u64)| (object.to_string(), *count);
        self.totals.iter().map(named).collect()
    }

    /// The same, with what was done last.
    pub fn mended(&self, now: Instant) -> BTreeMap<String, Mended> {
        let told = |(object, (at, what)): (&Object, &(Instant, Vec<String>))| {
            let mended = Mended {
                count: self.totals.get(object).copied().unwrap_or(0),
                last_s: now.saturating_duration_since(*at).as_secs(),
                what: what.clone(),
                culprit: culprit(*object).to_owned(),
            };
            (object.to_string(), mended)
        };
        self.last.iter().map(told).collect()
    }

    /// The quarrels of now, with their likely culprit.
    pub fn warnings(&self, now: Instant) -> Vec<String> {
        let quarrels = self
            .lately
            .keys()
            .map(|object| (*object, self.times(*object, now)));
        quarrels
            .filter(|(_, times)| *times >= QUARREL)
            .map(|(object, times)| {
                let culprit = culprit(object);
                format!("our {object} was undone {times} times in the last minute: {culprit}")
            })
            .collect()
    }

    fn times(&self, object: Object, now: Instant) -> usize {
        let times = self.lately.get(&object).into_iter().flatten();
        times
            .filter(|at| now.saturating_duration_since(**at) < WINDOW)
            .count()
    }
}

/// Who does such a thing, and how it is told not to.
fn culprit(object: Object) -> &'static str {
    match object {
        Object::Rule | Object::Route => {
            "systemd-networkd removes what it did not make, unless \
             ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no are set in networkd.conf"
        }
        Object::Address | Object::Device => {
            "a network manager takes the device for its own: tell NetworkManager \
             unmanaged-devices=interface-name:pw-*, systemd-networkd Unmanaged=yes"
        }
        Object::Endpoint | Object::Limits => {
            "NetworkManager (connection.mptcp-flags) or mptcpd keeps MPTCP's endpoints: stop \
             mptcpd, set mptcp-flags=0x0"
        }
        Object::Guard => {
            "something runs `nft flush ruleset`: let the firewall service flush its own tables only"
        }
        Object::Sysctl => {
            "something sets it back: look for it in /etc/sysctl.d, tuned or a cron job"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the origin of a virtual clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn done(object: Object) -> (Object, String) {
        (object, format!("add {object}"))
    }

    #[test]
    fn what_is_undone_now_and_then_is_mended_at_once() {
        let (mut repairs, start) = (Repairs::default(), start());
        for minute in 0..100 {
            let now = start + Duration::from_secs(60 * minute);
            let mended = [Object::Route, Object::Route, Object::Rule];
            repairs.handle(mended.into_iter().map(done), now);
            assert_eq!(repairs.settle(now), SETTLE);
            assert!(repairs.warnings(now).is_empty());
        }
        let totals: Vec<_> = repairs.totals().into_iter().collect();
        assert_eq!(totals, [("route".into(), 200), ("rule".into(), 100)]);
        let later = start + Duration::from_secs(60 * 99 + 5);
        let route = repairs.mended(later).remove("route").unwrap();
        assert_eq!((route.count, route.last_s), (200, 5));
        assert_eq!(route.what, ["add route"]);
    }

    #[test]
    fn a_quarrel_slows_down_is_told_and_is_forgotten_when_it_ends() {
        let (mut repairs, mut now) = (Repairs::default(), start());
        let (mut mended, begun) = (0, now);
        // Somebody removes the rule as soon as it is there.
        while now < begun + Duration::from_secs(600) {
            now += repairs.settle(now);
            repairs.handle([Object::Rule].into_iter().map(done), now);
            mended += 1;
        }
        assert!(mended < 300, "{mended} times in ten minutes");
        assert!(repairs.settle(now) > SETTLE);
        let warnings = repairs.warnings(now);
        assert!(
            warnings[0].starts_with("our rule was undone"),
            "{warnings:?}"
        );
        assert!(warnings[0].contains("systemd-networkd"));
        let later = now + WINDOW;
        assert_eq!(repairs.settle(later), SETTLE);
        assert!(repairs.warnings(later).is_empty());
    }
}
