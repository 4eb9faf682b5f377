//! What may happen next in a state: enabled actions only, in a fixed order.

use highwater_model::id::Offset;
use highwater_model::replication::{Message, ReplicaIdx, Timer};
use serde::{Deserialize, Serialize};

use super::World;
use super::bounds::Heartbeats;
use super::encode::settled;
use super::network::Envelope;
use super::reduce::Reduction;
use super::state::{Run, Standing, State};

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The message at this place of the network is delivered.
    Deliver(u8),
    /// A broker applies the next view of the metadata.
    Apply(ReplicaIdx),
    /// The oldest write of a broker ends.
    Write(ReplicaIdx),
    /// The oldest sync of a broker ends.
    Flush(ReplicaIdx),
    /// A client produces the next record, at a broker that believes to lead.
    Produce(ReplicaIdx),
    /// A client repeats the produce of this record.
    Repeat(u8, ReplicaIdx),
    /// A follower has waited long enough for an answer.
    FetchRetry(ReplicaIdx),
    /// A leader has waited long enough for the controller.
    ProposalRetry(ReplicaIdx),
    /// At this leader, that follower has lagged for too long.
    Lag(ReplicaIdx, ReplicaIdx),
    /// The oldest write of a broker finds no room.
    WriteFails(ReplicaIdx),
    /// A follower that found no room tries again.
    Room(ReplicaIdx),
    /// The process is killed; that many records remain.
    Kill(ReplicaIdx, u8),
    /// The power fails; that many records remain.
    PowerLoss(ReplicaIdx, u8),
    /// The broker's machine is put back to what it was when the broker last stopped under control.
    Restore(ReplicaIdx),
    /// The broker starts again and registers.
    Start(ReplicaIdx),
    /// The broker's session ends.
    Expire(ReplicaIdx),
    /// A fenced broker is heard from again.
    Unfence(ReplicaIdx),
    /// A broker asks to shut down, or whether it may by now.
    Stop(ReplicaIdx),
    /// Whatever is committed at this replica is deleted there.
    Delete(ReplicaIdx),
    /// An operator changes min.insync.replicas.
    Configure,
    /// The proposal at this place of the network reaches a controller of before.
    AskDeposed(u8),
    /// A leader of the past hears what it needs for its high watermark to rise.
    Hear(ReplicaIdx),
}

/// The kinds, by [`kind`].
pub(super) const KINDS: &[&str] = &[
    "a message is delivered",
    "a broker applies metadata",
    "a write ends",
    "a sync ends",
    "a client produces",
    "a client repeats a produce",
    "a follower repeats a fetch",
    "a leader repeats a proposal",
    "a follower lags for too long",
    "a write finds no room",
    "a follower without room tries again",
    "a process is killed",
    "the power fails",
    "a broker starts again",
    "a session ends",
    "a fenced broker is heard from again",
    "a broker shuts down",
    "a leader of the past hears what it needs",
    "records are deleted",
    "min.insync.replicas changes",
    "a proposal reaches a deposed controller",
    "a disk is put back",
];

/// Index into [`KINDS`].
pub(super) fn kind(action: &Action) -> usize {
    match action {
        Action::Deliver(_) => 0,
        Action::Apply(_) => 1,
        Action::Write(_) => 2,
        Action::Flush(_) => 3,
        Action::Produce(_) => 4,
        Action::Repeat(..) => 5,
        Action::FetchRetry(_) => 6,
        Action::ProposalRetry(_) => 7,
        Action::Lag(..) => 8,
        Action::WriteFails(_) => 9,
        Action::Room(_) => 10,
        Action::Kill(..) => 11,
        Action::PowerLoss(..) => 12,
        Action::Start(_) => 13,
        Action::Expire(_) => 14,
        Action::Unfence(_) => 15,
        Action::Stop(_) => 16,
        Action::Hear(_) => 17,
        Action::Delete(_) => 18,
        Action::Configure => 19,
        Action::AskDeposed(_) => 20,
        Action::Restore(_) => 21,
    }
}

/// Whom an action is of: a broker, or the link between two; 0 for clients and the controller.
pub(super) fn party(state: &State, action: Action) -> u64 {
    let broker = |replica: ReplicaIdx| 1 + u64::from(replica.0);
    match action {
        Action::Deliver(at) => match state.network.envelopes().get(usize::from(at)).map(|part| part.get()) {
            Some(Envelope::Peer { from, to, .. }) => broker(*from.min(to)) << 8 | broker(*from.max(to)),
            Some(Envelope::Proposal { from: leader, .. } | Envelope::Decision { to: leader, .. }) => {
                broker(*leader) << 16
            }
            None => 0,
        },
        Action::Produce(_)
        | Action::Repeat(..)
        | Action::Expire(_)
        | Action::Configure
        | Action::AskDeposed(_) => 0,
        Action::Apply(replica)
        | Action::Write(replica)
        | Action::Flush(replica)
        | Action::FetchRetry(replica)
        | Action::ProposalRetry(replica)
        | Action::Lag(replica, _)
        | Action::WriteFails(replica)
        | Action::Room(replica)
        | Action::Kill(replica, _)
        | Action::PowerLoss(replica, _)
        | Action::Restore(replica)
        | Action::Start(replica)
        | Action::Unfence(replica)
        | Action::Stop(replica)
        | Action::Hear(replica)
        | Action::Delete(replica) => broker(replica),
    }
}

/// Lists what is enabled.
pub(super) fn enabled(world: &World, state: &State, actions: &mut Vec<Action>) {
    deliveries(world, state, actions);
    for replica in state.replicas() {
        match &state.broker(replica).run {
            Some(run) => of_running(world, state, replica, run, actions),
            None => actions.push(Action::Start(replica)),
        }
        of_controller(world, state, replica, actions);
    }
    of_operators(world, state, actions);
}

fn of_operators(world: &World, state: &State, actions: &mut Vec<Action>) {
    if state.left.configs > 0 {
        actions.push(Action::Configure);
    }
    if state.left.deposed > 0 {
        let envelopes = (0..).zip(state.network.envelopes());
        let ahead = envelopes.filter(|(_, envelope)| world.is_ahead_of_the_deposed(envelope));
        actions.extend(ahead.map(|(at, _)| Action::AskDeposed(at)));
    }
    if state.left.deletes > 0 {
        let may_delete = |replica: &ReplicaIdx| {
            state.run(*replica).is_some_and(|run| {
                let log = run.core.log();
                run.core.high_watermark().min(log.flushed()) > log.start()
            })
        };
        actions.extend(state.replicas().filter(may_delete).map(Action::Delete));
    }
}

fn deliveries(world: &World, state: &State, actions: &mut Vec<Action>) {
    let envelopes = state.network.envelopes();
    for (at, envelope) in (0..).zip(envelopes) {
        let twin = usize::from(at).checked_sub(1).and_then(|before| envelopes.get(before));
        // A leader of the past hears messages together, as it needs them.
        let by_need = || state.past_receiver(envelope).is_some();
        let is_early = world.reduce.has(Reduction::Parked) && is_early(state, envelope);
        if twin != Some(envelope) && !is_early && !by_need() {
            actions.push(Action::Deliver(at));
        }
    }
}

/// Whether the receiver would refuse the message for now, because it is behind in the metadata. To deliver it then is to
/// lose it, after which its sender repeats it: nothing follows that does not follow from a delivery later on.
pub(super) fn is_early(state: &State, envelope: &Envelope) -> bool {
    match envelope {
        Envelope::Peer { from, to, message, .. } => {
            let Some(run) = state.run(*to) else { return false };
            match message {
                Message::Fetch(fetch) => run.known < fetch.leader_epoch,
                // It amends a fetch; before that has come there is nothing to amend.
                Message::Progress(progress) => {
                    let amends = Some((progress.broker_epoch, progress.request_id));
                    run.known < progress.leader_epoch || run.core.last_fetch(*from) < amends
                }
                Message::FetchAnswer(answer) => run.known < answer.leader_epoch,
            }
        }
        Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
    }
}

/// Whether a follower that repeats its fetch can bring anything about: not while the fetch waits at its leader or is on
/// its way there, where a second one is only taken as the same.
fn may_repeat(world: &World, state: &State, replica: ReplicaIdx, run: &Run) -> bool {
    let open = run.core.open_fetch();
    let waits = |leader: &Run| {
        leader.known == run.known
            && leader.core.parked_fetch(replica).is_some_and(|parked| {
                Some(parked.request_id) == open && parked.broker_epoch == run.broker_epoch
            })
    };
    let waits = run.core.view().leader.and_then(|leader| state.run(leader)).is_some_and(waits);
    let fetches = state.network.fetches_of(replica, |envelope| state.past_receiver(envelope).is_none());
    let comes_to_nothing = || waits || is_fetch_under_way(state, replica, run);
    fetches < usize::from(world.bounds.in_flight)
        && !(world.reduce.has(Reduction::Parked) && comes_to_nothing())
}

/// Whether the fetch that a follower waits for is on its way to its leader.
fn is_fetch_under_way(state: &State, replica: ReplicaIdx, run: &Run) -> bool {
    let open = run.core.open_fetch();
    let of_open = |envelope: &Envelope| match envelope {
        Envelope::Peer { from, message: Message::Fetch(fetch), .. } => {
            *from == replica
                && Some(fetch.request_id) == open
                && fetch.broker_epoch == run.broker_epoch
                && fetch.leader_epoch == run.known
        }
        Envelope::Peer { .. } | Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
    };
    state.network.envelopes().iter().any(|envelope| of_open(envelope))
}

fn of_running(world: &World, state: &State, replica: ReplicaIdx, run: &Run, actions: &mut Vec<Action>) {
    if state.cluster.next_view(run.applied).is_some() {
        actions.push(Action::Apply(replica));
    }
    let disk = &state.broker(replica).disk;
    if !disk.writes.is_empty() {
        actions.push(Action::Write(replica));
        let is_of_now = disk.writes.iter().all(|write| write.generation == run.core.generation());
        if state.left.full_disks > 0 && is_of_now {
            actions.push(Action::WriteFails(replica));
        }
    }
    let waits = world.reduce.has(Reduction::Syncs) && may_sync_later(state, replica, run);
    if !disk.syncs.is_empty() && !waits {
        actions.push(Action::Flush(replica));
    }
    if let Some(past) = state.past_of(replica) {
        if past.may_hear().is_some() {
            actions.push(Action::Hear(replica));
        }
    } else {
        if run.leads() {
            of_clients(world, state, replica, actions);
        }
        of_timers(world, state, replica, run, actions);
    }
    of_faults(state, replica, actions);
}

/// Whether a sync of this follower may as well end when its leader has heard its open fetch: until then nothing else happens to
/// it where nobody can be elected any more, and what it would tell of the sync can only be heard after the fetch.
fn may_sync_later(state: &State, replica: ReplicaIdx, run: &Run) -> bool {
    settled(state).is_some_and(|leader| leader != replica)
        && state.left.full_disks == 0
        && run.core.is_following()
        && state.cluster.next_view(run.applied).is_none()
        && is_fetch_under_way(state, replica, run)
}

fn of_clients(world: &World, state: &State, leader: ReplicaIdx, actions: &mut Vec<Action>) {
    if state.ledger.clients.len() < usize::from(world.bounds.records) {
        actions.push(Action::Produce(leader));
    }
    if state.left.retries > 0 {
        let again =
            (0..).zip(&state.ledger.clients).filter(|(_, standing)| **standing != Standing::Acknowledged);
        actions.extend(again.map(|(value, _)| Action::Repeat(value, leader)));
    }
}

fn of_timers(world: &World, state: &State, replica: ReplicaIdx, run: &Run, actions: &mut Vec<Action>) {
    for timer in &run.timers {
        match *timer {
            Timer::FetchRetry => {
                if may_repeat(world, state, replica, run) {
                    actions.push(Action::FetchRetry(replica));
                }
            }
            Timer::Room => actions.push(Action::Room(replica)),
            Timer::AlterPartitionRetry => {
                if state.left.timeouts > 0 {
                    actions.push(Action::ProposalRetry(replica));
                }
            }
            Timer::Lag(follower) => {
                if state.left.shrinks > 0 {
                    actions.push(Action::Lag(replica, follower));
                }
            }
        }
    }
}

fn of_faults(state: &State, replica: ReplicaIdx, actions: &mut Vec<Action>) {
    let disk = &state.broker(replica).disk;
    if state.left.kills > 0 {
        actions.extend((disk.written..=disk.end()).map(|kept| Action::Kill(replica, kept)));
    }
    if state.left.power_losses > 0 {
        actions.extend((disk.flushed..=disk.end()).map(|kept| Action::PowerLoss(replica, kept)));
    }
    // What one that is fenced has fetched since it stopped counts for nothing.
    let counts = state.cluster.broker(replica).is_active();
    if state.left.restores > 0 && counts && disk.loses_by_restoring() {
        actions.push(Action::Restore(replica));
    }
}

/// Whether a broker that has applied so much may be heard from now, and be unfenced by it (Q54).
pub(super) fn may_be_unfenced(world: &World, state: &State, replica: ReplicaIdx, applied: Offset) -> bool {
    let broker = state.cluster.broker(replica);
    let may_come = || match world.bounds.heartbeats {
        Heartbeats::Apart => true,
        Heartbeats::InTurn => state.cluster.next_view(applied).is_none(),
    };
    broker.fenced && applied > Offset(broker.broker_epoch.0) && may_come()
}

/// Events between a broker and the controller.
fn of_controller(world: &World, state: &State, replica: ReplicaIdx, actions: &mut Vec<Action>) {
    let broker = state.cluster.broker(replica);
    let run = state.run(replica);
    let forced = run.is_none();
    if !broker.fenced && (forced || state.left.elections > 0) {
        actions.push(Action::Expire(replica));
    }
    let Some(run) = run else { return };
    if may_be_unfenced(world, state, replica, run.applied) {
        actions.push(Action::Unfence(replica));
    }
    let may_begin = state.left.shutdowns > 0;
    if !broker.fenced && (broker.stopping.is_some() || may_begin) {
        actions.push(Action::Stop(replica));
    }
}
