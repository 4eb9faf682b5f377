//! Messages that can only be refused, or that tell nothing: of those a state is rid.
//!
//! A bound keeps them, and a planted bug does, since it may be one that heeds them.

use highwater_model::id::{BrokerEpoch, LeaderEpoch, RequestId};
use highwater_model::replication::{
    AlterPartitionAnswer, AlterPartitionOutcome, Fetch, Message, Progress, ReplicaIdx,
};

use super::network::Envelope;
use super::part::Part;
use super::reduce::{Reduction, Reductions};
use super::state::{Run, State};

pub(super) fn epoch_of(message: &Message) -> LeaderEpoch {
    match message {
        Message::Fetch(fetch) => fetch.leader_epoch,
        Message::Progress(progress) => progress.leader_epoch,
        Message::FetchAnswer(answer) => answer.leader_epoch,
    }
}

/// Why nothing can come of a message, now and ever: epochs and incarnations never return, nor do request ids at a leader that
/// remembers them ([`may_forget`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is nobody to hear it: its receiver is down, or on the connection of another incarnation.
    Unheard,
    /// Its receiver refuses it.
    Refused,
    /// It tells of a sync that its receiver knows of, or of one of a fetch that never comes.
    Told,
    /// It repeats what its receiver has heard, and nobody waits for the answer.
    Heard,
    /// Its receiver is a leader of the past that can bring about nothing more.
    Past,
    /// The controller refuses it, and its sender can only wait for metadata then, as it does now.
    Doomed,
    /// It tells a leader to wait, which does just that.
    Waits,
}

impl Why {
    /// The reduction that drops for this reason.
    fn reduction(self) -> Reduction {
        match self {
            Self::Unheard | Self::Refused | Self::Doomed | Self::Waits => Reduction::Dead,
            Self::Told | Self::Heard => Reduction::Told,
            Self::Past => Reduction::Past,
        }
    }
}

/// Whether a leader may yet forget what its followers have told it, as one does whose write finds no room: then it would heed
/// again what it refuses for now as overtaken or known.
fn may_forget(state: &State) -> bool {
    state.left.full_disks > 0
}

/// Why a message may be dropped by one of these reductions, if it may.
pub(super) fn why_dead(state: &State, envelope: &Envelope, reduce: Reductions) -> Option<Why> {
    let first = |reasons: &[(Why, &dyn Fn() -> bool)]| {
        let mut made = reasons.iter().filter(|(why, _)| reduce.has(why.reduction()));
        made.find(|(_, holds)| holds()).map(|(why, _)| *why)
    };
    let unheard = || reduce.has(Reduction::Dead).then_some(Why::Unheard);
    // Whether a leader that has proposed does nothing more about it until it is told.
    let waits = state.left.timeouts == 0;
    let is_remembered = !may_forget(state);
    match envelope {
        Envelope::Peer { from, to, message, .. } => {
            let Some(run) = state.run(*to) else { return unheard() };
            let cannot_reach = || state.past_receiver(envelope).is_some_and(|past| !past.may_reach());
            first(&[
                (Why::Refused, &|| is_dead_message(run, *from, message, is_remembered)),
                (Why::Told, &|| is_told(state, run, *from, message)),
                (Why::Heard, &|| is_heard(state, run, *from, message)),
                (Why::Past, &cannot_reach),
            ])
        }
        // The controller knows a broker's current incarnation alone, and so does the connection of an answer. What the
        // controller would refuse to a leader that no longer waits for the answer comes to nothing either.
        Envelope::Proposal { from, proposal } => {
            let Some(run) = state.run(*from) else { return unheard() };
            let open = run.core.open_proposal() == Some(proposal.request_id);
            let current = state.cluster.current().partition_epoch == proposal.partition_epoch;
            first(&[
                (Why::Refused, &|| run.broker_epoch != proposal.broker_epoch || !(open || current)),
                (Why::Doomed, &|| state.past_of(*from).is_some() || (waits && is_doomed(state, envelope))),
            ])
        }
        Envelope::Decision { to, broker_epoch, answer } => {
            let run = state.run(*to).filter(|run| run.broker_epoch == *broker_epoch);
            let Some(run) = run else { return unheard() };
            first(&[
                (Why::Refused, &|| run.core.open_proposal() != Some(answer.request_id)),
                (Why::Past, &|| state.past_receiver(envelope).is_some()),
                (Why::Waits, &|| waits && tells_to_wait(answer)),
            ])
        }
    }
}

/// Whether this is a proposal that the controller will refuse whatever it proposes: the partition has moved on (R43).
pub(super) fn is_doomed(state: &State, envelope: &Envelope) -> bool {
    match envelope {
        Envelope::Proposal { proposal, .. } => {
            proposal.partition_epoch < state.cluster.current().partition_epoch
        }
        Envelope::Peer { .. } | Envelope::Decision { .. } => false,
    }
}

/// Whether an answer tells a leader to wait for newer metadata, which is all that it can do, too, while it waits for the answer
/// and repeats no proposal any more (R45).
fn tells_to_wait(answer: &AlterPartitionAnswer) -> bool {
    matches!(answer.outcome, AlterPartitionOutcome::Behind(_))
}

/// A receiver that is down comes back as another incarnation, in a later leader epoch if it leads. `is_remembered` says whether
/// a leader that has heard of a fetch goes on knowing of it.
pub(super) fn is_dead_message(run: &Run, from: ReplicaIdx, message: &Message, is_remembered: bool) -> bool {
    let is_outdated = |leader_epoch, broker_epoch, request_id| {
        run.known > leader_epoch
            || is_of_former_run(run, from, broker_epoch)
            || (is_remembered && is_overtaken(run, from, leader_epoch, (broker_epoch, request_id)))
    };
    match message {
        Message::Fetch(Fetch { leader_epoch, broker_epoch, request_id, .. })
        | Message::Progress(Progress { leader_epoch, broker_epoch, request_id, .. }) => {
            is_outdated(*leader_epoch, *broker_epoch, *request_id)
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

/// Whether a later registration of the sender is known to the receiver.
fn is_of_former_run(run: &Run, from: ReplicaIdx, broker_epoch: BrokerEpoch) -> bool {
    let registered = run.core.view().replica(from).and_then(|replica| replica.broker_epoch);
    registered.is_some_and(|registered| registered > broker_epoch)
}

/// Whether a later request of the sender is known to the receiver: of those that it knows only where both are of the leader
/// epoch that it leads in, since ids begin anew with each.
fn is_overtaken(
    run: &Run,
    from: ReplicaIdx,
    leader_epoch: LeaderEpoch,
    request: (BrokerEpoch, RequestId),
) -> bool {
    let last = run.core.last_fetch(from).filter(|_| run.known == leader_epoch);
    last.is_some_and(|last| last > request)
}

/// Whether a fetch is a repetition of what its receiver has heard, and nobody waits for the answer: of one that is caught up,
/// and so will be until its next registration as no lag timer may run out, nothing in it is news.
fn is_heard(state: &State, leader: &Run, from: ReplicaIdx, message: &Message) -> bool {
    let Message::Fetch(fetch) = message else { return false };
    let waits = |run: &Run| {
        run.broker_epoch == fetch.broker_epoch
            && run.known == fetch.leader_epoch
            && run.core.open_fetch() == Some(fetch.request_id)
    };
    state.left.shrinks == 0
        && !may_forget(state)
        && leader.known == fetch.leader_epoch
        && leader.core.last_fetch(from) == Some((fetch.broker_epoch, fetch.request_id))
        && leader.core.is_caught_up(from)
        && leader.core.follower_durable_end(from) >= Some(fetch.durable_end)
        && !state.run(from).is_some_and(waits)
}

/// Whether a sync that a follower tells of is known to its leader, or will be by every fetch that it could amend.
fn is_told(state: &State, leader: &Run, from: ReplicaIdx, message: &Message) -> bool {
    let Message::Progress(progress) = message else { return false };
    let amends = (progress.broker_epoch, progress.request_id);
    if leader.known == progress.leader_epoch && leader.core.last_fetch(from) == Some(amends) {
        let is_known = leader.core.follower_durable_end(from) >= Some(progress.durable_end);
        return is_known && !may_forget(state);
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
