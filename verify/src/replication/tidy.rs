//! Reductions: what is removed from a state because nothing can come of it.
//!
//! Messages that can only be refused go (a bound keeps them, and a planted bug does, since it may be one that heeds them);
//! views that tell a replica nothing are applied at once, and forgotten when all have applied them.

use highwater_model::id::{BrokerEpoch, LeaderEpoch, Offset, RequestId};
use highwater_model::replication::{Message, PartitionView, ReplicaIdx};

use smallvec::SmallVec;

use super::World;
use super::cluster::Request;
use super::drive::Driver;
use super::encode::says_the_same;
use super::network::Envelope;
use super::part::Part;
use super::state::{Run, State};
use super::turn::Event;
use crate::world::Notes;

impl World {
    /// Whether what can only be refused is left out. A planted bug may be one that heeds it.
    fn reduces(&self) -> bool {
        self.planted.0.is_none() && !self.bounds.keep_dead
    }

    /// Removes what no later step can tell from nothing.
    pub(super) fn tidy(&self, state: &mut State) {
        self.apply_silent_views(state);
        self.drop_views(state);
        if self.reduces() {
            let dead = |envelope: &Part<Envelope>| is_dead(state, envelope);
            let dead: SmallVec<[bool; 8]> = state.network.envelopes().iter().map(dead).collect();
            state.network.drop_dead(&dead);
        }
    }

    /// The next view of this broker, if to apply it changes nothing that any later step could tell: a replica that does
    /// not lead heeds of a view who leads and in which leader epoch, so that one which tells neither anew may as well be
    /// applied at once. (A heartbeat may only need it to have been applied, never the opposite.) A replica that neither
    /// leads nor follows can do nothing else: it refuses every message and waits for no timer, and a fetch that it sends
    /// too early is a fetch that is delivered late.
    ///
    /// A follower whose leader is gone for good, and to which nothing is under way, can do nothing before it has applied the
    /// next view either, and whatever may happen after it has may wait: so it applies it at once, too.
    fn silent_view(&self, state: &State, replica: ReplicaIdx) -> Option<Part<PartitionView>> {
        let run = state.run(replica)?;
        let next = state.cluster.next_view(run.applied)?;
        let known = run.core.view();
        let seen = known.metadata_offset > Offset::ZERO;
        let idle = !run.leads() && !run.core.is_following();
        let same = says_the_same(known, &next);
        let silent = idle || (seen && same && !run.leads());
        (silent || (self.reduces() && is_left_alone(state, replica, run, &next))).then_some(next)
    }

    /// Applies views to replicas that do not lead and that are told nothing new by them. Whether a view is silent does not
    /// depend on which other replicas have applied theirs before: what they send is of their new leader epoch, and who
    /// comes to lead by a view applies no further one.
    fn apply_silent_views(&self, state: &mut State) {
        for replica in state.replicas() {
            while let Some(view) = self.silent_view(state, replica) {
                Driver { world: self, state: &mut *state, notes: &mut Notes::default() }
                    .feed(replica, Event::View(view));
            }
        }
    }

    /// Views that every running broker has applied. A broker that starts is told the current one first.
    fn drop_views(&self, state: &mut State) {
        let applied = state.brokers.iter().filter_map(|broker| broker.run.as_ref()).map(|run| run.applied);
        let applied = applied.min().unwrap_or(state.cluster.current().metadata_offset);
        if state.cluster.has_applied_views(applied) {
            Driver { world: self, state, notes: &mut Notes::default() }.ask(Request::Forget(applied));
        }
    }
}

/// Whether a replica follows a leader that will never answer it, in a leader epoch that `next` ends, with nothing of that
/// epoch under way to it and nothing unfinished on its disk. What is of a later one it is not given before it knows of it.
fn is_left_alone(state: &State, replica: ReplicaIdx, run: &Run, next: &PartitionView) -> bool {
    let deaf = |leader: ReplicaIdx| state.run(leader).is_none_or(|leader| leader.known > run.known);
    let to_it = |envelope: &Envelope| match envelope {
        Envelope::Peer { to, message, .. } => *to == replica && epoch_of(message) == run.known,
        Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
    };
    let disk = &state.broker(replica).disk;
    run.core.is_following()
        && next.leader_epoch > run.known
        && run.core.view().leader.is_some_and(deaf)
        && disk.writes.is_empty()
        && disk.syncs.is_empty()
        && !state.network.envelopes().iter().any(|envelope| to_it(envelope))
}

fn epoch_of(message: &Message) -> LeaderEpoch {
    match message {
        Message::Fetch(fetch) => fetch.leader_epoch,
        Message::Progress(progress) => progress.leader_epoch,
        Message::FetchAnswer(answer) => answer.leader_epoch,
    }
}

/// Whether delivery of a message can only be refused, now and ever: epochs, incarnations and request ids never return.
fn is_dead(state: &State, envelope: &Envelope) -> bool {
    match envelope {
        Envelope::Peer { from, to, message, .. } => state
            .run(*to)
            .is_none_or(|run| is_dead_message(run, *from, message) || is_told(state, run, *from, message)),
        // The controller knows a broker's current incarnation alone, and so does the connection of an answer. What the
        // controller would refuse to a leader that no longer waits for the answer comes to nothing either.
        Envelope::Proposal { from, proposal } => state.run(*from).is_none_or(|run| {
            let open = run.core.open_proposal() == Some(proposal.request_id);
            let current = state.cluster.partition().partition_epoch == proposal.partition_epoch;
            run.broker_epoch != proposal.broker_epoch || !(open || current)
        }),
        Envelope::Decision { to, broker_epoch, answer } => state.run(*to).is_none_or(|run| {
            run.broker_epoch != *broker_epoch || run.core.open_proposal() != Some(answer.request_id)
        }),
    }
}

/// A receiver that is down comes back as another incarnation, in a later leader epoch if it leads.
fn is_dead_message(run: &Run, from: ReplicaIdx, message: &Message) -> bool {
    match message {
        Message::Fetch(fetch) => {
            let (leader_epoch, broker_epoch) = (fetch.leader_epoch, fetch.broker_epoch);
            run.known > leader_epoch || is_outdated(run, from, leader_epoch, broker_epoch, fetch.request_id)
        }
        Message::Progress(progress) => {
            let (leader_epoch, broker_epoch) = (progress.leader_epoch, progress.broker_epoch);
            run.known > leader_epoch
                || is_outdated(run, from, leader_epoch, broker_epoch, progress.request_id)
        }
        Message::FetchAnswer(answer) => {
            let answered = answer.answered;
            let reached = run.known == answer.leader_epoch;
            run.known > answer.leader_epoch
                || run.broker_epoch != answered.broker_epoch
                || run.core.log().generation() != answered.generation
                || (reached && run.core.open_fetch() != Some(answered.request_id))
        }
    }
}

/// Whether a later registration of the sender is known to the receiver, or a later request: of those that it knows only
/// where both are of the leader epoch that it leads in, since ids begin anew with each.
fn is_outdated(
    run: &Run,
    from: ReplicaIdx,
    leader_epoch: LeaderEpoch,
    broker_epoch: BrokerEpoch,
    request_id: RequestId,
) -> bool {
    let registered = run.core.view().replica(from).and_then(|replica| replica.broker_epoch);
    let last = run.core.last_fetch(from).filter(|_| run.known == leader_epoch);
    registered.is_some_and(|registered| registered > broker_epoch)
        || last.is_some_and(|last| last > (broker_epoch, request_id))
}

/// Whether a sync that a follower tells of is known to its leader, or will be by every fetch that it could amend.
fn is_told(state: &State, leader: &Run, from: ReplicaIdx, message: &Message) -> bool {
    let Message::Progress(progress) = message else { return false };
    let amends = (progress.broker_epoch, progress.request_id);
    if leader.known == progress.leader_epoch && leader.core.last_fetch(from) == Some(amends) {
        return leader.core.follower_durable_end(from) >= Some(progress.durable_end);
    }
    let amended = |envelope: &Part<Envelope>| match &**envelope {
        Envelope::Peer { from: sender, message: Message::Fetch(fetch), .. } => {
            *sender == from
                && fetch.leader_epoch == progress.leader_epoch
                && (fetch.broker_epoch, fetch.request_id) == amends
                && fetch.durable_end < progress.durable_end
        }
        Envelope::Peer { .. } | Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
    };
    !state.network.envelopes().iter().any(amended)
}
