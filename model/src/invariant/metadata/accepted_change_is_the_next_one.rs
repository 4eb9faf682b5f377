//! RI11: an accepted proposal is a compare-and-set on the partition epoch.
//!
//! Source: R43.3, KIP-497. Catches B-10.

use alloc::format;

use super::ensure;
use crate::invariant::Violation;
use crate::replication::{AlterPartition, AlterPartitionAnswer, AlterPartitionOutcome};

/// The property's name.
pub const ACCEPTED_CHANGE_IS_THE_NEXT_ONE: &str = "metadata/accepted_change_is_the_next_one";

/// What was applied is the change that follows the partition epoch which the proposal was built on, in its leader epoch.
///
/// # Errors
/// With the values that break it.
pub fn accepted_change_is_the_next_one(
    proposal: &AlterPartition,
    answer: &AlterPartitionAnswer,
) -> Result<(), Violation> {
    let AlterPartitionOutcome::Applied { leader_epoch, partition_epoch, .. } = answer.outcome else {
        return Ok(());
    };
    let next = partition_epoch == proposal.partition_epoch.next() && leader_epoch == proposal.leader_epoch;
    ensure(ACCEPTED_CHANGE_IS_THE_NEXT_ONE, next, || {
        format!(
            "a proposal on leader epoch {} and partition epoch {} was applied as leader epoch {leader_epoch} and \
             partition epoch {partition_epoch}",
            proposal.leader_epoch, proposal.partition_epoch
        )
    })
}

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::*;
    use crate::id::{BrokerEpoch, LeaderEpoch, PartitionEpoch, RequestId};
    use crate::replication::{FlushPolicy, IsrSet};

    #[test]
    fn a_change_applied_to_another_epoch_is_found() {
        let proposal = AlterPartition {
            request_id: RequestId(1),
            broker_epoch: BrokerEpoch(1),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(4),
            members: SmallVec::new(),
        };
        let applied = |partition_epoch| AlterPartitionAnswer {
            request_id: RequestId(1),
            outcome: AlterPartitionOutcome::Applied {
                leader_epoch: LeaderEpoch(1),
                partition_epoch: PartitionEpoch(partition_epoch),
                isr: IsrSet::EMPTY,
                min_isr: 1,
                flush: FlushPolicy::Os,
            },
        };

        assert_eq!(accepted_change_is_the_next_one(&proposal, &applied(5)), Ok(()));
        assert!(accepted_change_is_the_next_one(&proposal, &applied(6)).is_err());
    }
}
