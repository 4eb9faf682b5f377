//! QI7 EpochMonotonic: a replica's epoch never decreases, across restarts too.
//!
//! Source: Kafka's raft simulation (MonotonicEpoch). Catches B-33b (a restart forgets the epoch).

use alloc::format;

use super::{ReplicaView, name, violation};
use crate::id::QuorumEpoch;
use crate::invariant::Violation;

/// A replica's epoch is not below the last one that it has spoken in or stored.
///
/// # Errors
/// With both.
pub fn quorum_epoch_never_moves_back(before: QuorumEpoch, after: &ReplicaView<'_>) -> Result<(), Violation> {
    if before > after.vote.quorum_epoch {
        let details = format!("the epoch of {} went from {before} to {}", after.key, after.vote.quorum_epoch);
        return Err(violation(name::QUORUM_EPOCH_NEVER_MOVES_BACK, details));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn an_epoch_that_falls_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));

        assert_eq!(quorum_epoch_never_moves_back(QuorumEpoch(2), &replica(1, 2, &[], &voters)), Ok(()));
        assert!(quorum_epoch_never_moves_back(QuorumEpoch(3), &replica(1, 2, &[], &voters)).is_err());
    }
}
