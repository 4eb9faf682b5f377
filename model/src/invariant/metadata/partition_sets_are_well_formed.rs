//! RI12: ISR and eligible leaders are disjoint sets of replicas, the leader is in the ISR, and a large enough ISR leaves
//! no eligible leaders.
//!
//! Source: KIP-966, R55. Catches B-13c.

use alloc::format;

use super::ensure;
use crate::invariant::Violation;
use crate::metadata::Image;
use crate::replication::IsrSet;

/// The property's name.
pub const PARTITION_SETS_ARE_WELL_FORMED: &str = "metadata/partition_sets_are_well_formed";

/// For every partition of the image.
///
/// # Errors
/// With the values that break it.
pub fn partition_sets_are_well_formed(image: &Image) -> Result<(), Violation> {
    for (at, state) in image.partitions() {
        let replicas = IsrSet::first(u8::try_from(state.replicas.len()).unwrap_or(u8::MAX));
        let subsets = state.isr.union(state.eligible_leaders).is_subset(replicas);
        let disjoint = state.isr.intersection(state.eligible_leaders).is_empty();
        let led_from_isr = state.leader.is_none_or(|leader| state.isr.contains(leader));
        let cleared = state.isr.count() < state.min_isr || state.eligible_leaders.is_empty();
        let holds = subsets && disjoint && led_from_isr && cleared;
        ensure(PARTITION_SETS_ARE_WELL_FORMED, holds, || {
            format!(
                "{at} has leader {:?}, isr {:?}, eligible leaders {:?}, min isr {} of {} replicas",
                state.leader,
                state.isr,
                state.eligible_leaders,
                state.min_isr,
                state.replicas.len()
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, spoilt};
    use super::*;
    use crate::replication::ReplicaIdx;

    #[test]
    fn sets_that_do_not_fit_together_are_found() {
        let bad = |spoil: fn(&mut crate::metadata::Partition)| {
            partition_sets_are_well_formed(&spoilt(spoil)).is_err()
        };

        assert_eq!(partition_sets_are_well_formed(&healthy()), Ok(()));
        assert!(bad(|state| state.isr = IsrSet::first(4)));
        assert!(bad(|state| state.eligible_leaders = IsrSet::only(ReplicaIdx(1))));
        assert!(bad(|state| state.isr = IsrSet::only(ReplicaIdx(1))));
        assert!(bad(|state| {
            state.isr = IsrSet::first(2);
            state.eligible_leaders = IsrSet::only(ReplicaIdx(2));
        }));
    }
}
