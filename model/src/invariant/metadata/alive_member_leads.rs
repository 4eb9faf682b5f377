//! RL7: a partition with an active member of its ISR, or else of its eligible leaders, is led.
//!
//! Source: R51, KIP-966. Catches an unfencing or a fence that forgets to elect.

use alloc::format;

use super::ensure;
use crate::invariant::Violation;
use crate::metadata::{Broker, Image};

/// The property's name.
pub const ALIVE_MEMBER_LEADS: &str = "metadata/alive_member_leads";

/// For every partition of the image that has no leader.
///
/// # Errors
/// With the values that break it.
pub fn alive_member_leads(image: &Image) -> Result<(), Violation> {
    for (at, state) in image.partitions().filter(|(_, state)| state.leader.is_none()) {
        let mut candidates = state.nodes(state.isr.union(state.eligible_leaders));
        let alive = candidates.find(|node| image.broker(*node).is_some_and(Broker::is_active));
        ensure(ALIVE_MEMBER_LEADS, alive.is_none(), || {
            format!("{at} has no leader, and {alive:?} could lead")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{changed, healthy, spoilt, with};
    use super::*;
    use crate::metadata::Record;

    #[test]
    fn a_partition_without_a_leader_that_it_could_have_is_found() {
        assert_eq!(alive_member_leads(&healthy()), Ok(()));
        assert!(alive_member_leads(&spoilt(|state| state.leader = None)).is_err());
        let nobody = [1, 2, 3].map(|node| Record::BrokerFenced(changed(node)));
        assert_eq!(alive_member_leads(&with(&nobody)), Ok(()));
    }
}
