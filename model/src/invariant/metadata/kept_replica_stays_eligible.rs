//! RL0, as far as one step shows it: a replica that kept what it had counted loses no right to lead by registering anew.
//!
//! Source: R60. Catches B-51, by which a killed cluster never comes back.

use alloc::format;

use super::ensure;
use crate::id::NodeId;
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const KEPT_REPLICA_STAYS_ELIGIBLE: &str = "metadata/kept_replica_stays_eligible";

/// `node` kept everything and registered between the two images: where it could lead before, it is still eligible,
/// unless enough others are in sync.
///
/// # Errors
/// With the values that break it.
pub fn kept_replica_stays_eligible(node: NodeId, before: &Image, after: &Image) -> Result<(), Violation> {
    for (at, was) in before.partitions_on(node) {
        let Some((is, replica)) = after.partition(at).zip(was.replica_on(node)) else { continue };
        let could = was.isr.union(was.eligible_leaders).contains(replica);
        let can = is.isr.union(is.eligible_leaders).contains(replica) || is.isr.count() >= is.min_isr;
        ensure(KEPT_REPLICA_STAYS_ELIGIBLE, !could || can, || {
            format!(
                "broker {node} kept {at}, which had isr {:?} and eligible leaders {:?} and has isr {:?} and eligible \
                 leaders {:?}",
                was.isr, was.eligible_leaders, is.isr, is.eligible_leaders
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, spoilt};
    use super::*;
    use crate::replication::{IsrSet, ReplicaIdx};

    #[test]
    fn a_kept_member_that_may_lead_no_more_is_found() {
        let forgotten = spoilt(|state| state.isr = IsrSet::only(ReplicaIdx(0)));
        let replaced = spoilt(|state| state.isr = IsrSet::first(2));

        assert_eq!(kept_replica_stays_eligible(NodeId(3), &healthy(), &replaced), Ok(()));
        assert!(kept_replica_stays_eligible(NodeId(3), &healthy(), &forgotten).is_err());
    }
}
