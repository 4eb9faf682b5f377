//! What the metadata world leaves out makes no difference, and what it takes from disks is what they may lose.

use std::collections::{BTreeMap, BTreeSet};

use highwater_model::id::{NodeId, RequestId};
use highwater_model::metadata::{LifecycleInput, LifecycleRefusal};
use stateright::{Checker as _, Model as _};

use super::state::{Broker, Envelope, Origin, Spent};
use super::step::{Driver, incarnation, tenure};
use super::{Bounds, State, World, tidy};
use crate::bounds::Bounds as _;
use crate::engine::{Encoder, Limits, Verdict, search};
use crate::world::{Checked as _, Notes};

/// Bounds where answers come too late: to a run that has ended, or that has asked again.
const LATE: [&str; 5] = [
    "brokers=1 min-isr=1 kills=2 in-flight=1",
    "brokers=1 min-isr=1 kills=1 fences=1",
    "brokers=1 min-isr=1 kills=1 failovers=1",
    "brokers=2 kills=1 lag=0",
    "brokers=1 min-isr=1 kills=1 losses=1 repeats=1",
];

fn world(line: &str) -> World {
    World::new(Bounds::default().read(line.split(' ')).expect("bounds"), None)
}

fn fingerprint(world: &World, state: &State) -> u64 {
    let mut encoder = Encoder::new();
    world.encode(state, &mut encoder);
    encoder.fingerprint()
}

/// Every state within these bounds.
fn reached(world: &World) -> Vec<State> {
    let mut queue = world.init_states();
    let mut known: BTreeSet<u64> = queue.iter().map(|state| fingerprint(world, state)).collect();
    let (mut all, mut actions) = (queue.clone(), Vec::new());
    while let Some(state) = queue.pop() {
        world.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let next = world.step(&state, &action, &mut Notes::default());
            if known.insert(fingerprint(world, &next)) {
                all.push(next.clone());
                queue.push(next);
            }
        }
    }
    all
}

/// The states within these bounds without the answers that nobody awaits, nor how many messages were lost or came twice: that
/// may have been such answers.
fn without_void_answers(line: &str) -> BTreeMap<u64, String> {
    let world = world(line);
    let bare = |mut state: State| {
        tidy::drop_void_answers(&mut state);
        state.spent = Spent { losses: 0, repeats: 0, ..state.spent };
        (fingerprint(&world, &state), format!("{state:?}"))
    };
    reached(&world).into_iter().map(bare).collect()
}

#[test]
fn answers_that_nobody_awaits_make_no_difference_where_they_are_kept() {
    for line in LATE {
        let kept_line = format!("{line} keep-dead=true");
        let (dropped, kept) = (without_void_answers(line), without_void_answers(&kept_line));
        let missed = kept.iter().find(|(one, _)| !dropped.contains_key(one));
        let new = dropped.iter().find(|(one, _)| !kept.contains_key(one));

        assert_eq!((missed, new), (None, None), "{line}");
        assert!(reached(&world(line)).len() < reached(&world(&kept_line)).len(), "{line}");
    }
}

#[test]
fn nothing_comes_of_what_is_dropped() {
    let (mut late, mut orphaned) = (0, 0);
    for line in LATE {
        let world = world(line);
        for state in reached(&world) {
            let mut actions = Vec::new();
            world.actions(&state, &mut actions);
            for action in actions {
                let mut next = state.clone();
                Driver { world: &world, state: &mut next, notes: &mut Notes::default() }.act(action);
                for envelope in next.wire.iter().filter(|envelope| tidy::is_void(&next, envelope)) {
                    match heard(&next, envelope) {
                        Some(refusal) => {
                            late += 1;
                            assert!(matches!(refusal, LifecycleRefusal::NotAsked { .. }), "{envelope:?}");
                        }
                        None => orphaned += 1,
                    }
                }
            }
        }
    }
    assert!(late > 0 && orphaned > 0, "{late} answers are late, {orphaned} find nobody");
}

/// What the run that a void answer is for says to it, having stayed as it was; `None` if that run has ended.
fn heard(state: &State, envelope: &Envelope) -> Option<LifecycleRefusal> {
    let Envelope::Tell { node, run, request, answer } = envelope else {
        panic!("only answers are dropped: {envelope:?}")
    };
    let Broker { runs, run: Some(running), .. } = state.broker(*node) else { return None };
    if runs != run {
        return None;
    }
    let (mut lifecycle, mut effects) = (running.lifecycle.clone(), Vec::new());
    let input = LifecycleInput::Answered { request: *request, answer: *answer };
    let taken = lifecycle.step(&tenure(*node, *run, running.found), input, &mut effects);
    assert!(lifecycle == running.lifecycle && effects.is_empty(), "{envelope:?} changed something");
    Some(taken.expect_err("what is dropped would be refused"))
}

#[test]
fn every_planted_bug_is_caught_where_late_answers_are_kept() {
    for mutant in World::mutants() {
        let bounds = Bounds { keep_dead: true, ..mutant.bounds };
        let outcome = search(&World::new(bounds, Some(mutant.bug)), Limits::default(), &mut |_| {});

        let Verdict::Violated(found) = outcome.verdict else {
            panic!("{} is not found: {outcome:?}", mutant.bug.id())
        };
        assert!(mutant.breaks.contains(&found.broken.claim), "{}: {:?}", mutant.bug.id(), found.broken);
    }
}

#[test]
fn states_with_late_answers_are_those_that_stateright_counts() {
    for line in LATE {
        let world = world(&format!("{line} keep-dead=true"));
        let own = search(&world, Limits::default(), &mut |_| {});
        let theirs = world.checker().threads(2).spawn_dfs().join();

        assert!(matches!(own.verdict, Verdict::Holds), "{line}: {own:?}");
        assert_eq!(own.unique, theirs.unique_state_count() as u64, "{line}");
    }
}

/// As if every run had asked more often: `before` times before what is still under way of it, and `since` times between that
/// and its last request.
fn asked_more_often(state: &State, before: u64, since: u64) -> State {
    let mut other = state.clone();
    let later =
        |request: RequestId| RequestId(request.0 + before + if request == tidy::AWAITED { since } else { 0 });
    for run in other.brokers.iter_mut().filter_map(|broker| broker.run.as_mut()) {
        run.lifecycle = run.lifecycle.clone().renumbered(later(tidy::AWAITED));
    }
    for envelope in &mut other.wire {
        if let Envelope::Ask { request, .. } | Envelope::Tell { request, .. } = envelope {
            *request = later(*request);
        }
    }
    for (_, origin) in &mut other.asked {
        if let Origin::Broker { request, .. } = origin {
            *request = later(*request);
        }
    }
    other
}

#[test]
fn how_often_a_run_has_asked_before_makes_no_difference() {
    for line in LATE.into_iter().flat_map(|line| [line.to_owned(), format!("{line} keep-dead=true")]) {
        let world = world(&line);
        for state in reached(&world) {
            for (before, since) in [(7, 0), (0, 7), (7, 7)] {
                alike(&world, &state, &asked_more_often(&state, before, since));
            }
        }
    }
}

/// The same steps lead from both to the same states, and break the same claims.
fn alike(world: &World, state: &State, other: &State) {
    let (mut actions, mut others) = (Vec::new(), Vec::new());
    world.actions(state, &mut actions);
    world.actions(other, &mut others);

    assert_eq!(actions, others);
    for action in actions {
        let mut notes = [Notes::default(), Notes::default()];
        let [ours, theirs] = &mut notes;
        let next = world.step(state, &action, ours);
        assert!(next == world.step(other, &action, theirs), "{action:?}");
        let [ours, theirs] = notes.map(|notes| notes.broken().map(|broken| broken.claim));
        assert_eq!(ours, theirs, "{action:?}");
    }
}

#[test]
fn nobody_who_may_be_counted_still_passes_for_synced_by_its_start() {
    let states = reached(&world("brokers=1 min-isr=1 changes=1 kills=1 power-losses=1 flush=os in-flight=1"));
    let node = NodeId(1);
    let is_unfenced = |state: &State| {
        let known = state.image().broker(node).filter(|known| !known.fenced);
        let run = incarnation(node, state.broker(node).runs);
        state.run(node).is_some() && known.is_some_and(|known| known.incarnation == run)
    };
    let has_not_heard =
        |state: &State| state.run(node).is_some_and(|run| run.lifecycle.is_fenced()) && is_unfenced(state);

    assert!(states.iter().any(has_not_heard));
    assert!(states.iter().any(|state| state.broker(node).disk.synced));
    assert!(!states.iter().any(|state| is_unfenced(state) && state.broker(node).disk.synced));
}
