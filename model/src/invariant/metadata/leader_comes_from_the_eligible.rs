//! R51, R53: whoever begins to lead was in the ISR or eligible, unless unclean elections are configured.
//!
//! Source: KIP-966; Jepsen's Kafka analysis of 2013. Catches B-26.

use alloc::format;

use super::{Earlier, ensure};
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const LEADER_COMES_FROM_THE_ELIGIBLE: &str = "metadata/leader_comes_from_the_eligible";

/// From before a batch to the image after it, where no operator asked for an unclean election.
///
/// # Errors
/// With the values that break it.
pub fn leader_comes_from_the_eligible(before: &impl Earlier, after: &Image) -> Result<(), Violation> {
    for (at, was) in before.partitions() {
        let topic = after.topic(at.topic).filter(|topic| !topic.config.unclean_leader_election());
        let Some(leader) = topic.and_then(|topic| topic.partition(at.partition)?.leader) else { continue };
        let eligible = was.leader == Some(leader) || was.isr.union(was.eligible_leaders).contains(leader);
        ensure(LEADER_COMES_FROM_THE_ELIGIBLE, eligible, || {
            format!(
                "{leader} leads {at}, which had isr {:?} and eligible leaders {:?}",
                was.isr, was.eligible_leaders
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
    fn a_leader_that_might_lack_committed_records_is_found() {
        let alone = spoilt(|state| state.isr = IsrSet::only(ReplicaIdx(0)));
        let other = spoilt(|state| {
            state.isr = IsrSet::only(ReplicaIdx(1));
            state.leader = Some(ReplicaIdx(1));
        });

        assert_eq!(leader_comes_from_the_eligible(&healthy(), &other), Ok(()));
        assert!(leader_comes_from_the_eligible(&alone, &other).is_err());
    }
}
