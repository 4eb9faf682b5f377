//! RI4 QuorumSuperset.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/quorum_superset";

/// RI4: a leader that is not stale waits for at least everyone who may be elected, as long as it thinks that enough are
/// in sync; and for the committed ISR exactly, when it has proposed nothing.
///
/// # Errors
/// The sets that do not agree.
pub fn quorum_superset<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let Some((leader, _, leads)) = view.nonstale_leader() else { return Ok(()) };
    if !leads.changing && leads.maximal_isr != leads.isr {
        let details = format!(
            "{leader} proposes nothing and counts {:?} instead of {:?}",
            leads.maximal_isr, leads.isr
        );
        return Err(Violation { property: NAME, details });
    }
    let candidates = view.partition.isr.union(view.partition.eligible_leaders);
    if leads.isr.count() >= leads.min_isr && !candidates.is_subset(leads.maximal_isr) {
        let details =
            format!("{leader} waits for {:?}, but of {candidates:?} any may be elected", leads.maximal_isr);
        return Err(Violation { property: NAME, details });
    }
    Ok(())
}
