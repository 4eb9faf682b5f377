//! What may happen next.

use highwater_model::id::Offset;
use highwater_model::quorum::{Body, Fetched, RoleName, SnapshotId, Timer, VoterChange};
use serde::{Deserialize, Serialize};

use super::World;
use super::network;
use super::state::{Node, Place, State, key, place, tenure};

/// One step of the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A timer of a replica ran out, and it stands for election.
    Stand(Place),
    /// A timer of a replica ran out.
    Expire(Place, Timer),
    /// A message arrives.
    Deliver(usize),
    /// The first batch of a message arrives: the leader sent no more.
    DeliverFirst(usize),
    /// A replica without a leader asks this one who it is. Where voters are interchangeable it is any voter.
    Ask(Place, Place),
    /// A message arrives, and will arrive again.
    Repeat(usize),
    /// A vote is stored.
    Store(Place),
    /// A sync completes.
    Flush(Place),
    /// A client proposes a value to a leader.
    Propose(Place),
    /// A client asks a leader for a linearizable read.
    Read(Place),
    /// An operator asks a leader for another voter set.
    Change(Place, VoterChange),
    /// A replica's process is killed and started again.
    Kill(Place),
    /// A replica loses power, keeps its log up to this offset (exclusive), and is started again.
    PowerLoss(Place, Offset),
    /// A replica is started again with an empty disk.
    Wipe(Place),
    /// A disk has lost what was durable at or above this offset; the replica is started again with another one, if that is what
    /// its core demands (X12).
    Corrupt(Place, Offset),
    /// A replica's state machine has a snapshot of what it has applied, at most of all that is committed.
    Snapshot(Place, SnapshotId),
    /// A snapshot that a replica asked for is installed.
    Install(Place, SnapshotId),
}

/// The kinds of action, by the index that [`kind`] gives.
pub(super) const KINDS: &[&str] = &[
    "stand for election",
    "timer",
    "deliver",
    "deliver the first batch",
    "deliver twice",
    "store a vote",
    "flush",
    "propose",
    "read",
    "change voters",
    "kill",
    "power loss",
    "replace a disk",
    "take a snapshot",
    "install a snapshot",
    "lose durable records",
];

/// Index of an action's kind.
pub(super) fn kind(action: &Action) -> usize {
    match action {
        Action::Stand(_) => 0,
        Action::Expire(..) => 1,
        Action::Deliver(_) => 2,
        Action::Ask(..) => 1,
        Action::DeliverFirst(_) => 3,
        Action::Repeat(_) => 4,
        Action::Store(_) => 5,
        Action::Flush(_) => 6,
        Action::Propose(_) => 7,
        Action::Read(_) => 8,
        Action::Change(..) => 9,
        Action::Kill(_) => 10,
        Action::PowerLoss(..) => 11,
        Action::Wipe(_) => 12,
        Action::Snapshot(..) => 13,
        Action::Install(..) => 14,
        Action::Corrupt(..) => 15,
    }
}

/// The actions enabled in `state`.
pub(super) fn enabled(world: &World, state: &State, actions: &mut Vec<Action>) {
    deliveries(world, state, actions);
    let present = world.present(state);
    for (at, node) in (0..).zip(&state.nodes) {
        if !present.is_behind(node) {
            completions(at, node, actions);
            timers(world, state, at, actions);
            requests(world, state, at, actions);
            snapshots(world, state, at, actions);
        }
        if present.may_stand(node) {
            candidacies(world, state, at, actions);
        }
        if present.may_crash(node) {
            crashes(world, state, at, actions);
        }
    }
}

fn deliveries(world: &World, state: &State, actions: &mut Vec<Action>) {
    let repeats = state.spent.repeats < world.bounds.repeats;
    let present = world.present(state);
    for (at, packet) in state.network.iter().enumerate() {
        let same = at.checked_sub(1).and_then(|before| state.network.get(before)) == Some(packet);
        if same || !present.may_arrive(state.node(packet.to), &packet.letter.message) {
            continue;
        }
        actions.push(Action::Deliver(at));
        if world.bounds.split && batches(&packet.letter.message.body) > 1 {
            actions.push(Action::DeliverFirst(at));
        }
        if repeats {
            actions.push(Action::Repeat(at));
        }
    }
}

fn batches(body: &Body) -> usize {
    match body {
        Body::FetchAnswer(answer) => match &answer.fetched {
            Fetched::Records { batches, .. } => batches.len(),
            Fetched::Diverging(_) | Fetched::Snapshot(_) | Fetched::Refused { .. } => 0,
        },
        Body::Vote(_) | Body::VoteAnswer(_) | Body::Fetch(_) | Body::BeginQuorum | Body::EndQuorum { .. } => {
            0
        }
    }
}

fn completions(at: Place, node: &Node, actions: &mut Vec<Action>) {
    if !node.disk.storing.is_empty() {
        actions.push(Action::Store(at));
    }
    if !node.disk.syncs.is_empty() {
        actions.push(Action::Flush(at));
    }
}

fn timers(world: &World, state: &State, at: Place, actions: &mut Vec<Action>) {
    let Some(node) = state.nodes.get(usize::from(at)) else {
        return;
    };
    let role = node.core.role(&tenure(at, node));
    match role {
        RoleName::Leader => {
            if network::announcing_helps(state, at) {
                actions.push(Action::Expire(at, Timer::Announce));
            }
            if state.spent.resigns < world.bounds.resigns && world.voters(state, at).size() > 1 {
                actions.push(Action::Expire(at, Timer::CheckQuorum));
            }
        }
        RoleName::Observer | RoleName::Unattached => {
            let is_listed = node.core.voters().latest().contains(key(at, node.wipes));
            if !is_listed && network::probing_helps(world, state, at) {
                probes(world, state, at, actions);
            }
        }
        RoleName::Follower | RoleName::Prospective | RoleName::Candidate | RoleName::Resigned => {}
    }
    let follows = matches!(role, RoleName::Follower | RoleName::Observer) && node.core.waits_for().is_some();
    if follows
        && state.spent.resends < world.bounds.resends
        && network::fetches_in_flight(state, at) < world.bounds.in_flight
    {
        actions.push(Action::Expire(at, Timer::FetchRetry));
    }
}

/// A replica without a leader asks a voter who it is.
fn probes(world: &World, state: &State, at: Place, actions: &mut Vec<Action>) {
    if !world.symmetric {
        return actions.push(Action::Expire(at, Timer::Probe));
    }
    let voters = world.voters(state, at).keys().iter().map(|voter| place(voter.id));
    actions.extend(voters.filter(|voter| *voter != at).map(|voter| Action::Ask(at, voter)));
}

fn candidacies(world: &World, state: &State, at: Place, actions: &mut Vec<Action>) {
    let Some(node) = state.nodes.get(usize::from(at)) else {
        return;
    };
    let stands = !matches!(node.core.role(&tenure(at, node)), RoleName::Leader | RoleName::Observer);
    if stands && state.spent.elections < world.bounds.elections {
        actions.push(Action::Stand(at));
    }
}

fn requests(world: &World, state: &State, at: Place, actions: &mut Vec<Action>) {
    let Some(node) = state.nodes.get(usize::from(at)).filter(|node| node.core.is_leader()) else {
        return;
    };
    let (spent, bounds) = (&state.spent, &world.bounds);
    if node.core.is_established() {
        if spent.values < bounds.values {
            actions.push(Action::Propose(at));
        }
        if spent.reads < bounds.reads {
            actions.push(Action::Read(at));
        }
    }
    if spent.changes < bounds.changes {
        let voters = node.core.voters().latest();
        actions.extend(voters.keys().iter().map(|key| Action::Change(at, VoterChange::Remove(*key))));
        let others = (0..).zip(&state.nodes).map(|(place, other)| key(place, other.wipes));
        let others = others.filter(|key| !voters.contains(*key));
        actions.extend(others.map(|key| Action::Change(at, VoterChange::Add(key))));
    }
}

fn crashes(world: &World, state: &State, at: Place, actions: &mut Vec<Action>) {
    let Some(node) = state.nodes.get(usize::from(at)) else {
        return;
    };
    let (spent, bounds) = (&state.spent, &world.bounds);
    if spent.kills < bounds.kills {
        actions.push(Action::Kill(at));
    }
    if spent.power_losses < bounds.power_losses {
        let kept = node.disk.flushed.0..=node.disk.end().0;
        let kept = kept.filter(|kept| !bounds.only_losses || *kept < node.disk.end().0);
        actions.extend(kept.map(|kept| Action::PowerLoss(at, Offset(kept))));
    }
    if spent.wipes < bounds.wipes {
        actions.push(Action::Wipe(at));
    }
    if spent.corruptions < bounds.corruptions {
        let lost = node.disk.start.0..node.disk.flushed.0;
        // What is left makes no difference where it is thrown away.
        let told_apart = if world.may_start_damaged() { usize::MAX } else { 1 };
        actions.extend(lost.take(told_apart).map(|kept| Action::Corrupt(at, Offset(kept))));
    }
}

fn snapshots(world: &World, state: &State, at: Place, actions: &mut Vec<Action>) {
    let Some(node) = state.nodes.get(usize::from(at)) else {
        return;
    };
    if let Some(id) = node.core.installing() {
        actions.push(Action::Install(at, id));
    }
    if state.spent.snapshots >= world.bounds.snapshots {
        return;
    }
    let committed = node.core.high_watermark().unwrap_or_default().min(node.core.log().flushed());
    let newest = node.core.snapshot().map_or(Offset::ZERO, |newest| newest.end);
    // A state machine may be behind what is committed.
    let ends = newest.0 + 1..=committed.0;
    let snapshot = |end: Offset| {
        let quorum_epoch = node.core.log().epoch_at(end.before()?)?;
        Some(Action::Snapshot(at, SnapshotId { end, quorum_epoch }))
    };
    actions.extend(ends.filter_map(|end| snapshot(Offset(end))));
}
