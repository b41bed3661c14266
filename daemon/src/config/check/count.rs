//! How many paths two sites have.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::config::checked::SiteKind;
use crate::config::problem::Problem;
use crate::config::view::default_paths;
use crate::names::PathNumber;

use super::{pairing, site};

/// The kernel gives a connection 8 extra subflows at most. Each place is blamed once, whatever
/// the number of sites that it would have too many paths to.
pub(super) fn check(
    sites: &[site::Draft<'_>],
    pairings: &[pairing::Draft],
    problems: &mut Vec<Problem>,
) {
    let mut explicit: BTreeMap<(usize, usize), Vec<&pairing::Draft>> = BTreeMap::new();
    for draft in pairings {
        explicit.entry(draft.sites()).or_default().push(draft);
    }
    let mut blamed = BTreeSet::new();
    for (at, a) in sites.iter().enumerate() {
        for (other, b) in sites.iter().enumerate().skip(at + 1) {
            let found = match explicit.get(&(at, other)) {
                Some(drafts) => too_many_entries(drafts),
                None => too_many_links(a, b),
            };
            let Some((count, place, remedy)) = found else {
                continue;
            };
            if blamed.insert(place.start) {
                let (a, b) = (a.text.escape_debug(), b.text.escape_debug());
                let what = format!("{a} and {b} would have {count} paths");
                problems.push(Problem::new(place, what, remedy));
            }
        }
    }
}

/// Number, the place of the first that is too many, and the remedy.
type TooMany = (usize, Range<usize>, String);

fn too_many_entries(drafts: &[&pairing::Draft]) -> Option<TooMany> {
    let tenth = drafts.get(usize::from(PathNumber::MAX))?;
    let most = PathNumber::MAX;
    let remedy = format!("the kernel takes {most} paths between two sites: keep the best ones");
    Some((drafts.len(), tenth.place.clone(), remedy))
}

fn too_many_links(a: &site::Draft<'_>, b: &site::Draft<'_>) -> Option<TooMany> {
    let count = default_paths((a.kind?, a.links.len()), (b.kind?, b.links.len()));
    if count <= usize::from(PathNumber::MAX) {
        return None;
    }
    let by_b = a.kind != Some(SiteKind::WireGuard) && b.links.len() == count;
    let larger = if by_b { b } else { a };
    let tenth = larger.links.get(usize::from(PathNumber::MAX))?;
    let most = PathNumber::MAX;
    let remedy = format!(
        "the kernel takes {most} paths between two sites: name the best ones with [[path]]"
    );
    Some((count, tenth.place.clone(), remedy))
}
