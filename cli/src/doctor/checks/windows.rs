//! TCP's windows: what is under way on all paths together must fit, for as long as the slowest
//! one takes.

use pathweaved::control::{PathStatus, PeerStatus};

use super::super::facts::Facts;
use super::super::finding::{Finding, Severity};
use super::links::Troubled as _;
use super::machine::mbit;

/// A buffer holds twice the window: what waits to be read or sent again, and overhead
/// (tcp_adv_win_scale, net/ipv4/tcp_input.c).
const TWICE: u64 = 2;
/// The kernel's own bound: an int.
const LARGEST: u64 = 0x7fff_ffff;
/// The default beginning and middle of both sysctls, where they cannot be read.
const USUAL: [u64; 2] = [4096, 131_072];

/// Towards the peer and from it.
#[derive(Clone, Copy)]
struct Need {
    rate: u64,
    millis: f64,
    bytes: u64,
}

pub(crate) fn small(facts: &Facts) -> Vec<Finding> {
    if !facts.same_namespace() {
        return Vec::new();
    }
    let worst = facts.peers().filter_map(|peer| Some((peer, need(peer)?)));
    let Some((peer, need)) = worst.max_by_key(|(_, need)| need.bytes) else {
        return Vec::new();
    };
    let short = |name: &str| {
        let numbers = facts.numbers(name)?;
        (*numbers.last()? < need.bytes).then_some(numbers)
    };
    let names = ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];
    let short: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name, short(name)?)))
        .collect();
    if short.is_empty() {
        return Vec::new();
    }
    vec![of_need(facts, peer, need, &short)]
}

fn of_need(facts: &Facts, peer: &PeerStatus, need: Need, short: &[(&str, Vec<u64>)]) -> Finding {
    let most = need.bytes.next_power_of_two().min(LARGEST);
    let reason = format!(
        "The windows of TCP are too small for {}: its paths together carry {} with a round trip \
         of {:.0} ms, so {} must fit and {} do.",
        peer.site,
        mbit(need.rate),
        need.millis,
        megabytes(need.bytes),
        megabytes(
            short
                .iter()
                .filter_map(|(_, now)| now.last().copied())
                .min()
                .unwrap_or(0)
        )
    );
    let remedy = format!(
        "Raise them at both sites, in /etc/sysctl.d; in the worst case each subflow then takes {} \
         in each direction{}.",
        megabytes(most),
        together(facts, most)
    );
    let found = Finding::new(Severity::Degraded, "windows", reason, remedy);
    short.iter().fold(found, |found, (name, now)| {
        let number = |place: usize| now.get(place).copied().unwrap_or(USUAL[place]);
        let line = format!("{name} = {} {} {most}", number(0), number(1));
        let words: Vec<_> = now.iter().map(u64::to_string).collect();
        found.line(line).because(*name, words.join(" "))
    })
}

/// What all that are open now could take.
fn together(facts: &Facts, most: u64) -> String {
    let open: u32 = facts.paths().map(|(_, path)| path.subflows).sum();
    let memory = facts.machine.memory;
    if open == 0 || memory == 0 {
        return String::new();
    }
    format!(
        ", the {open} of now {} together of this machine's {}",
        megabytes(most * TWICE * u64::from(open)),
        megabytes(memory)
    )
}

/// Of the better known way: what the fleet file states, else the best second that was seen.
fn need(peer: &PeerStatus) -> Option<Need> {
    let up = || peer.paths.iter().filter(|path| path.trouble().is_none());
    let millis = up().filter_map(|path| path.rtt_ms).max_by(f64::total_cmp)?;
    let rate = |way: usize| up().map(|path| carries(path, way)).sum::<u64>();
    let rate = rate(0).max(rate(1));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate and a time of the real world"
    )]
    let bytes = (rate as f64 / 8.0 * millis / 1000.0) as u64 * TWICE;
    Some(Need {
        rate,
        millis,
        bytes,
    })
}

fn carries(path: &PathStatus, way: usize) -> u64 {
    let diagnosis = &path.diagnosis;
    diagnosis.stated[way].unwrap_or(diagnosis.peak[way])
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
