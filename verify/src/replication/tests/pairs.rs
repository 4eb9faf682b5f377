//! Which faults are searched together: what goes wrong by two of them shows at no bound that has one.

use crate::bounds::Bounds as _;
use crate::replication::World;
use crate::world::Checked as _;

/// Every kind of fault of this world.
const KINDS: [&str; 12] = [
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
    "restores",
];

/// What takes too long for every change: these are swept together in `standard`.
const LATER: [(&str, &str); 1] = [("configs", "restores")];

/// What a kind needs beside its own number, to strike at all.
fn needs(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        // A write that ends at once finds room.
        "full-disks" => &[("writes", "apart")],
        // It shows by what is there beside it.
        "deletes" => &[("records", "2")],
        "restores" => &[("flush", "os"), ("shutdowns", "1")],
        _ => &[],
    }
}

/// Whether a kind may strike at these bounds.
fn strikes(pairs: &[(&str, String)], kind: &str) -> bool {
    let is = |key: &str, value: &str| pairs.iter().any(|(k, v)| *k == key && v == value);
    // Only the disk of a broker that stopped under control is put back, once its session has ended or another one's.
    let ends = ["elections", "kills", "power-losses"].into_iter().any(|kind| !is(kind, "0"));
    // Only what is synced is deleted: under `flush=os` by a controlled stop.
    let synced = is("flush", "commit") || !is("shutdowns", "0");
    let stands = (kind != "restores" || ends) && (kind != "deletes" || synced);
    !is(kind, "0") && stands && needs(kind).iter().all(|(key, value)| is(key, value))
}

/// Pairs that are together in no bound of a profile.
fn apart(profile: &str) -> Vec<(&'static str, &'static str)> {
    let bounds: Vec<_> = World::profile(profile).iter().map(|bounds| bounds.pairs()).collect();
    let firsts = KINDS.iter().enumerate();
    let pairs = firsts.flat_map(|(at, one)| KINDS.iter().skip(at + 1).map(move |other| (*one, *other)));
    let swept =
        |(one, other): &(&str, &str)| bounds.iter().any(|pairs| strikes(pairs, one) && strikes(pairs, other));
    pairs.filter(|pair| !swept(pair)).collect()
}

#[test]
fn every_two_kinds_of_fault_are_swept_together_within_every_change() {
    let expected: Vec<_> = apart("quick").into_iter().filter(|pair| !LATER.contains(pair)).collect();

    assert_eq!(expected, []);
    assert_eq!(apart("standard"), []);
}
