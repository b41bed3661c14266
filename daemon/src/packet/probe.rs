//! The in-tunnel probe: what two daemons say to each other inside a path's tunnel, and never
//! through the TUN. Its fields follow the BFD control packet (RFC 5880 section 4.1); WireGuard
//! authenticates it and keeps replays out.
//!
//! ```text
//!  IP header, protocol 253 (RFC 3692), A_k → P_k
//!  | version | state | path | flags |   1: answer fast, 2: held back
//!  | sequence                       |
//!  | interval, µs                   |   the sender's next probe comes no later
//!  | hold, µs                       |   how long the sender held the echoed stamp
//!  | stamp, µs              64 bits |   the sender's clock, any origin
//!  | echo, µs               64 bits |   the last stamp it had from us, 0 = none
//!  | loss | site path | down        |   of what it should have heard, 1/254; 255 = unknown
//!  | said at, ms                    |   the sender's clock: the newest word counts
//!  | version of the daemon  | 0     |   major, minor, patch
//! ```
//! The rows from `loss` on are the sender's word on *all* paths between the two sites. A body that
//! ends before them is an older sender's; what follows them is a newer one's, and is skipped.

use std::fmt;
use std::net::IpAddr;

use super::inner;

/// Protocol number for experiments (RFC 3692 section 2.1): no kernel answers to it.
pub const PROTOCOL: u8 = 253;
const VERSION: u8 = 1;
const LENGTH: usize = 44;
/// Where the word begins; an older sender's body ends here.
const WORD: usize = 32;
/// Where the daemon's version begins; a body of the first ones that had a word ends here.
const RELEASE: usize = 40;
const HURRY: u8 = 1;
const HELD: u8 = 2;
const UNKNOWN_LOSS: u8 = 255;

/// What the sender believes of the path (RFC 5880 section 4.1, Sta).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    AdminDown,
    Down,
    Init,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub state: ProbeState,
    pub path: u8,
    /// The sender wants to be probed at the pace of a busy path.
    pub hurry: bool,
    /// The sender would be ready, but does not take the path up yet.
    pub held: bool,
    /// Counts the sender's probes on this path.
    pub sequence: u32,
    /// The sender's next probe comes within so many microseconds.
    pub interval_us: u32,
    /// Microseconds between the arrival of the echoed stamp and this probe.
    pub hold_us: u32,
    /// The sender's clock in microseconds, never 0.
    pub stamp_us: u64,
    /// The last stamp received from the other end; 0 = none.
    pub echo_us: u64,
    /// Share of our probes that the sender missed, in 254ths.
    pub loss: Option<u8>,
    /// `None`: an older sender, who has no word to say.
    pub word: Option<Word>,
}

/// What the sender thinks of all the paths between the two sites, said on each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The sender's clock in milliseconds: words overtake each other on unequal paths.
    pub at_ms: u32,
    /// The path that carries the site addresses at the sender; 0 = none.
    pub site_path: u8,
    /// Bit k − 1: path k is down at the sender.
    pub down: u16,
    /// `None`: an older sender's, who does not say.
    pub release: Option<Release>,
}

/// The version of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release([u8; 3]);

impl Release {
    /// This daemon's.
    pub fn ours() -> Self {
        let number = |text: &str| text.parse().unwrap_or(u8::MAX);
        Self([
            number(env!("CARGO_PKG_VERSION_MAJOR")),
            number(env!("CARGO_PKG_VERSION_MINOR")),
            number(env!("CARGO_PKG_VERSION_PATCH")),
        ])
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Word {
    /// Marks path `number` as down. Numbers without a bit stay unsaid.
    pub fn set_down(&mut self, number: u8) {
        self.down |= Self::bit(number);
    }

    pub fn is_down(self, number: u8) -> bool {
        self.down & Self::bit(number) != 0
    }

    fn bit(number: u8) -> u16 {
        let place = u32::from(number).wrapping_sub(1);
        1_u16.checked_shl(place).unwrap_or(0)
    }
}

impl Probe {
    /// The whole inner packet. `None` if the addresses are of two families.
    pub fn to_packet(&self, source: IpAddr, destination: IpAddr) -> Option<Vec<u8>> {
        let mut body = Vec::with_capacity(LENGTH);
        let flags = if self.hurry { HURRY } else { 0 } | if self.held { HELD } else { 0 };
        body.extend([VERSION, state_code(self.state), self.path, flags]);
        body.extend(self.sequence.to_be_bytes());
        body.extend(self.interval_us.to_be_bytes());
        body.extend(self.hold_us.to_be_bytes());
        body.extend(self.stamp_us.to_be_bytes());
        body.extend(self.echo_us.to_be_bytes());
        if let Some(word) = self.word {
            body.extend([self.loss.unwrap_or(UNKNOWN_LOSS), word.site_path]);
            body.extend(word.down.to_be_bytes());
            body.extend(word.at_ms.to_be_bytes());
            if let Some(Release(release)) = word.release {
                body.extend(release);
                body.push(0);
            }
        }
        inner::packet(source, destination, PROTOCOL, &body)
    }

    /// `None` for anything that is not a probe of this version.
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        let (PROTOCOL, body) = inner::payload(packet)? else {
            return None;
        };
        let [VERSION, state, path, flags] = *body.first_chunk::<4>()? else {
            return None;
        };
        Some(Self {
            state: state_of(state)?,
            path,
            hurry: flags & HURRY != 0,
            held: flags & HELD != 0,
            sequence: u32::from_be_bytes(field(body, 4)?),
            interval_us: u32::from_be_bytes(field(body, 8)?),
            hold_us: u32::from_be_bytes(field(body, 12)?),
            stamp_us: u64::from_be_bytes(field(body, 16)?),
            echo_us: u64::from_be_bytes(field(body, 24)?),
            loss: body
                .get(WORD)
                .copied()
                .filter(|share| *share != UNKNOWN_LOSS && body.len() >= RELEASE),
            word: word(body),
        })
    }
}

fn word(body: &[u8]) -> Option<Word> {
    Some(Word {
        site_path: *body.get(WORD + 1)?,
        down: u16::from_be_bytes(field(body, WORD + 2)?),
        at_ms: u32::from_be_bytes(field(body, WORD + 4)?),
        release: field(body, RELEASE)
            .filter(|_| body.len() >= LENGTH)
            .map(Release),
    })
}

fn state_code(state: ProbeState) -> u8 {
    match state {
        ProbeState::AdminDown => 0,
        ProbeState::Down => 1,
        ProbeState::Init => 2,
        ProbeState::Up => 3,
    }
}

fn state_of(code: u8) -> Option<ProbeState> {
    match code {
        0 => Some(ProbeState::AdminDown),
        1 => Some(ProbeState::Down),
        2 => Some(ProbeState::Init),
        3 => Some(ProbeState::Up),
        _ => None,
    }
}

fn field<const N: usize>(body: &[u8], at: usize) -> Option<[u8; N]> {
    body.get(at..)?.first_chunk::<N>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> Probe {
        Probe {
            state: ProbeState::Init,
            path: 3,
            hurry: true,
            held: false,
            sequence: 7,
            interval_us: 400_000,
            hold_us: 12,
            stamp_us: 1,
            echo_us: u64::MAX,
            loss: Some(17),
            word: Some(Word {
                at_ms: 123_456,
                site_path: 2,
                down: 0b101,
                release: Some(Release([1, 20, 3])),
            }),
        }
    }

    fn packet(probe: &Probe) -> Vec<u8> {
        probe
            .to_packet("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
            .unwrap()
    }

    #[test]
    fn an_older_senders_probe_is_understood_and_a_newer_ones_too() {
        let old = Probe {
            loss: None,
            word: None,
            ..probe()
        };
        assert_eq!(packet(&old).len(), 20 + WORD, "as it always was");
        assert_eq!(Probe::from_packet(&packet(&old)), Some(old));
        let mut silent = probe();
        silent.word = silent.word.map(|word| Word {
            release: None,
            ..word
        });
        assert_eq!(Probe::from_packet(&packet(&silent)), Some(silent));
        let mut newer = packet(&probe());
        newer.extend([1, 2, 3]);
        assert_eq!(Probe::from_packet(&newer), Some(probe()));
    }

    #[test]
    fn a_word_names_each_path_by_a_bit_and_others_not_at_all() {
        let mut word = Word::default();
        [1, 9, 16, 17, 0, 255]
            .into_iter()
            .for_each(|number| word.set_down(number));
        let down: Vec<u8> = (0..=255).filter(|number| word.is_down(*number)).collect();
        assert_eq!(down, [1, 9, 16]);
    }

    #[test]
    fn a_probe_survives_the_way_through_the_tunnel_in_both_families() {
        for (a, b) in [("10.213.1.3", "10.213.2.3"), ("fd50::1", "fd50::2")] {
            let packet = probe()
                .to_packet(a.parse().unwrap(), b.parse().unwrap())
                .unwrap();
            assert_eq!(Probe::from_packet(&packet), Some(probe()), "{a}");
        }
    }

    #[test]
    fn a_cut_or_foreign_packet_is_no_probe() {
        let packet = packet(&probe());
        for length in 0..20 + WORD {
            let cut = Probe::from_packet(&packet[..length]);
            assert_eq!(cut, None, "{length} bytes");
        }
        for length in 20 + WORD..20 + RELEASE {
            let cut = Probe::from_packet(&packet[..length]);
            assert!(
                cut.is_some_and(|probe| probe.word.is_none()),
                "half a word is none: {length} bytes"
            );
        }
        for length in 20 + RELEASE..packet.len() {
            let word = Probe::from_packet(&packet[..length]).and_then(|probe| probe.word);
            assert!(
                word.is_some_and(|word| word.release.is_none()),
                "half a version is none: {length} bytes"
            );
        }
        let mut foreign = packet;
        foreign[9] = 17;
        assert_eq!(Probe::from_packet(&foreign), None);
    }
}
