//! QL1 as a safety property: a leader that no majority has fetched from for a whole check-quorum interval leads no more.
//!
//! Source: KAFKA-15489, rule Q7. Catches B-45 and L-07, an isolated leader that goes on serving.

use alloc::format;

use super::{ReplicaView, name, violation};
use crate::invariant::Violation;

/// When the check-quorum timer of a leader has run out, or is armed anew, with so many of its voters heard since it was armed
/// before, it leads on only if they are a majority.
///
/// # Errors
/// With the leader and whom it has heard.
pub fn leader_without_a_majority_resigns(
    heard: u32,
    majority: u32,
    after: &ReplicaView<'_>,
) -> Result<(), Violation> {
    if heard >= majority || !after.is_leader {
        return Ok(());
    }
    let (key, epoch) = (after.key, after.vote.quorum_epoch);
    let details = format!("{key} goes on to lead epoch {epoch}; it has heard {heard} voters of {majority}");
    Err(violation(name::LEADER_WITHOUT_A_MAJORITY_RESIGNS, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_leader_that_leads_on_unheard_is_noticed() {
        let voters = VoterHistory::new(set(&[1, 2, 3]));
        let judged = |heard, is_leader| {
            let after = ReplicaView { is_leader, ..replica(1, 2, &[], &voters) };
            leader_without_a_majority_resigns(heard, 2, &after).is_ok()
        };

        assert!(!judged(1, true));
        assert!(judged(1, false));
        assert!(judged(2, true));
    }
}
