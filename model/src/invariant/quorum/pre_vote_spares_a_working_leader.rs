//! QL5 as a safety property: nobody who hears from a working leader helps another one to stand against it.
//!
//! Source: KIP-996, rule Q6; KAFKA-15489 for the opposite failure. Catches B-45b, a pre-vote granted while following.

use alloc::format;

use super::{ReplicaView, name, violation};
use crate::id::QuorumEpoch;
use crate::invariant::Violation;

/// A replica that led, or that its leader had answered in its epoch, grants no pre-vote of that epoch or an earlier one.
///
/// # Errors
/// With the replica and the epochs.
pub fn pre_vote_spares_a_working_leader(
    hears_leader: bool,
    asked_in: QuorumEpoch,
    granted: bool,
    replica: &ReplicaView<'_>,
) -> Result<(), Violation> {
    let ours = replica.vote.quorum_epoch;
    if granted && hears_leader && asked_in <= ours {
        let key = replica.key;
        let details =
            format!("{key} hears from the leader of epoch {ours}, and grants a pre-vote of epoch {asked_in}");
        return Err(violation(name::PRE_VOTE_SPARES_A_WORKING_LEADER, details));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_pre_vote_against_a_leader_that_is_heard_is_noticed() {
        let voters = VoterHistory::new(set(&[1, 2, 3]));
        let judged = |hears, asked_in, granted| {
            let of = replica(1, 2, &[], &voters);
            pre_vote_spares_a_working_leader(hears, QuorumEpoch(asked_in), granted, &of).is_ok()
        };

        assert!(!judged(true, 2, true));
        assert!(judged(true, 2, false));
        assert!(judged(false, 2, true));
        // Somebody leads or has led a later epoch: this one's leader is none any more.
        assert!(judged(true, 3, true));
    }
}
