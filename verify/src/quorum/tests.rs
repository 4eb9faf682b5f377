//! What the quorum world leaves out makes no difference.

use std::collections::BTreeSet;

use highwater_model::fault::{Bug, Planted};
use highwater_model::id::QuorumEpoch;
use highwater_model::quorum::{Body, Effect, Effects, Input, Message};
use stateright::{Checker as _, Model as _};

use super::drive::Driver;
use super::network;
use super::state::tenure;
use super::{Bounds, Packet, Spent, State, World};
use crate::bounds::Bounds as _;
use crate::engine::{Encoder, Limits, Outcome, Verdict, alike, search};
use crate::world::{Checked as _, Notes};

/// What takes every reduction back.
const WHOLE: &str = "keep-dead=true";

/// Bounds with every reduction, but for those that the line takes back.
fn bounds(line: &str) -> Bounds {
    let reduced = Bounds { epoch_order: true, symmetry: true, ..Bounds::default() };
    reduced.read(line.split(' ')).expect("bounds")
}

fn world(line: &str) -> World {
    World::new(bounds(line), None)
}

fn searched(line: &str, planted: Option<Bug>) -> Outcome<World> {
    search(&World::new(bounds(line), planted), Limits::default(), &mut |_| {})
}

fn fingerprint(world: &World, state: &State) -> u64 {
    let mut encoder = Encoder::new();
    world.encode(state, &mut encoder);
    encoder.fingerprint()
}

/// What can be seen of states from outside: who leads, what is on disks, what is committed and known to be, and what was spent. Of that
/// not the candidacies, since one that a crash undoes is left out; and replicas have no names.
fn outside(line: &str) -> BTreeSet<String> {
    let world = world(line);
    let mut queue = world.init_states();
    let (mut known, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut actions = Vec::new();
    while let Some(state) = queue.pop() {
        seen.insert(picture(&state));
        world.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let next = world.step(&state, &action, &mut Notes::default());
            if known.insert(fingerprint(&world, &next)) {
                queue.push(next);
            }
        }
    }
    seen
}

fn picture(state: &State) -> String {
    let newest = state.nodes.iter().map(|node| node.disk.vote.quorum_epoch).max();
    let of_newest = |epoch: QuorumEpoch| Some(epoch) >= newest;
    let mut nodes: Vec<String> = state
        .nodes
        .iter()
        .map(|node| {
            let (leads, epoch) = (node.core.is_leader(), node.core.quorum_epoch());
            let log: Vec<_> = node.disk.entries.iter().map(|entry| entry.quorum_epoch.0).collect();
            let ends = (node.disk.flushed, node.core.high_watermark());
            format!("{leads} {} {log:?} {ends:?}", of_newest(epoch))
        })
        .collect();
    nodes.sort();
    let committed: Vec<_> = state.ghost.committed.iter().map(|entry| entry.quorum_epoch.0).collect();
    let spent = Spent { elections: 0, ..state.spent };
    format!("{newest:?} {nodes:?} {committed:?} {spent:?}")
}

#[test]
fn what_is_left_out_can_not_be_seen_from_outside() {
    for line in [
        "elections=1 values=2",
        "elections=2 values=0",
        "elections=1 values=1 power-losses=1",
        "voters=2 elections=2 values=0 kills=1",
        "elections=1 values=0 changes=1",
        "start=second elections=3 values=0",
    ] {
        let (reduced, whole) = (outside(line), outside(&format!("{line} {WHOLE}")));

        let missed: Vec<_> = whole.difference(&reduced).take(3).collect();
        assert!(missed.is_empty(), "{line}: {missed:#?}");
        let more: Vec<_> = reduced.difference(&whole).take(3).collect();
        assert!(more.is_empty(), "{line}: {more:#?}");
    }
}

#[test]
fn a_notice_that_comes_late_can_not_be_seen_from_outside() {
    for line in [
        "elections=2 values=0 kills=1",
        "elections=1 values=1 resigns=1 epoch-order=false symmetry=false",
        "start=cold elections=1 values=0 kills=1 pre-votes=asked",
    ] {
        let (without, with) = (outside(line), outside(&format!("{line} late-notices=true")));

        assert!(without == with, "{line}: {:?}", with.symmetric_difference(&without).next());
        let states = |line: &str| searched(line, None).unique;
        assert!(states(line) < states(&format!("{line} late-notices=true")), "{line}");
    }
}

#[test]
fn states_that_are_encoded_alike_are_alike() {
    for line in [
        "elections=2 values=1",
        "elections=3 values=0",
        "elections=2 values=0 power-losses=1",
        "elections=2 values=1 kills=1",
        "elections=3 values=0 symmetry=false",
        "elections=3 values=0 epoch-order=false",
    ] {
        let compared = alike(&world(line), 2_000, 1).unwrap_or_else(|unlike| panic!("{line}: {unlike:#?}"));

        assert!(compared > 0, "{line}");
    }
}

/// What is stored of earlier epochs: told of no replica behind, nor of one that moves on from there.
#[test]
fn votes_of_earlier_epochs_make_no_difference_to_those_left_behind() {
    let line = "elections=3 values=2 power-losses=1";
    let compared = alike(&world(line), 6_000, 2).unwrap_or_else(|unlike| panic!("{line}: {unlike:#?}"));

    assert!(compared > 0);
}

/// The same, far into larger bounds.
#[test]
#[ignore = "takes minutes: cargo test --release -p highwater-verify --lib far_into_large_bounds -- --ignored"]
fn states_that_are_encoded_alike_are_alike_far_into_large_bounds() {
    for line in [
        "elections=3 values=2 power-losses=1",
        "elections=3 values=1 kills=1",
        "start=second elections=4 split=true values=0",
    ] {
        let compared = alike(&world(line), 200_000, 2).unwrap_or_else(|unlike| panic!("{line}: {unlike:#?}"));

        assert!(compared > 0, "{line}");
    }
}

/// What comes of the messages that the step to this state, which is not tidied yet, leaves to be dropped.
fn heeded(world: &World, state: &State) -> Vec<String> {
    let present = world.present(state);
    let dropped = state.network.iter().filter(|packet| {
        let receiver = state.node(packet.to);
        network::is_dead(world, present, &state.nodes, packet)
            && present.may_arrive(receiver, &packet.letter.message)
    });
    let comes_to_nothing = |packet: &&Packet| {
        let receiver = state.node(packet.to);
        let (mut core, mut effects) = (receiver.core.clone(), Effects::new());
        let input = Input::Received(packet.letter.message.clone());
        let taken = core.step(&tenure(packet.to, receiver), input, &mut effects);
        let is_answer =
            |message: &Message| matches!(message.body, Body::VoteAnswer(_) | Body::FetchAnswer(_));
        let only_answers =
            effects.iter().all(|effect| matches!(effect, Effect::Send { message, .. } if is_answer(message)));
        // A voter whose vote is not stored yet notes that it owes an answer, and says it then.
        let speaks = receiver.core.stored() == receiver.core.vote();
        taken.is_err() || (only_answers && (core == receiver.core || !speaks))
    };
    dropped.filter(|packet| !comes_to_nothing(packet)).map(|packet| format!("{packet:?}")).collect()
}

#[test]
fn nothing_comes_of_what_is_dropped() {
    for line in [
        "elections=2 values=1",
        "elections=3 values=0",
        "elections=3 values=0 symmetry=false",
        "elections=3 values=0 epoch-order=false",
        "elections=2 values=0 power-losses=1 epoch-order=false",
        "elections=2 values=0 resends=1",
        "elections=2 values=0 changes=1",
        "start=cold elections=1 values=0 pre-votes=asked",
    ] {
        let world = world(line);
        let (mut queue, mut known) = (world.init_states(), BTreeSet::new());
        let mut actions = Vec::new();
        while let Some(state) = queue.pop() {
            world.actions(&state, &mut actions);
            for action in actions.drain(..) {
                let mut next = state.clone();
                let mut notes = Notes::default();
                Driver { world: &world, state: &mut next, notes: &mut notes, leads: false, asks: None }
                    .act(&action);
                assert_eq!(heeded(&world, &next), Vec::<String>::new(), "{line}: {action:?}");
                network::tidy(&world, &mut next);
                if known.insert(fingerprint(&world, &next)) {
                    queue.push(next);
                }
            }
        }
    }
}

#[test]
fn every_reduction_can_be_taken_back_and_saves_states() {
    let line = "elections=2 values=1";
    let reduced = searched(line, None);
    for switch in ["symmetry=false", "epoch-order=false", WHOLE] {
        let more = searched(&format!("{line} {switch}"), None);

        assert!(matches!(more.verdict, Verdict::Holds), "{switch}");
        assert!(reduced.unique < more.unique, "{switch}");
    }
}

#[test]
fn states_that_are_told_whole_are_those_that_stateright_counts() {
    for line in ["elections=2 values=0", "elections=1 values=1 power-losses=1", "voters=1 values=2 kills=1"] {
        let line = format!("{line} {WHOLE}");
        let own = searched(&line, None);
        let theirs = world(&line).checker().threads(2).spawn_dfs().join();

        assert_eq!(own.unique, theirs.unique_state_count() as u64, "{line}");
    }
}

#[test]
fn every_planted_bug_is_caught_where_states_are_reduced() {
    let mut reduced = 0;
    for mutant in World::mutants() {
        let bounds = Bounds { epoch_order: true, symmetry: true, ..mutant.bounds };
        let world = World::new(bounds, Some(mutant.bug));
        if !world.in_order && !world.symmetric {
            continue;
        }
        reduced += 1;
        let Verdict::Violated(found) = search(&world, Limits::default(), &mut |_| {}).verdict else {
            panic!("{} is caught", mutant.bug.id())
        };
        assert!(mutant.breaks.contains(&found.broken.claim), "{}: {:?}", mutant.bug.id(), found.broken);
    }
    assert!(reduced >= 10, "the bounds of {reduced} planted bugs are reduced");
}

#[test]
fn whoever_is_forgotten_on_one_path_alone_is_missed_though_who_waits_tells_no_states_apart() {
    let line = "elections=2 values=1";
    let planted = Planted(Some(Bug::AnnouncedSaysNothing));
    let reduced = World { planted, ..world(line) };
    assert!(reduced.reduces() && reduced.in_order && reduced.symmetric);

    let Verdict::Violated(found) = search(&reduced, Limits::default(), &mut |_| {}).verdict else {
        panic!("somebody waits for ever")
    };
    assert_eq!(found.broken.claim, "quorum/who_waits_is_remembered");
    assert!(matches!(searched(line, None).verdict, Verdict::Holds));
}

#[test]
fn only_of_a_planted_bug_may_it_be_set_aside_in_which_epoch_it_speaks() {
    let aside = bounds("stored-epochs=false");

    assert!(World::new(aside.clone(), None).minds_stored_epochs());
    assert!(!World::new(aside, Some(Bug::VoteBeforeStored)).minds_stored_epochs());
    assert!(World::new(bounds("values=0"), Some(Bug::VoteBeforeStored)).minds_stored_epochs());
}
