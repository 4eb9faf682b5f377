//! A reduction that rests on a fence finds out when the fence is not there.

use super::super::Reductions;
use super::*;
use crate::replication::claims::name;

/// The first claim that breaks although what would be refused is left out, with a bug planted that heeds it.
fn broken_though_reduced(bug: Bug, line: &str) -> Option<&'static str> {
    let bounds = Bounds::default().read(line.split(' ')).expect("bounds");
    let mut world = World::new(bounds, Some(bug));
    world.reduce = Reductions::ALL;
    match search(&world, Limits::default(), &mut |_| {}).verdict {
        Verdict::Violated(example) => Some(example.broken.claim),
        Verdict::Holds | Verdict::OutOfBudget => None,
    }
}

#[test]
fn a_core_that_heeds_what_is_dropped_is_found() {
    for (bug, line) in [
        (Bug::UnfencedFetch, "brokers=2 elections=2 flush=os"),
        (Bug::StaleRequestProgress, "brokers=2 kills=1 flush=os"),
        (Bug::StaleResponse, "brokers=2 kills=1 flush=os"),
        (Bug::NoPartitionEpoch, "brokers=3 elections=1 shrinks=1 flush=os writes=at-once"),
    ] {
        assert_eq!(broken_though_reduced(bug, line), Some(name::DROPPED), "{bug:?}");
    }
}

#[test]
fn the_sound_core_refuses_what_is_dropped() {
    for line in ["brokers=2 elections=1 kills=1 flush=os writes=at-once", "brokers=2 kills=1 shrinks=1"] {
        assert!(matches!(searched(line, None).verdict, Verdict::Holds), "{line}");
    }
}
