//! RI4 QuorumSuperset.

use alloc::format;

use super::{Leadership, StoredRecord, View, name};
use crate::invariant::Violation;
use crate::replication::ReplicaIdx;

/// RI4: a leader that is not stale waits for at least everyone who may be elected, as long as it thinks that enough are
/// in sync; and for the committed ISR exactly, when it has proposed nothing.
///
/// # Errors
/// The sets that do not agree.
pub fn quorum_superset<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let Some((leader, _, leads)) = view.nonstale_leader() else { return Ok(()) };
    leader_waits_for_its_isr(leader, &leads)?;
    let candidates = view.partition.isr.union(view.partition.eligible_leaders);
    if leads.isr.count() >= leads.min_isr && !candidates.is_subset(leads.maximal_isr) {
        let details =
            format!("{leader} waits for {:?}, but of {candidates:?} any may be elected", leads.maximal_isr);
        return Err(Violation { property: name::QUORUM_SUPERSET, details });
    }
    Ok(())
}

/// RI4, as far as a leader can tell by itself: it waits for the committed ISR that it knows, and when it has proposed nothing,
/// for nobody else.
///
/// # Errors
/// The sets that do not agree.
pub fn leader_waits_for_its_isr(leader: ReplicaIdx, leads: &Leadership) -> Result<(), Violation> {
    let (isr, maximal) = (leads.isr, leads.maximal_isr);
    let details = if !leads.changing && maximal != isr {
        format!("{leader} proposes nothing and counts {maximal:?} instead of {isr:?}")
    } else if !isr.is_subset(maximal) {
        format!("{leader} waits for {maximal:?}, but {isr:?} are in sync until its proposal is accepted")
    } else {
        return Ok(());
    };
    Err(Violation { property: name::QUORUM_SUPERSET, details })
}
