//! What an input obliges a replica to, by what it knew before: to spare a leader that works, and to step down when it is
//! heard by no majority. Claims about liveness made claims about steps.

use super::{
    Heard, ReplicaView, begins_interval, leader_without_a_majority_resigns, pre_vote_spares_a_working_leader,
};
use crate::fault::Faults;
use crate::id::QuorumEpoch;
use crate::invariant::Violation;
use crate::quorum::{Body, Effect, Input, Message, Quorum, Timer, Vote};

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
    /// A leader's check-quorum interval is over, or may begin anew: only if a majority was heard in it does it lead on (Q7).
    BeHeard {
        /// Whether it is over.
        is_over: bool,
    },
}

impl Duty {
    /// The duty that comes with this input.
    #[must_use]
    pub fn of<F: Faults>(input: &Input, before: &Quorum<F>) -> Self {
        if let Input::Received(Message { body: Body::Vote(vote), quorum_epoch, .. }) = input
            && vote.pre_vote
        {
            let (asked_in, hears_leader) = (*quorum_epoch, before.hears_leader());
            return Self::Spare { asked_in, vote: before.vote(), hears_leader };
        }
        if before.is_leader() {
            return Self::BeHeard { is_over: matches!(input, Input::Expired(Timer::CheckQuorum)) };
        }
        Self::None
    }

    /// Whether a step with these effects had anything to do for it.
    #[must_use]
    pub fn is_due(self, effects: &[Effect]) -> bool {
        match self {
            Self::None => false,
            Self::Spare { .. } => true,
            Self::BeHeard { is_over } => is_over || begins_interval(effects),
        }
    }

    /// Whether it was done by the step that took the input, which left the replica as `after`, having heard these in its
    /// interval, and had these effects.
    ///
    /// # Errors
    /// What was not done.
    pub fn is_done(
        self,
        after: &ReplicaView<'_>,
        heard: &Heard,
        effects: &[Effect],
    ) -> Result<(), Violation> {
        match self {
            Self::None => Ok(()),
            Self::Spare { asked_in, vote, hears_leader } => {
                let granted = grants_pre_vote(effects);
                let before = ReplicaView { vote, ..*after };
                pre_vote_spares_a_working_leader(hears_leader, asked_in, granted, &before)
            }
            Self::BeHeard { .. } if self.is_due(effects) => {
                let majority = after.voters.latest().majority();
                leader_without_a_majority_resigns(heard.voters_of(after), majority, after)
            }
            Self::BeHeard { .. } => Ok(()),
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
