//! MI4: partition counts never shrink; the replicas of a partition are distinct, registered brokers.
//!
//! Source: R83. Catches a growth that forgets a partition and a placement that repeats a broker.

use alloc::collections::BTreeSet;
use alloc::format;

use super::{Earlier, ensure};
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const REPLICAS_ARE_DISTINCT_BROKERS: &str = "metadata/replicas_are_distinct_brokers";

/// Every partition has replicas, on different registered brokers, as many as its topic's first partition.
///
/// # Errors
/// With the values that break it.
pub fn replicas_are_distinct_brokers(image: &Image) -> Result<(), Violation> {
    for topic in image.topics() {
        let factor = topic.partitions.first().map_or(0, |first| first.replicas.len());
        for (at, state) in topic.named_partitions() {
            let nodes: BTreeSet<_> = state.replicas.iter().collect();
            let distinct = nodes.len() == factor && state.replicas.len() == factor;
            let registered = nodes.iter().all(|node| image.broker(**node).is_some());
            ensure(REPLICAS_ARE_DISTINCT_BROKERS, distinct && registered, || {
                format!("{at} has replicas {:?}", state.replicas)
            })?;
        }
    }
    Ok(())
}

/// From before a batch to an image after it no topic loses partitions, and no partition its replicas.
///
/// # Errors
/// With the values that break it.
pub fn topics_never_shrink(before: &impl Earlier, after: &Image) -> Result<(), Violation> {
    for (at, was) in before.partitions().filter(|(at, _)| after.topic(at.topic).is_some()) {
        let is = after.partition(at);
        ensure(REPLICAS_ARE_DISTINCT_BROKERS, is.is_some_and(|is| is.replicas == was.replicas), || {
            format!("{at} had replicas {:?} and is {is:?}", was.replicas)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, spoilt};
    use super::*;
    use crate::id::NodeId;

    #[test]
    fn a_repeated_or_unknown_broker_is_found() {
        assert_eq!(replicas_are_distinct_brokers(&healthy()), Ok(()));
        assert!(replicas_are_distinct_brokers(&spoilt(|state| state.replicas[1] = NodeId(1))).is_err());
        assert!(replicas_are_distinct_brokers(&spoilt(|state| state.replicas[1] = NodeId(9))).is_err());
    }

    #[test]
    fn a_partition_that_loses_a_replica_is_found() {
        let fewer = spoilt(|state| state.replicas.truncate(2));

        assert_eq!(topics_never_shrink(&healthy(), &healthy()), Ok(()));
        assert!(topics_never_shrink(&healthy(), &fewer).is_err());
    }
}
