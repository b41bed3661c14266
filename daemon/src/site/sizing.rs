//! What a path carries, as the site sees it: asks the far end about sizes, and answers when it
//! asks. Which sizes is [`crate::mtu`]'s business.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::SiteKind;
use crate::mtu::{MtuSearch, Verdict};
use crate::packet::echo;
use crate::packet::size::Size;

/// Answers that wait to be sent; the far end asks again for what was not answered.
const ANSWERS: usize = 16;

#[derive(Debug)]
pub(super) struct Sizing {
    kind: SiteKind,
    /// Our address on the path and the far end's, if there are such.
    ends: Option<(IpAddr, IpAddr)>,
    search: MtuSearch,
    answers: VecDeque<u16>,
}

impl Sizing {
    pub(super) fn new(kind: SiteKind, ends: Option<(IpAddr, IpAddr)>, most: u16) -> Self {
        Self {
            kind,
            ends,
            search: MtuSearch::new(most),
            answers: VecDeque::new(),
        }
    }

    /// The path is up in its health's eyes, or is not; its round trip; whether it carries data.
    pub(super) fn handle_health(
        &mut self,
        up: bool,
        round_trip: Option<Duration>,
        busy: bool,
        now: Instant,
    ) {
        self.search.handle_traffic(round_trip, busy, now);
        if up {
            self.search.handle_up(now);
        } else {
            self.search.handle_down();
        }
    }

    /// `false`: the packet is not about sizes.
    pub(super) fn handle_control(&mut self, packet: &[u8], now: Instant) -> bool {
        let said = match self.kind {
            SiteKind::Pathweave => Size::from_packet(packet),
            SiteKind::WireGuard => echo::size_of_reply(packet).map(Size::Came),
        };
        match said {
            Some(Size::Came(size)) => self.search.handle_answer(size, now),
            Some(Size::Asked(size)) if self.answers.len() < ANSWERS => self.answers.push_back(size),
            Some(Size::Asked(_)) => {}
            None => return false,
        }
        true
    }

    /// The next packet to send, an answer or a probe.
    pub(super) fn poll_packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (source, destination) = self.ends?;
        if let Some(size) = self.answers.pop_front() {
            return Size::Came(size).to_packet(source, destination);
        }
        let size = self.search.poll_probe(now)?;
        match self.kind {
            SiteKind::Pathweave => Size::Asked(size).to_packet(source, destination),
            SiteKind::WireGuard => echo::request_of_size(source, destination, size),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.search.poll_timeout()
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.search.verdict()
    }
}
