//! The checks: facts in, findings out. One file a subject.

mod connections;
mod daemon;
mod guard;
mod links;
mod machine;
mod offloads;
mod paths;
mod sizes;
mod undone;
mod versions;
mod windows;

use super::facts::Facts;
use super::finding::Finding;

pub(crate) type Check = fn(&Facts) -> Vec<Finding>;

/// In the order in which findings of one severity are told.
pub(crate) const ALL: [Check; 20] = [
    daemon::absent,
    daemon::elsewhere,
    machine::clock,
    guard::missing,
    guard::refused,
    links::filtered,
    links::routeless,
    paths::down,
    undone::by_others,
    undone::warnings,
    connections::plain,
    connections::joins,
    paths::lossy,
    links::shared,
    windows::small,
    sizes::swallowed,
    versions::skew,
    machine::old_kernel,
    machine::bottleneck,
    offloads::missing,
];
