//! RI10: a leader epoch of a partition has one leader, and of that one incarnation.
//!
//! Source: KIP-101, R60. Catches B-52: a new incarnation that leads in an epoch it led before may have lost a tail that
//! others fetched under that epoch.

use alloc::format;
use alloc::vec::Vec;

use super::ensure;
use crate::id::{BrokerEpoch, LeaderEpoch, NodeId, TopicPartition};
use crate::invariant::Violation;
use crate::metadata::{Image, Partition};

/// The property's name.
pub const ONE_LEADER_PER_EPOCH: &str = "metadata/one_leader_per_epoch";

/// Who led a partition in a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Led {
    /// The partition.
    pub partition: TopicPartition,
    /// The epoch.
    pub leader_epoch: LeaderEpoch,
    /// The leader's broker.
    pub node: NodeId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
}

/// Who leads what in this image, by partition.
#[must_use]
pub fn led(image: &Image) -> Vec<Led> {
    image.partitions().filter_map(|(partition, state)| led_in(image, partition, state)).collect()
}

/// Who leads this partition, which is in that state in the image.
pub(super) fn led_in(image: &Image, partition: TopicPartition, state: &Partition) -> Option<Led> {
    let node = state.leader_node()?;
    let broker_epoch = image.broker(node)?.broker_epoch;
    Some(Led { partition, leader_epoch: state.leader_epoch, node, broker_epoch })
}

/// Nobody leads in this image in an epoch in which `former` says that another did. Takes as long as `former` is, in any order.
///
/// # Errors
/// With the values that break it.
pub fn one_leader_per_epoch(former: &[Led], image: &Image) -> Result<(), Violation> {
    for was in former {
        let state = image.partition(was.partition);
        let Some(is) = state.and_then(|state| led_in(image, was.partition, state)) else { continue };
        let another = is.leader_epoch == was.leader_epoch && is != *was;
        ensure(ONE_LEADER_PER_EPOCH, !another, || format!("{was:?} and {is:?}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, registered, spoilt, with};
    use super::*;
    use crate::replication::ReplicaIdx;

    #[test]
    fn another_leader_or_incarnation_in_the_same_epoch_is_found() {
        let former = led(&healthy());

        assert_eq!(one_leader_per_epoch(&former, &healthy()), Ok(()));
        assert!(one_leader_per_epoch(&former, &spoilt(|state| state.leader = Some(ReplicaIdx(1)))).is_err());
        assert!(one_leader_per_epoch(&former, &with(&[registered(1, 1)])).is_err());
    }
}
