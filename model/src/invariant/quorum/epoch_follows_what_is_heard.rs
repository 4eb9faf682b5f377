//! Q2: whoever takes a message of an epoch is then in that epoch or in a later one.
//!
//! Source: Raft §5.1. What steps can be taken epoch by epoch for.

use alloc::format;

use super::{ReplicaView, name, violation};
use crate::id::QuorumEpoch;
use crate::invariant::Violation;

/// A replica that took a message of the epoch `heard` is in it, or in a later one.
///
/// # Errors
/// With both epochs.
pub fn epoch_follows_what_is_heard(heard: QuorumEpoch, after: &ReplicaView<'_>) -> Result<(), Violation> {
    let epoch = after.vote.quorum_epoch;
    if epoch >= heard {
        return Ok(());
    }
    let details = format!("{} is in epoch {epoch} and has taken a message of epoch {heard}", after.key);
    Err(violation(name::EPOCH_FOLLOWS_WHAT_IS_HEARD, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_message_of_a_later_epoch_that_is_taken_in_the_old_one_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));

        assert_eq!(epoch_follows_what_is_heard(QuorumEpoch(2), &replica(1, 2, &[], &voters)), Ok(()));
        assert!(epoch_follows_what_is_heard(QuorumEpoch(3), &replica(1, 2, &[], &voters)).is_err());
    }
}
