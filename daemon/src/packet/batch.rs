//! The two forms in which packets travel, each allocated once: [`Plain`] holds inner packets in
//! slots of their own, [`Row`] holds packets end to end: sealed ones as UDP segmentation offload
//! wants them, opened ones on their way to [`super::coalesce`].

/// The largest IP packet.
pub const LARGEST_PACKET: usize = 65_535;

/// Inner packets, one slot each.
#[derive(Debug)]
pub struct Plain {
    slots: Vec<Vec<u8>>,
    count: usize,
}

impl Plain {
    /// `slots` packets, usually of `length` bytes at most.
    pub fn new(slots: usize, length: usize) -> Self {
        Self {
            slots: vec![Vec::with_capacity(length); slots],
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

    /// Adds a packet. `false` when the batch is full.
    pub fn push(&mut self, packet: &[u8]) -> bool {
        let Some(slot) = self.slots.get_mut(self.count) else {
            return false;
        };
        slot.clear();
        slot.extend_from_slice(packet);
        self.count += 1;
        true
    }

    pub fn packets_mut(&mut self) -> &mut [Vec<u8>] {
        self.slots.get_mut(..self.count).unwrap_or_default()
    }
}

/// Packets laid end to end.
#[derive(Debug)]
pub struct Row {
    bytes: Box<[u8]>,
    /// Where each packet ends.
    ends: Vec<usize>,
    most: usize,
}

impl Row {
    /// For `most` packets that are `bytes` together.
    pub fn new(most: usize, bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            ends: Vec::with_capacity(most),
            most,
        }
    }

    pub fn is_full(&self) -> bool {
        self.ends.len() == self.most
    }

    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let places = starts.zip(&self.ends);
        places.filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn clear(&mut self) {
        self.ends.clear();
    }

    /// Where the next packet goes; empty when the batch is full.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.is_full() {
            return &mut [];
        }
        let used = self.ends.last().copied().unwrap_or(0);
        self.bytes.get_mut(used..).unwrap_or_default()
    }

    /// Takes the first `length` bytes of [`Row::spare`] as a packet.
    pub fn commit(&mut self, length: usize) {
        let used = self.ends.last().copied().unwrap_or(0);
        self.ends.push((used + length).min(self.bytes.len()));
    }

    /// The datagrams from `first` on that make one send: all of the same length, but the last may
    /// be shorter; at most `segments` of them and `bytes` in all. `None` after the last.
    pub fn run(&self, first: usize, segments: usize, bytes: usize) -> Option<Run<'_>> {
        let start = self.start(first)?;
        let size = self.ends.get(first)? - start;
        let (mut end, mut last, mut next) = (start, size, first);
        while let Some(length) = self.ends.get(next).map(|stop| stop - end) {
            let fits = length <= size && end - start + length <= bytes;
            if next > first && (last < size || !fits || next - first >= segments) {
                break;
            }
            (end, last, next) = (end + length, length, next + 1);
        }
        Some(Run {
            bytes: self.bytes.get(start..end)?,
            size,
            count: next - first,
        })
    }

    fn start(&self, index: usize) -> Option<usize> {
        match index.checked_sub(1) {
            None => Some(0),
            Some(before) => self.ends.get(before).copied(),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs_of(lengths: &[usize]) -> Vec<(usize, usize, usize)> {
        let mut sealed = Row::new(16, 1600);
        for length in lengths {
            assert!(sealed.spare().len() >= *length);
            sealed.commit(*length);
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
    fn a_full_batch_takes_no_more() {
        let mut plain = Plain::new(1, 100);
        assert!(plain.push(b"one") && !plain.push(b"two"));
        assert_eq!(plain.packets_mut().len(), 1);
        let mut sealed = Row::new(1, 100);
        sealed.commit(10);
        assert!(sealed.is_full() && sealed.spare().is_empty());
        assert_eq!(sealed.packets().map(<[u8]>::len).collect::<Vec<_>>(), [10]);
    }
}
