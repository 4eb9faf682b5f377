//! Followers are interchangeable where nobody can be elected, and nowhere else.

use highwater_model::fault::Bug;
use highwater_model::replication::{IsrSet, ReplicaIdx};
use stateright::Model as _;

use super::{fingerprint, searched, seen, world};
use crate::bounds::Bounds as _;
use crate::engine::{Limits, Verdict, alike, search};
use crate::replication::{Action, Bounds, Envelope, Standing, State, World};
use crate::world::{Checked as _, Notes};

const LEADER: ReplicaIdx = ReplicaIdx(0);

/// What happens next in a tale of two followers.
#[derive(Clone, Copy, Debug)]
enum Scene {
    /// The leader hears from the one.
    Hears,
    /// The one hears from the leader.
    Tells,
    Produces,
    /// The other one has lagged for too long.
    Lags,
    /// The controller hears from the leader.
    Proposes,
    /// The leader hears from the controller.
    Learns,
}

/// A follower fetches a record; the other one is thrown out of the ISR.
const TALE: [Scene; 7] =
    [Scene::Hears, Scene::Produces, Scene::Tells, Scene::Hears, Scene::Lags, Scene::Proposes, Scene::Learns];

fn act(state: &State, scene: Scene, one: ReplicaIdx, other: ReplicaIdx) -> Action {
    let deliver = |wanted: &dyn Fn(&Envelope) -> bool| {
        let at = state.network.envelopes().iter().position(|envelope| wanted(envelope));
        Action::Deliver(u8::try_from(at.expect("a message that the tale has sent")).expect("a few messages"))
    };
    let peer = |sender: ReplicaIdx, receiver: ReplicaIdx| {
        deliver(
            &|envelope| matches!(envelope, Envelope::Peer { from, to, .. } if (*from, *to) == (sender, receiver)),
        )
    };
    match scene {
        Scene::Hears => peer(one, LEADER),
        Scene::Tells => peer(LEADER, one),
        Scene::Produces => Action::Produce(LEADER),
        Scene::Lags => Action::Lag(LEADER, other),
        Scene::Proposes => deliver(&|envelope| matches!(envelope, Envelope::Proposal { .. })),
        Scene::Learns => deliver(&|envelope| matches!(envelope, Envelope::Decision { .. })),
    }
}

/// The fingerprints of the states of the tale, told of `one`.
fn told(world: &World, one: ReplicaIdx, other: ReplicaIdx) -> Vec<u64> {
    let mut state = world.init_states().remove(0);
    let mut fingerprints = Vec::new();
    for scene in TALE {
        let action = act(&state, scene, one, other);
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        assert!(actions.contains(&action), "{scene:?} of {actions:?}");
        state = world.step(&state, &action, &mut Notes::default());
        fingerprints.push(fingerprint(world, &state));
    }
    fingerprints
}

/// The tale told of the one follower, and of the other.
fn both(line: &str) -> [Vec<u64>; 2] {
    let world = world(line);
    [told(&world, ReplicaIdx(1), ReplicaIdx(2)), told(&world, ReplicaIdx(2), ReplicaIdx(1))]
}

#[test]
fn two_followers_that_swap_names_make_no_other_state_where_nobody_can_be_elected() {
    for line in ["shrinks=1 flush=os writes=at-once", "shrinks=1 timeouts=1 flush=os writes=at-once"] {
        let [one, other] = both(line);

        assert_eq!(one, other, "{line}");
    }
}

#[test]
fn two_followers_that_swap_names_make_another_state_where_somebody_may_be_elected() {
    for line in [
        "shrinks=1 flush=os writes=at-once symmetry=false",
        "shrinks=1 flush=os writes=at-once kills=1",
        "shrinks=1 flush=os writes=at-once elections=1",
        "shrinks=1 flush=os writes=at-once power-losses=1",
        "shrinks=1 flush=os writes=at-once shutdowns=1",
    ] {
        let [one, other] = both(line);

        assert!(one.iter().zip(&other).all(|(one, other)| one != other), "{line}");
    }
}

#[test]
fn settled_states_that_are_encoded_alike_are_alike() {
    for line in [
        "shrinks=1 flush=os writes=at-once",
        "kills=1 flush=os writes=at-once",
        "kills=1",
        "elections=1 timeouts=1 shrinks=1 writes=at-once",
        "full-disks=1 flush=os acks=one",
        "isr=2 kills=1 records=2 flush=os reduce=views+parked",
        "brokers=4 kills=1 flush=os writes=at-once",
    ] {
        let compared = alike(&world(line), 2_000, 1).unwrap_or_else(|unlike| panic!("{line}: {unlike:#?}"));

        assert!(compared > 30, "{line}: {compared}");
    }
}

/// What can be seen of a state, with this name for each replica.
fn seen_as(state: &State, name: impl Fn(ReplicaIdx) -> ReplicaIdx) -> String {
    let set = |set: IsrSet| set.iter().map(&name).collect::<IsrSet>();
    let partition = state.cluster.partition();
    let controller = (partition.leader.map(&name), set(partition.isr), set(partition.eligible_leaders));
    let client = |standing: &Standing| match *standing {
        Standing::Open(replica) => Standing::Open(name(replica)),
        told @ (Standing::Acknowledged | Standing::Unknown | Standing::Refused) => told,
    };
    let clients: Vec<Standing> = state.ledger.clients.iter().map(client).collect();
    let mut brokers: Vec<_> = state
        .replicas()
        .map(|replica| (name(replica), &state.broker(replica).disk.entries, state.run(replica).is_some()))
        .collect();
    brokers.sort();
    format!("{controller:?} {brokers:?} {clients:?} {:?}", state.ledger.ghost.committed)
}

/// The same for a state and for the one in which the followers have swapped their names.
fn seen_by_any_name(state: &State) -> String {
    let Some(leader) = state.cluster.partition().leader else { return seen_as(state, |replica| replica) };
    let swapped = |replica: ReplicaIdx| {
        let other = state.replicas().find(|other| *other != leader && *other != replica);
        other.filter(|_| replica != leader).unwrap_or(replica)
    };
    seen_as(state, |replica| replica).min(seen_as(state, swapped))
}

#[test]
fn swapping_names_changes_nothing_that_can_be_seen_from_outside() {
    for line in ["kills=1 flush=os writes=at-once", "elections=1 flush=os writes=at-once"] {
        let reduced = seen(line, &seen_by_any_name);
        let whole = seen(&format!("{line} symmetry=false"), &seen_by_any_name);

        assert!(reduced.len() > 20, "{line}");
        assert_eq!(reduced, whole, "{line}");
    }
}

#[test]
fn swapping_names_changes_no_verdict_and_saves_states() {
    let swapped = searched("kills=1 flush=os writes=at-once", None);
    let plain = searched("kills=1 flush=os writes=at-once symmetry=false", None);

    assert!(matches!(swapped.verdict, Verdict::Holds), "{swapped:?}");
    assert!(matches!(plain.verdict, Verdict::Holds), "{plain:?}");
    assert!(swapped.unique < plain.unique, "{} {}", swapped.unique, plain.unique);
}

#[test]
fn a_counterexample_can_be_followed_where_followers_swap_names() {
    for (bug, line) in [
        (Bug::CommittedIsrOnly, "isr=2 flush=os in-flight=1"),
        (Bug::FollowerCountsUnsynced, "in-flight=1"),
        (Bug::AckAtLeaderAppend, "flush=os"),
    ] {
        let bounds = Bounds::default().read(line.split(' ')).expect("bounds");
        let world = World::new(bounds, Some(bug));
        let Verdict::Violated(example) = search(&world, Limits::default(), &mut |_| {}).verdict else {
            panic!("{bug:?} is not found");
        };
        let (mut state, mut notes) = (example.start, Notes::default());
        for action in &example.actions {
            let mut actions = Vec::new();
            world.actions(&state, &mut actions);
            assert!(actions.contains(action), "{bug:?}: {action:?}");
            state = world.step(&state, action, &mut notes);
        }
        let broken = notes.broken().cloned().or_else(|| world.judge(&state).err());

        assert_eq!(broken.map(|broken| broken.claim), Some(example.broken.claim), "{bug:?}");
    }
}
