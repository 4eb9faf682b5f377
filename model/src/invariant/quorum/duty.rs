//! What an input obliges a replica to, by what it knew before: to spare a leader that works, and to step down when it is
//! heard by no majority. Claims about liveness made claims about steps.

use super::{ReplicaView, leader_without_a_majority_resigns, pre_vote_spares_a_working_leader};
use crate::fault::Faults;
use crate::id::QuorumEpoch;
use crate::invariant::Violation;
use crate::quorum::{Body, Effect, Input, Message, Quorum, Tenure, Timer, Vote};

/// What an input obliges to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing in particular.
    None,
    /// A pre-vote was asked for (Q6).
    Spare {
        /// In which epoch.
        asked_in: QuorumEpoch,
        /// The vote under which the replica hears from a leader or not.
        vote: Vote,
        /// Whether it does.
        hears_leader: bool,
    },
    /// The check-quorum interval is over (Q7).
    StepDown {
        /// How many voters were heard in it.
        heard: u32,
        /// How many are needed.
        majority: u32,
    },
}

impl Duty {
    /// The duty that comes with this input.
    #[must_use]
    pub fn of<F: Faults>(input: &Input, tenure: &Tenure, before: &Quorum<F>) -> Self {
        if let Input::Received(Message { body: Body::Vote(vote), quorum_epoch, .. }) = input
            && vote.pre_vote
        {
            let (asked_in, hears_leader) = (*quorum_epoch, before.hears_leader());
            return Self::Spare { asked_in, vote: before.vote(), hears_leader };
        }
        if !matches!(input, Input::Expired(Timer::CheckQuorum)) {
            return Self::None;
        }
        match before.heard_voters(tenure) {
            Some(heard) => Self::StepDown { heard, majority: before.voters().latest().majority() },
            None => Self::None,
        }
    }

    /// Whether it was done by the step that took the input, which left the replica as `after` and had these effects.
    ///
    /// # Errors
    /// What was not done.
    pub fn is_done(self, after: &ReplicaView<'_>, effects: &[Effect]) -> Result<(), Violation> {
        match self {
            Self::None => Ok(()),
            Self::Spare { asked_in, vote, hears_leader } => {
                let granted = grants_pre_vote(effects);
                let before = ReplicaView { vote, ..*after };
                pre_vote_spares_a_working_leader(hears_leader, asked_in, granted, &before)
            }
            Self::StepDown { heard, majority } => leader_without_a_majority_resigns(heard, majority, after),
        }
    }
}

/// Whether a step with these effects grants a pre-vote.
#[must_use]
pub fn grants_pre_vote(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| {
        matches!(
            effect,
            Effect::Send { message: Message { body: Body::VoteAnswer(answer), .. }, .. }
                if answer.pre_vote && answer.granted
        )
    })
}
