//! The world finds the faults that it is for, and counts its states as stateright does.

use std::collections::BTreeSet;

use highwater_model::fault::Bug;
use highwater_model::id::LeaderEpoch;
use stateright::{Checker as _, Model as _};

use super::{Bounds, Entries, Standing, State, World};
use crate::bounds::Bounds as _;
use crate::engine::{Encoder, Limits, Outcome, Verdict, alike, search};
use crate::world::{Checked as _, Notes, misdeclared};

mod dead;
mod dropped;
mod pairs;
mod past;
mod reduce;
mod symmetry;

fn world(line: &str) -> World {
    World::new(Bounds::default().read(line.split(' ')).expect("bounds"), None)
}

fn fingerprint(world: &World, state: &State) -> u64 {
    let mut encoder = Encoder::new();
    world.encode(state, &mut encoder);
    encoder.fingerprint()
}

fn searched(line: &str, planted: Option<Bug>) -> Outcome<World> {
    let bounds = Bounds::default().read(line.split(' ')).expect("bounds");
    search(&World::new(bounds, planted), Limits::default(), &mut |_| {})
}

#[test]
fn claims_are_declared_in_pairs() {
    assert_eq!(misdeclared::<World>(), Vec::<String>::new());
}

#[test]
fn the_sound_cores_hold_and_the_states_are_those_that_stateright_counts() {
    for line in [
        "brokers=1 kills=2",
        "brokers=2 elections=1 flush=os",
        "brokers=2 kills=1 flush=os",
        "brokers=3 kills=1 flush=os writes=at-once",
    ] {
        let own = searched(line, None);
        let theirs = world(line).checker().threads(2).spawn_dfs().join();

        assert!(matches!(own.verdict, Verdict::Holds), "{line}: {own:?}");
        assert_eq!(own.unique, theirs.unique_state_count() as u64, "{line}");
    }
}

#[test]
fn writes_that_find_no_room_break_no_claim() {
    for line in ["brokers=2 full-disks=1 elections=1", "brokers=2 full-disks=1 retries=1 flush=os acks=one"] {
        let outcome = searched(line, None);

        assert!(matches!(outcome.verdict, Verdict::Holds), "{line}: {outcome:?}");
    }
}

#[test]
fn dropping_dead_messages_changes_no_verdict_and_saves_states() {
    let dropped = searched("brokers=2 kills=1 flush=os", None);
    let kept = searched("brokers=2 kills=1 flush=os reduce=views+parked", None);

    assert!(matches!(dropped.verdict, Verdict::Holds));
    assert!(matches!(kept.verdict, Verdict::Holds));
    assert!(dropped.unique < kept.unique);
}

#[test]
fn a_planted_bug_is_found_where_its_mutant_says() {
    let quick =
        ["B-06", "B-07", "B-08", "B-12", "B-13", "B-16", "B-22", "B-27a", "B-50a", "B-51", "B-52", "P-01"];
    for mutant in World::mutants().into_iter().filter(|mutant| quick.contains(&mutant.bug.id())) {
        let outcome = search(&World::new(mutant.bounds, Some(mutant.bug)), Limits::default(), &mut |_| {});

        let Verdict::Violated(example) = outcome.verdict else {
            panic!("{} is not found: {outcome:?}", mutant.bug.id());
        };
        assert!(mutant.breaks.contains(&example.broken.claim), "{:?}", example.broken);
        assert!(!example.steps.is_empty());
    }
}

#[test]
fn the_sound_core_is_clean_where_a_planted_bug_is_found() {
    let small = ["B-03", "B-14", "B-20", "B-21", "B-23", "B-27d", "B-28", "P-03", "P-11"];
    for mutant in World::mutants().into_iter().filter(|mutant| small.contains(&mutant.bug.id())) {
        let (id, bounds) = (mutant.bug.id(), mutant.bounds);
        let broken = search(&World::new(bounds.clone(), Some(mutant.bug)), Limits::default(), &mut |_| {});
        let sound = search(&World::new(bounds, None), Limits::default(), &mut |_| {});

        let Verdict::Violated(example) = broken.verdict else { panic!("{id} is not found") };
        assert!(mutant.breaks.contains(&example.broken.claim), "{id}: {:?}", example.broken);
        assert!(matches!(sound.verdict, Verdict::Holds), "{id}: {sound:?}");
    }
}

/// What can be seen of states from outside: what the controller knows, who runs, what the disks hold, what clients were told,
/// and which faults may come. Of leader epochs only the order tells anything, and a client that waits knows no more than one
/// that was told that nobody knows.
fn outside(line: &str) -> BTreeSet<String> {
    seen(line, &|state| {
        let (partition, committed) = (state.cluster.partition(), &state.ledger.ghost.committed);
        let on_disks = state.brokers.iter().flat_map(|broker| &broker.disk.entries);
        let written = on_disks.chain(committed).map(|entry| entry.leader_epoch);
        let known: BTreeSet<_> = written.chain([partition.leader_epoch]).collect();
        let rank = |epoch: LeaderEpoch| known.range(..epoch).count();
        let entries = |entries: &Entries| -> Vec<_> {
            entries.iter().map(|entry| (rank(entry.leader_epoch), entry.value)).collect()
        };
        let brokers =
            state.brokers.iter().map(|broker| (entries(&broker.disk.entries), broker.run.is_some()));
        let clients = state.ledger.clients.iter().map(|standing| match standing {
            Standing::Open(_) => Standing::Unknown,
            told @ (Standing::Acknowledged | Standing::Unknown | Standing::Refused) => *told,
        });
        let sets = (partition.leader, partition.isr, partition.eligible_leaders);
        let controller = (sets, rank(partition.leader_epoch), partition.recovering);
        let (brokers, clients): (Vec<_>, Vec<_>) = (brokers.collect(), clients.collect());
        format!("{controller:?} {brokers:?} {clients:?} {:?} {:?}", entries(committed), state.left)
    })
}

/// The pictures of all states.
fn seen(line: &str, picture: &dyn Fn(&State) -> String) -> BTreeSet<String> {
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

#[test]
fn what_is_left_out_can_not_be_seen_from_outside() {
    for line in [
        "brokers=2 kills=1 flush=os",
        "brokers=2 elections=1",
        "brokers=2 power-losses=1 flush=os",
        "brokers=2 elections=1 shrinks=1 flush=os",
        "brokers=2 elections=1 shrinks=1 timeouts=1 flush=os writes=at-once in-flight=1",
        "brokers=2 records=2 elections=1 flush=os writes=at-once",
        "brokers=2 elections=1 kills=1 flush=os writes=at-once in-flight=1",
        "brokers=2 elections=1 full-disks=1 min-isr=1 flush=os",
        "brokers=3 elections=1 flush=os writes=at-once symmetry=false",
    ] {
        let (reduced, whole) = (outside(line), outside(&format!("{line} reduce=views+parked")));

        assert!(reduced.len() > 20, "{line}");
        assert_eq!(reduced, whole, "{line}");
    }
}

#[test]
fn states_that_are_encoded_alike_are_alike() {
    for line in [
        "brokers=1 records=2 kills=1 power-losses=1",
        "brokers=2 elections=1 shutdowns=1",
        "brokers=2 elections=1 shrinks=1 timeouts=1 flush=os",
        "brokers=2 power-losses=1 flush=os reduce=views+parked",
        "brokers=2 kills=2 flush=os",
        "brokers=2 records=0 elections=2",
        "brokers=2 full-disks=1 elections=1",
        "brokers=2 elections=1 kills=1 flush=os writes=at-once",
        "brokers=2 elections=1 power-losses=1 writes=at-once",
        "brokers=3 elections=1 kills=1 writes=at-once",
        "brokers=3 shrinks=1 timeouts=1 kills=1 flush=os writes=at-once",
        "brokers=2 elections=1 kills=1 syncs=in-turn",
        "brokers=3 elections=1 shrinks=1 writes=at-once",
        "brokers=2 elections=2 retries=2",
        "brokers=2 elections=2 retries=2 acks=one",
        "brokers=2 records=2 elections=1 shrinks=1 writes=at-once",
    ] {
        let compared = alike(&world(line), 3_000, 1).unwrap_or_else(|unlike| panic!("{line}: {unlike:#?}"));

        assert!(compared > 0, "{line}");
    }
}

#[test]
fn syncs_that_end_sooner_show_a_part_of_what_can_be_seen() {
    for line in ["brokers=2 kills=1", "brokers=2 power-losses=1"] {
        let [apart, in_turn, at_once] =
            ["apart", "in-turn", "at-once"].map(|syncs| outside(&format!("{line} syncs={syncs}")));

        assert!(at_once.len() > 20, "{line}");
        assert!(at_once.is_subset(&in_turn) && in_turn.is_subset(&apart), "{line}");
    }
}

#[test]
fn a_sync_that_is_not_waited_for_is_found_unless_nothing_ends_later() {
    let found = |syncs: &str| {
        let line = format!("brokers=2 power-losses=1 in-flight=1 writes=at-once syncs={syncs}");
        matches!(searched(&line, Some(Bug::FollowerCountsUnsynced)).verdict, Verdict::Violated(_))
    };

    assert_eq!(["apart", "in-turn", "at-once"].map(found), [true, true, false]);
}
