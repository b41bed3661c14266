//! Which columns find room. The important ones come first; of a narrow terminal the others are
//! left out.

/// What a column holds: of the same order in every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Peer,
    Number,
    State,
    Link,
    Sent,
    Received,
    RoundTrip,
    Loss,
    Losses,
    Share,
    Mtu,
    Subflows,
    Why,
}

impl Column {
    /// From left to right.
    pub(super) const ALL: [Self; 13] = [
        Self::Peer,
        Self::Number,
        Self::State,
        Self::Link,
        Self::Sent,
        Self::Received,
        Self::RoundTrip,
        Self::Loss,
        Self::Losses,
        Self::Share,
        Self::Mtu,
        Self::Subflows,
        Self::Why,
    ];

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Number => "path",
            Self::State => "state",
            Self::Link => "link",
            Self::Sent => "sent",
            Self::Received => "received",
            Self::RoundTrip => "rtt",
            Self::Loss => "loss",
            Self::Losses => "loss lately",
            Self::Share => "share",
            Self::Mtu => "mtu",
            Self::Subflows => "subflows",
            Self::Why => "why",
        }
    }

    pub(super) fn is_number(self) -> bool {
        match self {
            Self::Number
            | Self::Sent
            | Self::Received
            | Self::RoundTrip
            | Self::Loss
            | Self::Mtu
            | Self::Subflows => true,
            Self::Peer | Self::State | Self::Link | Self::Losses | Self::Share | Self::Why => false,
        }
    }

    /// 0 is the most important.
    fn rank(self) -> u8 {
        match self {
            Self::Peer => 0,
            Self::Number => 1,
            Self::State => 2,
            Self::Sent => 3,
            Self::Received => 4,
            Self::RoundTrip => 5,
            Self::Loss => 6,
            Self::Losses => 7,
            Self::Link => 8,
            Self::Share => 9,
            Self::Why => 10,
            Self::Subflows => 11,
            Self::Mtu => 12,
        }
    }

    /// The least and the most that it makes use of, where its content is not what decides.
    fn stretches(self) -> Option<(usize, usize)> {
        match self {
            Self::Losses => Some((11, super::history::LONGEST)),
            Self::Share => Some((11, 25)),
            Self::Why => Some((20, usize::MAX)),
            Self::Peer
            | Self::Number
            | Self::State
            | Self::Link
            | Self::Sent
            | Self::Received
            | Self::RoundTrip
            | Self::Loss
            | Self::Mtu
            | Self::Subflows => None,
        }
    }
}

/// The columns that fit beside each other, two blanks between, with their widths. `natural`: how
/// wide its content is; a column without content is left out.
pub(super) fn fit(width: usize, natural: impl Fn(Column) -> usize) -> Vec<(Column, usize)> {
    const GAP: usize = 2;
    let least = |column: Column| {
        let content = natural(column).max(column.heading().len());
        column.stretches().map_or(content, |(least, _)| least)
    };
    let mut ranked: Vec<_> = Column::ALL
        .into_iter()
        .filter(|column| natural(*column) > 0)
        .collect();
    ranked.sort_by_key(|column| column.rank());
    let mut used = 0;
    ranked.retain(|column| {
        let more = least(*column) + if used == 0 { 0 } else { GAP };
        let fits = used + more <= width;
        used += if fits { more } else { 0 };
        fits
    });
    let mut room = width.saturating_sub(used);
    let shown = Column::ALL.into_iter().filter(|one| ranked.contains(one));
    let mut shown: Vec<_> = shown.map(|column| (column, least(column))).collect();
    // A reason is as long as it is, and comes first; the others share what is left.
    let reason_first = |(column, _): &&mut (Column, usize)| *column != Column::Why;
    let mut stretched: Vec<_> = shown.iter_mut().collect();
    stretched.sort_by_key(reason_first);
    for (column, width) in stretched {
        let Some((least, most)) = column.stretches() else {
            continue;
        };
        let wanted = natural(*column).min(most);
        let more = wanted.saturating_sub(least).min(room);
        *width += more;
        room -= more;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(width: usize) -> String {
        let natural = |column| if column == Column::Why { 0 } else { 10 };
        let fitted = fit(width, natural);
        let total: usize = fitted.iter().map(|(_, width)| width + 2).sum();
        assert!(total <= width + 2, "{total} of {width}");
        let words: Vec<_> = fitted.iter().map(|(one, _)| one.heading()).collect();
        words.join(" ")
    }

    #[test]
    fn a_narrow_terminal_leaves_out_what_matters_least() {
        assert_eq!(headings(40), "peer path state");
        assert_eq!(headings(80), "peer path state sent received rtt");
        assert_eq!(
            headings(200),
            "peer path state link sent received rtt loss loss lately share mtu subflows"
        );
    }
}
