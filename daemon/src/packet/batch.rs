//! The two forms in which packets travel, each allocated once: [`Plain`] holds inner packets in
//! slots of their own, [`Row`] holds packets end to end: sealed ones as UDP segmentation offload
//! wants them, opened ones on their way to [`super::coalesce`].

use super::ecn::Ecn;

/// The largest IP packet.
pub const LARGEST_PACKET: usize = 65_535;

/// Inner packets, one slot each.
#[derive(Debug)]
pub struct Plain {
    slots: Vec<Box<[u8]>>,
    /// Length of the packet in each slot.
    lengths: Vec<usize>,
    count: usize,
}

impl Plain {
    /// `slots` packets of `length` bytes at most.
    pub fn new(slots: usize, length: usize) -> Self {
        Self {
            slots: vec![vec![0; length].into_boxed_slice(); slots],
            lengths: vec![0; slots],
            count: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// `more` packets still fit.
    pub fn has_room(&self, more: usize) -> bool {
        self.count + more <= self.slots.len()
    }

    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The slots that are free, and where the lengths of their packets are to be put.
    pub fn spare(&mut self) -> (&mut [Box<[u8]>], &mut [usize]) {
        (
            self.slots.get_mut(self.count..).unwrap_or_default(),
            self.lengths.get_mut(self.count..).unwrap_or_default(),
        )
    }

    /// Takes the first `count` of [`Plain::spare`].
    pub fn commit(&mut self, count: usize) {
        self.count = (self.count + count).min(self.slots.len());
    }

    /// Each packet's slot, and its length there.
    pub fn packets_mut(&mut self) -> impl Iterator<Item = (&mut [u8], usize)> {
        let slots = self.slots.iter_mut().map(AsMut::as_mut);
        slots.zip(self.lengths.iter().copied()).take(self.count)
    }
}

/// Packets laid end to end.
#[derive(Debug)]
pub struct Row {
    bytes: Box<[u8]>,
    packets: Vec<Place>,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    end: usize,
    mark: Ecn,
}

impl Row {
    /// For `most` packets that are `bytes` together.
    pub fn new(most: usize, bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            packets: Vec::with_capacity(most),
            most,
        }
    }

    pub fn is_full(&self) -> bool {
        self.packets.len() == self.most
    }

    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    pub fn clear(&mut self) {
        self.packets.clear();
    }

    /// Where the next packet goes; empty when the batch is full.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.is_full() {
            return &mut [];
        }
        let used = self.used();
        self.bytes.get_mut(used..).unwrap_or_default()
    }

    /// Takes the first `length` bytes of [`Row::spare`] as a packet. `mark`: what its IP header
    /// will say of congestion, if it is a datagram.
    pub fn commit(&mut self, length: usize, mark: Ecn) {
        let end = (self.used() + length).min(self.bytes.len());
        self.packets.push(Place { end, mark });
    }

    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let ends = || self.packets.iter().map(|place| place.end);
        let places = std::iter::once(0).chain(ends()).zip(ends());
        places.filter_map(|(start, end)| self.bytes.get(start..end))
    }

    /// The datagrams from `first` on that make one send: all of the same length, but the last may
    /// be shorter, and of one mark; at most `segments` of them and `bytes` in all. `None` after
    /// the last.
    pub fn run(&self, first: usize, segments: usize, bytes: usize) -> Option<Run<'_>> {
        let start = self.start(first)?;
        let Place { end, mark } = *self.packets.get(first)?;
        let size = end - start;
        let (mut end, mut last, mut next) = (start, size, first);
        while let Some(place) = self.packets.get(next) {
            let length = place.end - end;
            let fits = length <= size && end - start + length <= bytes && place.mark == mark;
            if next > first && (last < size || !fits || next - first >= segments) {
                break;
            }
            (end, last, next) = (place.end, length, next + 1);
        }
        Some(Run {
            bytes: self.bytes.get(start..end)?,
            size,
            count: next - first,
            mark,
        })
    }

    fn used(&self) -> usize {
        self.packets.last().map_or(0, |place| place.end)
    }

    fn start(&self, index: usize) -> Option<usize> {
        match index.checked_sub(1) {
            None => Some(0),
            Some(before) => self.packets.get(before).map(|place| place.end),
        }
    }
}

/// Datagrams for one send with segmentation offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    pub bytes: &'a [u8],
    /// Length of every datagram but the last.
    pub size: usize,
    pub count: usize,
    pub mark: Ecn,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs_of(lengths: &[usize]) -> Vec<(usize, usize, usize)> {
        let mut sealed = Row::new(16, 1600);
        for length in lengths {
            assert!(sealed.spare().len() >= *length);
            sealed.commit(*length, Ecn::NotEct);
        }
        let mut next = 0;
        std::iter::from_fn(|| {
            let run = sealed.run(next, 4, 250)?;
            next += run.count;
            Some((run.bytes.len(), run.size, run.count))
        })
        .collect()
    }

    #[test]
    fn equal_datagrams_share_a_send_and_a_shorter_one_ends_it() {
        assert_eq!(runs_of(&[50, 50, 20, 50]), [(120, 50, 3), (50, 50, 1)]);
    }

    #[test]
    fn a_longer_datagram_and_both_limits_start_a_new_send() {
        assert_eq!(runs_of(&[20, 50]), [(20, 20, 1), (50, 50, 1)]);
        assert_eq!(runs_of(&[10; 6]), [(40, 10, 4), (20, 10, 2)]);
        assert_eq!(runs_of(&[100; 3]), [(200, 100, 2), (100, 100, 1)]);
        assert_eq!(runs_of(&[]), []);
    }

    #[test]
    fn datagrams_of_different_marks_travel_apart() {
        let mut sealed = Row::new(4, 400);
        for mark in [Ecn::Ect0, Ecn::Ect0, Ecn::Ce, Ecn::Ect0] {
            sealed.commit(50, mark);
        }
        let marks = [0, 2, 3].map(|first| {
            let run = sealed.run(first, 64, 1000).unwrap();
            (run.count, run.mark)
        });
        assert_eq!(marks, [(2, Ecn::Ect0), (1, Ecn::Ce), (1, Ecn::Ect0)]);
    }

    #[test]
    fn a_full_batch_takes_no_more() {
        let mut plain = Plain::new(1, 100);
        plain.spare().1[0] = 3;
        plain.commit(1);
        assert!(plain.spare().0.is_empty() && !plain.has_room(1));
        assert_eq!(
            plain.packets_mut().map(|(_, length)| length).sum::<usize>(),
            3
        );
        let mut sealed = Row::new(1, 100);
        sealed.commit(10, Ecn::NotEct);
        assert!(sealed.is_full() && sealed.spare().is_empty());
        assert_eq!(sealed.packets().map(<[u8]>::len).sum::<usize>(), 10);
    }
}
