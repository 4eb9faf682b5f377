//! QI8 VoteOnce: a voter gives at most one vote in an epoch, across restarts.
//!
//! Source: Raft §5.2. Catches B-33, B-33b, P-05, P-07.

use alloc::format;

use super::{View, name, violation};
use crate::id::QuorumEpoch;
use crate::invariant::Violation;
use crate::quorum::{Body, Message, Vote, VoterKey};

/// The vote that is being given is the only one of its voter in its epoch, and its epoch is none that the voter has left.
///
/// # Errors
/// With both votes.
pub fn one_vote_per_epoch(
    view: &View<'_>,
    (voter, epoch, candidate): (VoterKey, QuorumEpoch, VoterKey),
) -> Result<(), Violation> {
    let earlier = view.granted.iter().find(|(theirs, given, whom)| {
        *theirs == voter && (*given > epoch || (*given == epoch && *whom != candidate))
    });
    match earlier {
        Some((_, given, whom)) => {
            let details =
                format!("{voter} votes for {candidate} in epoch {epoch} after {whom} in epoch {given}");
            Err(violation(name::ONE_VOTE_PER_EPOCH, details))
        }
        None => Ok(()),
    }
}

/// The vote that a message tells, if it does: of a candidate for itself, or of a voter whose vote is `current`.
#[must_use]
pub fn vote_told(message: &Message, current: Vote) -> Option<(VoterKey, QuorumEpoch, VoterKey)> {
    let candidate = match &message.body {
        Body::Vote(vote) if !vote.pre_vote => Some(message.from),
        Body::VoteAnswer(answer) if answer.granted && !answer.pre_vote => current.voted_for,
        Body::Vote(_)
        | Body::VoteAnswer(_)
        | Body::Fetch(_)
        | Body::FetchAnswer(_)
        | Body::BeginQuorum
        | Body::EndQuorum { .. } => None,
    };
    Some((message.from, message.quorum_epoch, candidate?))
}

/// A vote leaves its voter as it is stored there.
///
/// # Errors
/// With both votes.
pub fn vote_is_told_as_stored(voter: VoterKey, told: Vote, stored: Vote) -> Result<(), Violation> {
    if told == stored {
        return Ok(());
    }
    let details = format!("{voter} tells {told:?} and has stored {stored:?}");
    Err(violation(name::ONE_VOTE_PER_EPOCH, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{key, view};
    use super::*;

    #[test]
    fn a_second_candidate_of_an_epoch_is_noticed() {
        let given = [(key(1), QuorumEpoch(2), key(2))];
        let view = View { granted: &given, ..view(&[], &[]) };

        assert_eq!(one_vote_per_epoch(&view, (key(1), QuorumEpoch(2), key(2))), Ok(()));
        assert_eq!(one_vote_per_epoch(&view, (key(1), QuorumEpoch(3), key(3))), Ok(()));
        assert_eq!(one_vote_per_epoch(&view, (key(3), QuorumEpoch(2), key(3))), Ok(()));
        assert!(one_vote_per_epoch(&view, (key(1), QuorumEpoch(2), key(3))).is_err());
        assert!(one_vote_per_epoch(&view, (key(1), QuorumEpoch(1), key(2))).is_err());
    }

    #[test]
    fn a_vote_that_leaves_before_it_is_stored_is_noticed() {
        let vote = |epoch| Vote { quorum_epoch: QuorumEpoch(epoch), voted_for: Some(key(2)) };

        assert_eq!(vote_is_told_as_stored(key(1), vote(2), vote(2)), Ok(()));
        assert!(vote_is_told_as_stored(key(1), vote(2), vote(1)).is_err());
    }
}
