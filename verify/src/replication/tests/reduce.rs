//! Each reduction can be taken back, and neither a verdict nor a bug that is caught depends on it.

use super::*;
use crate::replication::Reductions;

const EACH: [&str; 8] = ["dead", "told", "views", "waits", "past", "syncs", "parked", "proposals"];

#[test]
fn no_reduction_hides_what_can_be_seen_from_outside() {
    for line in [
        "brokers=2 elections=1 flush=os in-flight=1",
        "brokers=2 kills=1 flush=os in-flight=1",
        "brokers=2 elections=1 shrinks=1 flush=os writes=at-once in-flight=1",
        "brokers=2 elections=1 deletes=1 min-isr=1 writes=at-once in-flight=1",
    ] {
        let reduced = outside(line);
        assert!(reduced.len() > 10, "{line}");
        for one in EACH {
            assert_eq!(reduced, outside(&format!("{line} reduce=-{one}")), "{line} without {one}");
        }
        assert_eq!(reduced, outside(&format!("{line} reduce=none symmetry=false")), "{line} with none");
    }
}

#[test]
fn each_reduction_saves_states() {
    let saves = |line: &str, one: &str| {
        let [all, others] = ["all".to_owned(), format!("-{one}")]
            .map(|reduce| searched(&format!("{line} reduce={reduce}"), None).unique);
        assert!(others > all, "{one}: {others} states without it, {all} with it");
    };
    for one in EACH.into_iter().filter(|one| *one != "syncs") {
        saves("brokers=2 elections=1 shrinks=1 flush=os writes=at-once", one);
    }
    saves("brokers=3 elections=1 writes=at-once", "syncs");
}

/// Every choice of those that are made where a bug is planted.
fn ways() -> impl Iterator<Item = (Reductions, bool)> {
    let reduced = ["none", "views", "parked", "views+parked"].map(|names| names.parse().expect("reductions"));
    reduced.into_iter().flat_map(|reduce| [(reduce, false), (reduce, true)])
}

/// With a planted bug three reductions are made, and all others are taken back. Each of these by itself, any two, all, and none; that
/// followers swap names makes a difference to the one bug of three brokers alone.
#[test]
fn bugs_are_caught_with_any_of_their_reductions_taken_back() {
    let quick = ["B-06", "B-07", "B-08", "B-12", "B-13", "B-16", "B-22", "B-50a", "B-51", "B-52", "P-01"];
    let mut caught = BTreeSet::new();
    for mutant in World::mutants().into_iter().filter(|mutant| quick.contains(&mutant.bug.id())) {
        for (reduce, symmetry) in ways() {
            let bounds = Bounds { reduce, symmetry, ..mutant.bounds.clone() };
            let outcome = search(&World::new(bounds, Some(mutant.bug)), Limits::default(), &mut |_| {});

            let (id, with) = (mutant.bug.id(), format!("reduce={reduce} symmetry={symmetry}"));
            let Verdict::Violated(example) = outcome.verdict else {
                panic!("{id} is not found with {with}: {outcome:?}")
            };
            assert!(mutant.breaks.contains(&example.broken.claim), "{id} with {with}: {:?}", example.broken);
            caught.insert((id, with));
        }
    }
    assert_eq!(caught.len(), 8 * quick.len(), "each in eight ways: {caught:?}");
}

#[test]
fn heartbeats_in_turn_show_less_but_nothing_new_and_hide_no_bug_of_fenced_brokers() {
    for line in [
        "brokers=2 elections=1 flush=os in-flight=1",
        "brokers=2 elections=1 shrinks=1 flush=os writes=at-once in-flight=1",
    ] {
        let (apart, in_turn) = (outside(line), outside(&format!("{line} heartbeats=in-turn")));
        assert!(in_turn.len() > 10 && in_turn.is_subset(&apart), "{line}");
    }
    for bug in [Bug::FencedReadmitted, Bug::UnnoticedBounce, Bug::DeadCandidate, Bug::NoEligibleLeaders] {
        let of_bug = World::mutants().into_iter().find(|mutant| mutant.bug == bug).expect("a planted bug");
        let bounds = Bounds { heartbeats: super::super::Heartbeats::InTurn, ..of_bug.bounds };
        let outcome = search(&World::new(bounds, Some(bug)), Limits::default(), &mut |_| {});

        assert!(matches!(outcome.verdict, Verdict::Violated(_)), "{bug:?}: {outcome:?}");
    }
}
