//! The engines against one another, and the own one against the plainest search that there is.

use std::collections::BTreeSet;

use highwater_model::fault::Bug;

use super::*;
use crate::bounds::Bounds as _;
use crate::engine::Encoder;
use crate::engine::tests::{Jugs, Pour, jugs};
use crate::world::Notes;
use crate::{metadata, quorum, replication};

fn world<W: Checked>(line: &str, planted: Option<Bug>) -> W {
    W::new(W::Bounds::default().read(line.split_whitespace()).expect("bounds"), planted)
}

/// Unique states by every engine.
fn counts<W: Checked>(line: &str) -> Vec<u64> {
    let explore = |engine: EngineName| {
        let outcome = engine.explore(&|| world::<W>(line, None), Limits::default(), &mut |_| {});
        assert!(matches!(outcome.verdict, Verdict::Holds), "{line}: {outcome:?}");
        outcome.unique
    };
    EngineName::ALL.map(explore).to_vec()
}

#[test]
fn every_engine_counts_the_same_states_at_fourteen_bounds_of_three_models() {
    let quorum = [
        "voters=1 values=2 kills=1",
        "start=cold elections=1 values=0",
        "start=tail elections=2 values=0",
        // The own search makes equal parts of these states one, and works out once what they are without names.
        "elections=2 values=0 epoch-order=true symmetry=true",
        "elections=2 values=0 power-losses=1 epoch-order=true symmetry=true",
        "elections=2 values=1 kills=1 epoch-order=true symmetry=true",
        "elections=1 values=1 keep-dead=true",
    ];
    let metadata = [
        "brokers=1 min-isr=1 kills=1 in-flight=1",
        "brokers=2 proposals=1",
        "brokers=2 fences=1 in-flight=1 lag=0",
    ];
    let replication = [
        "brokers=1 kills=2",
        "brokers=2 elections=1 flush=os",
        "brokers=2 flush=os reduce=none",
        "brokers=3 records=1 flush=os writes=at-once",
    ];
    let counted = quorum.iter().map(|line| (line, counts::<quorum::World>(line)));
    let counted = counted.chain(metadata.iter().map(|line| (line, counts::<metadata::World>(line))));
    let counted = counted.chain(replication.iter().map(|line| (line, counts::<replication::World>(line))));
    let counted: Vec<_> = counted.collect();

    assert_eq!(counted.len(), 14);
    for (line, counts) in counted {
        assert!(counts.iter().all(|count| *count == counts[0] && *count > 4), "{line}: {counts:?}");
    }
}

/// Steps to the nearest violation: a queue of states, no threads, no fingerprints, nothing kept but encodings.
fn nearest<W: Checked>(world: &W) -> Option<usize> {
    let mut level = world.init_states();
    let mut known = BTreeSet::new();
    let mut steps = 0;
    while !level.is_empty() {
        if level.iter().any(|state| world.judge(state).is_err()) {
            return Some(steps);
        }
        let mut next = Vec::new();
        for state in &level {
            let mut actions = Vec::new();
            world.actions(state, &mut actions);
            for action in actions {
                let mut notes = Notes::default();
                let after = world.step(state, &action, &mut notes);
                if notes.broken().is_some() {
                    return Some(steps + 1);
                }
                let mut encoder = Encoder::new();
                world.encode(&after, &mut encoder);
                if known.insert(encoder.bytes().to_vec()) {
                    next.push(after);
                }
            }
        }
        level = next;
        steps += 1;
    }
    None
}

fn lengths<W: Checked>(bugs: &[Bug]) -> Vec<(Bug, Option<usize>, Option<usize>)> {
    let of = |mutant: crate::world::Mutant<W::Bounds>| {
        let world = W::new(mutant.bounds, Some(mutant.bug));
        let found = match search(&world, Limits::default(), &mut |_| {}).verdict {
            Verdict::Violated(example) => Some(example.actions.len()),
            Verdict::Holds | Verdict::OutOfBudget => None,
        };
        (mutant.bug, found, nearest(&world))
    };
    W::mutants().into_iter().filter(|mutant| bugs.contains(&mutant.bug)).map(of).collect()
}

#[test]
fn the_own_search_gives_the_shortest_traces() {
    let mut all =
        lengths::<quorum::World>(&[Bug::LeaderCountsUnsynced, Bug::DivergingCounts, Bug::VoteTwice]);
    all.extend(lengths::<metadata::World>(&[
        Bug::DeadCandidate,
        Bug::NoPartitionEpoch,
        Bug::SameLeaderEpoch,
    ]));
    all.extend(lengths::<replication::World>(&[
        Bug::AckAtLeaderAppend,
        Bug::NeverKept,
        Bug::FencedReadmitted,
    ]));

    assert!(all.len() >= 9, "{all:?}");
    for (bug, found, nearest) in all {
        assert!(found.is_some() && found == nearest, "{}: {found:?}, nearest {nearest:?}", bug.id());
    }
}

#[test]
fn stateright_finds_a_violation_of_a_state_with_its_way_there() {
    for depth_first in [false, true] {
        let outcome =
            Stateright { depth_first }.explore(&|| jugs("forbidden=4"), Limits::default(), &mut |_| {});

        let Verdict::Violated(example) = outcome.verdict else { panic!("four litres are within reach") };
        assert_eq!(example.broken.values, "large jug holds 4");
        assert!(example.actions.len() >= 6);
    }
}

#[test]
fn stateright_finds_an_assertion_that_fails_and_lives() {
    for depth_first in [false, true] {
        let outcome =
            Stateright { depth_first }.explore(&|| jugs("forbidden=254"), Limits::default(), &mut |_| {});

        let Verdict::Violated(example) = outcome.verdict else { panic!("a jug is smashed") };
        assert_eq!((example.broken.claim, example.actions.last()), (PANIC, Some(&Pour::Smash)));
        assert!(example.broken.values.contains("tests.rs"), "{}", example.broken.values);
    }
}

#[test]
fn what_a_search_keeps_is_told_and_may_be_limited() {
    let whole = Own.explore::<Jugs>(&|| jugs("large=241 small=239"), Limits::default(), &mut |_| {});
    let limits = Limits { memory: Some(1), ..Limits::default() };
    let cut = Own.explore::<Jugs>(&|| jugs("large=241 small=239"), limits, &mut |_| {});

    // A fingerprint in the table, and a way of two, at the least.
    assert!(whole.memory >= 24 * whole.unique, "{}", whole.memory);
    assert!(matches!(cut.verdict, Verdict::OutOfBudget));
    assert!(cut.unique < whole.unique);
}

#[test]
fn engines_are_known_by_their_names() {
    assert_eq!(EngineName::ALL.map(|engine| engine.name().parse()), EngineName::ALL.map(Ok));
    assert!("tlc".parse::<EngineName>().is_err());
}

/// A jug of which more is claimed than stateright can be shown.
struct Crowd(Jugs);

const CLAIM: Always<Crowd> =
    Always { name: "jugs/jug_is_a_jug", rule: "", holds: Some(|_, _| Ok(())), exercised_by: "" };
static CROWD: [Always<Crowd>; 33] = [CLAIM; 33];

impl stateright::Model for Crowd {
    type State = [u8; 2];
    type Action = Pour;

    fn init_states(&self) -> Vec<[u8; 2]> {
        self.0.init_states()
    }
    fn actions(&self, state: &[u8; 2], actions: &mut Vec<Pour>) {
        self.0.actions(state, actions);
    }
    fn next_state(&self, state: &[u8; 2], action: Pour) -> Option<[u8; 2]> {
        self.0.next_state(state, action)
    }
}

impl Checked for Crowd {
    const NAME: &'static str = "crowd";
    const KINDS: &'static [&'static str] = Jugs::KINDS;
    type Bounds = <Jugs as Checked>::Bounds;

    fn new(bounds: Self::Bounds, planted: Option<Bug>) -> Self {
        Self(Jugs::new(bounds, planted))
    }
    fn bounds(&self) -> &Self::Bounds {
        self.0.bounds()
    }
    fn step(&self, state: &[u8; 2], action: &Pour, notes: &mut Notes) -> [u8; 2] {
        self.0.step(state, action, notes)
    }
    fn kind(action: &Pour) -> usize {
        Jugs::kind(action)
    }
    fn always() -> &'static [Always<Self>] {
        &CROWD
    }
    fn sometimes() -> &'static [Sometimes<Self>] {
        &[]
    }
    fn describe(&self, before: &[u8; 2], action: &Pour) -> String {
        self.0.describe(before, action)
    }
    fn changes(&self, before: &[u8; 2], after: &[u8; 2]) -> Vec<String> {
        self.0.changes(before, after)
    }
    fn profile(name: &str) -> Vec<Self::Bounds> {
        Jugs::profile(name)
    }
    fn mutants() -> Vec<crate::world::Mutant<Self::Bounds>> {
        Vec::new()
    }
}

#[test]
#[should_panic(expected = "stateright would not look at what crowd claims beyond 32 of a kind")]
fn no_claim_is_left_out_for_want_of_room() {
    let _ = Held(world::<Crowd>("", None)).properties();
}
