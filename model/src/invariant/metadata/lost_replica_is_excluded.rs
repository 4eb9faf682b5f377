//! RI13: a replica that lost entries since it was last in sync is neither in sync nor eligible nor leader until its
//! leader took it back under its new registration.
//!
//! Source: KIP-966, R60, R61, KIP-903. Catches B-09, B-13d, B-16, P-08.

use alloc::format;

use super::ensure;
use crate::id::{NodeId, TopicPartition};
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const LOST_REPLICA_IS_EXCLUDED: &str = "metadata/lost_replica_is_excluded";

/// A replica that lost entries it had counted, whose broker has registered since, and which was not taken back since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lost {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker.
    pub node: NodeId,
}

/// For every such replica. A broker that has not registered since it lost entries may still be listed.
///
/// # Errors
/// With the values that break it.
pub fn lost_replica_is_excluded(lost: &[Lost], image: &Image) -> Result<(), Violation> {
    for Lost { partition, node } in lost {
        let Some(state) = image.partition(*partition) else { continue };
        let listed = state.isr.union(state.eligible_leaders);
        let member = state.replica_on(*node).is_some_and(|replica| listed.contains(replica));
        ensure(LOST_REPLICA_IS_EXCLUDED, !member && state.leader_node() != Some(*node), || {
            format!(
                "broker {node} lost entries of {partition}, which has leader {:?}, isr {:?}, eligible leaders {:?}",
                state.leader, state.isr, state.eligible_leaders
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT, healthy, spoilt};
    use super::*;
    use crate::replication::ReplicaIdx;

    #[test]
    fn a_replica_that_lost_and_is_listed_is_found() {
        let lost = [Lost { partition: AT, node: NodeId(2) }];
        let excluded = spoilt(|state| state.isr = state.isr.without(ReplicaIdx(1)));

        assert!(lost_replica_is_excluded(&lost, &healthy()).is_err());
        assert_eq!(lost_replica_is_excluded(&lost, &excluded), Ok(()));
        assert_eq!(lost_replica_is_excluded(&[], &healthy()), Ok(()));
    }
}
