//! RI13: a replica that lost entries since it was last in sync is neither in sync nor eligible nor leader until its
//! leader took it back under its new registration.
//!
//! Source: KIP-966, R60, R61, KIP-903. Catches B-09, B-13d, B-16.

use alloc::format;

use super::ensure;
use crate::id::{BrokerEpoch, NodeId, TopicPartition};
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const LOST_REPLICA_IS_EXCLUDED: &str = "metadata/lost_replica_is_excluded";

/// A replica that lost entries it had counted, and was not taken back since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lost {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker.
    pub node: NodeId,
    /// Its registration when it lost them; the rule holds from the next one on.
    pub broker_epoch: BrokerEpoch,
}

/// For every such replica that has registered since.
///
/// # Errors
/// With the values that break it.
pub fn lost_replica_is_excluded(lost: &[Lost], image: &Image) -> Result<(), Violation> {
    for Lost { partition, node, broker_epoch } in lost {
        let anew = image.broker(*node).is_some_and(|broker| broker.broker_epoch > *broker_epoch);
        let Some(state) = image.partition(*partition).filter(|_| anew) else { continue };
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
    use super::super::sample::{AT, healthy, registered, with};
    use super::*;

    #[test]
    fn a_replica_that_lost_and_stayed_listed_is_found_once_it_is_registered_anew() {
        let lost = [Lost { partition: AT, node: NodeId(2), broker_epoch: BrokerEpoch(1) }];

        assert_eq!(lost_replica_is_excluded(&lost, &healthy()), Ok(()));
        assert!(lost_replica_is_excluded(&lost, &with(&[registered(2, 2)])).is_err());
        assert_eq!(lost_replica_is_excluded(&[], &with(&[registered(2, 2)])), Ok(()));
    }
}
