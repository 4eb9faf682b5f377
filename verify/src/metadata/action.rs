//! What can happen next.

use highwater_model::id::{NodeId, Offset, PartitionIndex, TopicId, TopicPartition};
use highwater_model::metadata::{Broker, Image};
use highwater_model::replication::ReplicaIdx;
use serde::{Deserialize, Serialize};

use super::World;
use super::state::{Envelope, State};

/// The first partition of the first topic: the one that leaders make proposals for.
pub const PARTITION: TopicPartition = TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) };

/// An ISR change that a leader proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposed {
    /// Without this member.
    Shrink(ReplicaIdx),
    /// With this replica.
    Expand(ReplicaIdx),
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The first topic is made, with a replica on every broker.
    CreateFirst,
    /// Another topic is made, with two partitions.
    CreateOther,
    /// The other topic is deleted.
    DeleteOther,
    /// The other topic gets a third partition.
    GrowOther,
    /// The first topic's min.insync.replicas goes to one, or back to two.
    MinIsr,
    /// The first topic's flush.policy goes to commit, or back to os.
    FlushPolicy,
    /// The first topic's preferred leader is elected.
    ElectPreferred,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A broker that does not run starts.
    Start(NodeId),
    /// A broker's heartbeat is due.
    Timer(NodeId),
    /// A broker applies the next batch.
    Apply(NodeId),
    /// The message at this place arrives.
    Deliver(u8),
    /// The message at this place arrives, and will once more.
    Repeat(u8),
    /// The message at this place is lost.
    Lose(u8),
    /// The quorum commits the next batch.
    Commit,
    /// Another controller is elected; it has so many of the uncommitted batches.
    FailOver(u8),
    /// The controller is elected again, not having heard that it was deposed; it has so many of the uncommitted batches.
    ElectAgain(u8),
    /// A broker's session ends.
    Expire(NodeId),
    /// A broker is asked to stop.
    Stop(NodeId),
    /// A broker is killed.
    Kill(NodeId),
    /// A broker loses power.
    PowerLoss(NodeId),
    /// A leader makes a proposal.
    Propose(NodeId, Proposed),
    /// An operator changes something.
    Operate(Change),
}

/// The kinds of action, in words.
pub(super) const KINDS: &[&str] = &[
    "broker starts",
    "heartbeat is due",
    "broker applies metadata",
    "message arrives",
    "message arrives twice",
    "message is lost",
    "batch is committed",
    "controller fails over",
    "session ends",
    "shutdown is asked for",
    "broker is killed",
    "broker loses power",
    "leader proposes an isr",
    "operator changes something",
    "controller is elected again",
];

pub(super) fn kind(action: &Action) -> usize {
    match action {
        Action::Start(_) => 0,
        Action::Timer(_) => 1,
        Action::Apply(_) => 2,
        Action::Deliver(_) => 3,
        Action::Repeat(_) => 4,
        Action::Lose(_) => 5,
        Action::Commit => 6,
        Action::FailOver(_) => 7,
        Action::Expire(_) => 8,
        Action::Stop(_) => 9,
        Action::Kill(_) => 10,
        Action::PowerLoss(_) => 11,
        Action::Propose(..) => 12,
        Action::Operate(_) => 13,
        Action::ElectAgain(_) => 14,
    }
}

/// The enabled actions: first those that heal, then those that the bounds ration.
pub(super) fn enabled(world: &World, state: &State, actions: &mut Vec<Action>) {
    healing(world, state, actions);
    let (bounds, spent) = (&world.bounds, &state.spent);
    let messages = u8::try_from(state.wire.len()).expect("few messages are under way");
    if spent.repeats < bounds.repeats {
        actions.extend((0..messages).map(Action::Repeat));
    }
    if spent.losses < bounds.losses {
        actions.extend((0..messages).map(Action::Lose));
    }
    let uncommitted = u8::try_from(state.tail.len()).expect("few batches are uncommitted");
    if spent.failovers < bounds.failovers {
        actions.extend((0..=uncommitted).map(Action::FailOver));
    }
    if spent.reelections < bounds.reelections {
        actions.extend((0..=uncommitted).map(Action::ElectAgain));
    }
    for node in state.nodes() {
        perturbing(world, state, node, actions);
    }
    if spent.changes < bounds.changes {
        changes(world, state.controller.get().image(), actions);
    }
}

/// What happens without anybody's doing, and brings the cluster forward.
pub(super) fn healing(world: &World, state: &State, actions: &mut Vec<Action>) {
    let messages = u8::try_from(state.wire.len()).expect("few messages are under way");
    actions.extend((0..messages).map(Action::Deliver));
    if !state.tail.is_empty() {
        actions.push(Action::Commit);
    }
    let current = state.history.len() - 1;
    for node in state.nodes() {
        let Some(run) = state.run(node) else {
            actions.push(Action::Start(node));
            if state.is_watched(node) {
                actions.push(Action::Expire(node));
            }
            continue;
        };
        if usize::from(run.applied) < current {
            actions.push(Action::Apply(node));
        }
        if may_ask(world, state, node) && has_reason_to_ask(state, node) {
            actions.push(Action::Timer(node));
        }
        if state.is_watched(node) && !is_registered_run(state, node) {
            actions.push(Action::Expire(node));
        }
    }
}

fn perturbing(world: &World, state: &State, node: NodeId, actions: &mut Vec<Action>) {
    let (bounds, spent) = (&world.bounds, &state.spent);
    let written = state.broker(node).disk.same_boot;
    if spent.power_losses < bounds.power_losses && (written || state.run(node).is_some()) {
        actions.push(Action::PowerLoss(node));
    }
    let Some(run) = state.run(node) else { return };
    if spent.beats < bounds.beats && may_ask(world, state, node) && !has_reason_to_ask(state, node) {
        actions.push(Action::Timer(node));
    }
    if spent.fences < bounds.fences && state.is_watched(node) && is_registered_run(state, node) {
        actions.push(Action::Expire(node));
    }
    if spent.shutdowns < bounds.shutdowns && !run.lifecycle.is_stopping() {
        actions.push(Action::Stop(node));
    }
    if spent.kills < bounds.kills {
        actions.push(Action::Kill(node));
    }
    if spent.proposals < bounds.proposals {
        proposals(state, node, actions);
    }
}

/// Whether fewer requests of this run are under way than it may have.
fn may_ask(world: &World, state: &State, node: NodeId) -> bool {
    let run = state.broker(node).runs;
    let own = |envelope: &&Envelope| envelope.of_run() == Some((node, run));
    let asked = state.asked.iter().filter(|(_, origin)| origin.of_run() == Some((node, run)));
    state.wire.iter().filter(own).count() + asked.count() < usize::from(world.bounds.in_flight.max(1))
}

/// Whether a heartbeat would bring anything forward: a registration, an unfencing, a shutdown of its own or of another.
/// All others are rationed, lest every broker be in the middle of one at any time.
fn has_reason_to_ask(state: &State, node: NodeId) -> bool {
    let Some((run, applied)) = state.run(node).zip(state.applied(node)) else { return false };
    let image = state.controller.get().image();
    let registered = image.broker(node).filter(|_| is_registered_run(state, node));
    let Some(registered) = registered else { return true };
    let unaware = run.lifecycle.broker_epoch().is_none() || run.lifecycle.is_fenced();
    if run.lifecycle.is_stopping() {
        return registered.fenced || registered.stopping.is_none_or(|end| everyone_told(state, node, end));
    }
    let handed_over = image.brokers().iter().filter(|other| !other.fenced).filter_map(|other| other.stopping);
    let tells = handed_over
        .into_iter()
        .any(|end| applied.end() >= end && state.controller.get().heard_from(node) < Some(end));
    unaware || registered.fenced || tells
}

/// Whether every active broker but `node` has told the controller that it has applied what ends at `end`.
fn everyone_told(state: &State, node: NodeId, end: Offset) -> bool {
    let controller = state.controller.get();
    let others = controller.image().brokers().iter().filter(|other| other.is_active() && other.node != node);
    others.into_iter().all(|other| controller.heard_from(other.node) >= Some(end))
}

/// Whether the process that runs is the one that is registered.
pub(super) fn is_registered_run(state: &State, node: NodeId) -> bool {
    let registered = state.controller.get().image().broker(node);
    registered
        .is_some_and(|broker| broker.incarnation == super::step::incarnation(node, state.broker(node).runs))
}

/// What a broker that believes it leads can propose. It speaks of what its own image says.
fn proposals(state: &State, node: NodeId, actions: &mut Vec<Action>) {
    let Some((run, image)) = state.run(node).zip(state.applied(node)) else { return };
    let Some(partition) = image.partition(PARTITION) else { return };
    let current = image.broker(node).map(|broker| broker.broker_epoch);
    let Some(leader) = partition.leader.filter(|_| partition.leader_node() == Some(node)) else { return };
    if current != run.lifecycle.broker_epoch() {
        return;
    }
    for (replica, other) in partition.assignment().filter(|(replica, _)| *replica != leader) {
        if partition.isr.contains(replica) {
            actions.push(Action::Propose(node, Proposed::Shrink(replica)));
        } else if image.broker(other).is_some_and(Broker::is_active) {
            actions.push(Action::Propose(node, Proposed::Expand(replica)));
        }
    }
}

/// What an operator can sensibly ask for.
fn changes(world: &World, image: &Image, actions: &mut Vec<Action>) {
    let mut offer = |change| actions.push(Action::Operate(change));
    if image.topic(PARTITION.topic).is_none() {
        offer(Change::CreateFirst);
        return;
    }
    if world.changes_flush_policy() {
        offer(Change::FlushPolicy);
        return;
    }
    offer(Change::MinIsr);
    offer(Change::ElectPreferred);
    match image.topic_by_name(super::step::OTHER) {
        None => offer(Change::CreateOther),
        Some(other) => {
            offer(Change::DeleteOther);
            if other.partitions.len() < 3 {
                offer(Change::GrowOther);
            }
        }
    }
}
