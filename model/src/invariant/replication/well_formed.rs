//! RI12 WellFormed.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;
use crate::replication::IsrSet;

pub(super) const NAME: &str = "replication/well_formed";

/// RI12: the ISR is of replicas and of none that is fenced or stopping, the leader is in it, and there are eligible
/// leaders outside of it only while it is too small.
///
/// # Errors
/// The partition's record, and what is wrong with it.
pub fn well_formed<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let partition = &view.partition;
    let replicas: IsrSet = view.each().map(|(replica, _)| replica).collect();
    let (isr, eligible) = (partition.isr, partition.eligible_leaders);
    let problem = if !isr.union(eligible).is_subset(replicas) {
        "someone in it is no replica"
    } else if partition.leader.is_some_and(|leader| !isr.contains(leader)) {
        "the leader is not in the ISR"
    } else if !isr.intersection(eligible).is_empty() {
        "someone is in the ISR and an eligible leader outside of it"
    } else if isr.count() >= partition.min_isr && !eligible.is_empty() {
        "there are eligible leaders although enough are in sync"
    } else if !isr.is_subset(partition.active) {
        "someone in the ISR is fenced, stopping or not registered"
    } else {
        return Ok(());
    };
    Err(Violation { property: NAME, details: format!("{problem}: {partition:?}") })
}
