//! Which faults are searched together: what goes wrong by two of them shows at no bound that has one.

use crate::bounds::Bounds as _;
use crate::replication::World;
use crate::world::Checked as _;

/// Every kind of fault of this world.
const KINDS: [&str; 11] = [
    "elections",
    "shrinks",
    "kills",
    "power-losses",
    "full-disks",
    "shutdowns",
    "timeouts",
    "retries",
    "deletes",
    "configs",
    "deposed",
];

/// What a kind needs beside its own number, to strike at all.
fn needs(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        // A write that ends at once finds room.
        "full-disks" => &[("writes", "apart")],
        // Only what is synced is deleted; and it shows by what is there beside it.
        "deletes" => &[("flush", "commit"), ("records", "2")],
        _ => &[],
    }
}

#[test]
fn every_two_kinds_of_fault_are_swept_together_within_every_change() {
    let bounds: Vec<_> = World::profile("quick").iter().map(|bounds| bounds.pairs()).collect();
    let strikes = |pairs: &[(&str, String)], kind: &str| {
        let is = |key: &str, value: &str| pairs.iter().any(|(k, v)| *k == key && v == value);
        !is(kind, "0") && needs(kind).iter().all(|(key, value)| is(key, value))
    };

    let mut apart = Vec::new();
    for (at, one) in KINDS.iter().enumerate() {
        for other in KINDS.iter().skip(at + 1) {
            if !bounds.iter().any(|pairs| strikes(pairs, one) && strikes(pairs, other)) {
                apart.push((*one, *other));
            }
        }
    }

    assert_eq!(apart, []);
}
