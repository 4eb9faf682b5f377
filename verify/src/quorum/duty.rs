//! What a replica owes its quorum in one step, by what it knew before: to spare a leader that works, and to step down when it
//! is heard by no majority. Claims about liveness made claims about steps.

use highwater_model::fault::Faults;
use highwater_model::id::QuorumEpoch;
use highwater_model::invariant::quorum::{
    ReplicaView, leader_without_a_majority_resigns, pre_vote_spares_a_working_leader,
};
use highwater_model::quorum::{Body, Effect, Input, Message, Quorum, Tenure, Timer, Vote};

use super::claims::seen;
use super::drive::Driver;
use super::state::{Node, Place};
use super::view;

/// What an input obliges to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Duty {
    /// Nothing in particular.
    None,
    /// A pre-vote was asked for: in which epoch, and under which vote the replica hears from a leader or not (Q6).
    Spare { asked_in: QuorumEpoch, vote: Vote, hears_leader: bool },
    /// The check-quorum interval is over: how many voters were heard in it, and how many are needed (Q7).
    StepDown { heard: u32, majority: u32 },
}

impl Duty {
    /// The duty that comes with this input.
    pub(super) fn of<F: Faults>(input: &Input, tenure: &Tenure, before: &Quorum<F>) -> Self {
        if let Input::Received(Message { body: Body::Vote(vote), quorum_epoch, .. }) = input
            && vote.pre_vote
        {
            let (asked_in, hears_leader) = (*quorum_epoch, before.hears_leader());
            return Self::Spare { asked_in, vote: before.vote(), hears_leader };
        }
        match before.heard_voters(tenure) {
            Some(heard) if matches!(input, Input::Expired(Timer::CheckQuorum)) => {
                Self::StepDown { heard, majority: before.voters().latest().majority() }
            }
            Some(_) | None => Self::None,
        }
    }
}

impl Driver<'_> {
    /// Whether the duty was done.
    pub(super) fn check_duty(&mut self, at: Place, node: &Node, duty: Duty, effects: &[Effect]) {
        let after: ReplicaView<'_> = view::of(at, node);
        let done = match duty {
            Duty::None => Ok(()),
            Duty::Spare { asked_in, vote, hears_leader } => {
                let granted = effects.iter().any(grants_pre_vote);
                if hears_leader && !granted {
                    self.notes.event(seen::PRE_VOTE_REFUSED);
                }
                pre_vote_spares_a_working_leader(
                    hears_leader,
                    asked_in,
                    granted,
                    &ReplicaView { vote, ..after },
                )
            }
            Duty::StepDown { heard, majority } => {
                if !after.is_leader {
                    self.notes.event(seen::RESIGNED);
                }
                leader_without_a_majority_resigns(heard, majority, &after)
            }
        };
        if let Err(violation) = done {
            self.broke(violation);
        }
    }
}

fn grants_pre_vote(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Send { message: Message { body: Body::VoteAnswer(answer), .. }, .. }
            if answer.pre_vote && answer.granted
    )
}
