//! Walks through a world small enough to know what they must find.

use highwater_model::fault::Bug;

use super::*;
use crate::bounds::Bounds as _;
use crate::engine::tests::{Jugs, Pour, jugs};
use crate::engine::{PANIC, quietly};
use crate::replication;

fn walked(world: &Jugs, plan: Plan, threads: usize) -> Walked<Jugs> {
    walk(world, plan, Limits { threads, ..Limits::default() }, &mut |_| {})
}

fn plan(seed: u64, steps: u64) -> Plan {
    Plan { seed, steps: Some(steps), length_max: 50, ..Plan::default() }
}

/// Everything that a seed decides.
fn facts(walked: &Walked<Jugs>) -> String {
    let outcome = &walked.outcome;
    let found = match &outcome.verdict {
        Verdict::Violated(example) => format!("{:?} {:?}", example.broken, example.actions),
        Verdict::Holds | Verdict::OutOfBudget => format!("{:?}", outcome.verdict),
    };
    let Walked { walks, sighting, .. } = walked;
    format!("{found} {walks} {sighting:?} {} {:?} {:?}", outcome.generated, outcome.taken, outcome.seen)
}

#[test]
fn a_seed_stands_for_the_same_walks_on_any_number_of_threads() {
    for words in ["large=241 small=239", "forbidden=4", "large=24 small=23 forbidden=11"] {
        let world = jugs(words);
        let alone = facts(&walked(&world, plan(7, 3_000), 1));

        for threads in [1, 2, 4] {
            assert_eq!(facts(&walked(&world, plan(7, 3_000), threads)), alone, "{words}");
        }
        assert_ne!(facts(&walked(&world, plan(8, 3_000), 2)), alone, "{words}");
    }
}

#[test]
fn walks_that_break_nothing_take_all_their_steps_and_say_what_they_met() {
    let walked = walked(&jugs("large=7 small=3"), plan(1, 1_000), 2);

    assert!(matches!(walked.outcome.verdict, Verdict::Holds));
    assert_eq!(walked.outcome.generated, 1_000);
    assert_eq!(walked.walks, 20);
    assert_eq!(walked.outcome.depth, 50);
    assert_eq!(walked.outcome.taken.iter().sum::<u64>(), 1_000);
    assert_eq!(walked.outcome.seen, [true, true]);
}

#[test]
fn a_walk_that_breaks_a_claim_is_shortened_to_what_it_needs() {
    let walked = walked(&jugs("forbidden=4"), plan(1, 100_000), 2);

    let Verdict::Violated(example) = walked.outcome.verdict else { panic!("four litres are within reach") };
    assert_eq!(example.broken.claim, "jugs/forbidden_level_is_not_reached");
    // As few as the search finds; the walk itself may have been longer.
    assert_eq!(example.actions.len(), 6);
    assert_eq!(example.steps.len(), 6);
    let sighting = walked.sighting.expect("it was met somewhere");
    assert!(sighting.length >= 6 && sighting.steps >= u64::from(sighting.length));
}

#[test]
fn a_walk_is_taken_again_by_its_number() {
    let world = jugs("forbidden=4");
    let first = walked(&world, plan(3, 100_000), 2);
    let sighting = first.sighting.expect("four litres are within reach");
    let again = walked(&world, Plan { first: sighting.walk, ..plan(3, 1) }, 1);

    let found = again.sighting.expect("it is the same walk");
    assert_eq!((found.walk, found.length), (sighting.walk, sighting.length));
    assert_eq!(again.walks, 1);
}

#[test]
fn a_failed_assertion_on_a_walk_is_a_violation() {
    let walked = walked(&jugs("forbidden=254"), plan(1, 10_000), 1);

    let Verdict::Violated(example) = walked.outcome.verdict else { panic!("a jug is smashed") };
    assert_eq!(example.broken.claim, PANIC);
    assert_eq!(example.actions, [Pour::Smash]);
}

#[test]
fn what_a_walk_met_counts_though_one_before_it_was_given_up() {
    let (world, plan) = (jugs("forbidden=4"), plan(1, 100_000));
    let found = |number| {
        let stroll = Stroll { seed: plan.seed, number, length_max: plan.length_max };
        Walker::new(&world).walk(stroll, &|| false)
    };
    let number = (0..).find(|number| found(*number).broken.is_some()).expect("four litres are within reach");
    let shared = Shared::new(&world, plan);

    // Another thread took the number before it as the time ran out.
    shared.hand_in(number + 1, found(number));
    shared.late.store(true, Ordering::Relaxed);
    let walked = shared.walked(Stopwatch::start());

    assert!(matches!(walked.outcome.verdict, Verdict::Violated(_)));
    assert_eq!(walked.sighting.map(|sighting| sighting.walk), Some(number + 1));
}

#[test]
fn a_thread_that_panics_ends_the_others() {
    let world = jugs("");
    let (panics, ends) = (Shared::new(&world, plan(1, 1)), Shared::new(&world, plan(1, 1)));

    let died = quietly(|| {
        let _others = EndsWithMe(&panics.late);
        panic!("a broker has no name");
    });
    drop(EndsWithMe(&ends.late));

    assert!(died.is_err() && panics.late.into_inner() && !ends.late.into_inner());
}

#[test]
fn walks_without_time_say_that_they_were_cut_short() {
    let limits = Limits { timeout: Some(Duration::ZERO), threads: 1, ..Limits::default() };
    let world = jugs("large=241 small=239");
    let cut = walk(&world, plan(1, u64::MAX), limits, &mut |_| {});
    let timed = walk(&world, Plan { steps: None, ..plan(1, 0) }, limits, &mut |_| {});

    assert!(matches!(cut.outcome.verdict, Verdict::OutOfBudget));
    // Where the time is the plan, its end is no failure.
    assert!(matches!(timed.outcome.verdict, Verdict::Holds));
}

#[test]
fn walks_of_the_replication_world_find_planted_bugs_whatever_the_threads() {
    for bug in [Bug::AckAtLeaderAppend, Bug::ReadBeyondWatermark] {
        let bounds = replication::Bounds::default().read(["records=3", "elections=2", "kills=1", "flush=os"]);
        let world = replication::World::new(bounds.expect("bounds"), Some(bug));
        let found = |threads| {
            let limits = Limits { threads, ..Limits::default() };
            let walked = walk(&world, Plan { steps: Some(20_000), ..Plan::default() }, limits, &mut |_| {});
            let Verdict::Violated(example) = walked.outcome.verdict else { panic!("{} is met", bug.id()) };
            (walked.sighting, example.broken, example.actions)
        };

        assert_eq!(found(1), found(2), "{}", bug.id());
    }
}
