//! QI12 PreVoteNeutral: handling a pre-vote gives no vote away and begins no epoch.
//!
//! Source: KIP-996. Catches a pre-vote that sets the vote.

use alloc::format;

use super::{ReplicaView, name, violation};
use crate::id::QuorumEpoch;
use crate::invariant::Violation;
use crate::quorum::Vote;

/// After a pre-vote message of `epoch`, the vote is what it was, or an empty one of that larger epoch (Q2).
///
/// # Errors
/// With both votes.
pub fn pre_vote_changes_nothing(
    before: Vote,
    epoch: QuorumEpoch,
    after: &ReplicaView<'_>,
) -> Result<(), Violation> {
    let raised = Vote { quorum_epoch: epoch, voted_for: None };
    let neutral = after.vote == before || (epoch > before.quorum_epoch && after.vote == raised);
    if neutral {
        return Ok(());
    }
    let details =
        format!("a pre-vote of epoch {epoch} took {} from {before:?} to {:?}", after.key, after.vote);
    Err(violation(name::PRE_VOTE_CHANGES_NOTHING, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{key, replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_pre_vote_that_votes_or_raises_the_epoch_by_itself_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));
        let before = Vote { quorum_epoch: QuorumEpoch(2), voted_for: None };
        let judged = |epoch, after| {
            let after = ReplicaView { vote: after, ..replica(1, 2, &[], &voters) };
            pre_vote_changes_nothing(before, QuorumEpoch(epoch), &after).is_ok()
        };

        assert!(judged(2, before));
        assert!(judged(3, Vote { quorum_epoch: QuorumEpoch(3), voted_for: None }));
        assert!(!judged(2, Vote { voted_for: Some(key(2)), ..before }));
        assert!(!judged(2, Vote { quorum_epoch: QuorumEpoch(3), voted_for: None }));
    }
}
