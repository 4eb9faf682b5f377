//! RI3 CandidateCompleteness.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/candidate_completeness";

/// RI3: every running replica that may be elected without loss, from the ISR or the eligible leaders, holds everything
/// that was ever committed.
///
/// # Errors
/// The candidate and the first record that it lacks.
pub fn candidate_completeness<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let candidates = view.partition.isr.union(view.partition.eligible_leaders);
    for (replica, sight) in
        view.each().filter(|(replica, sight)| sight.running && candidates.contains(*replica))
    {
        if let Some((offset, record)) = view.lacking(sight, view.true_watermark()) {
            let details = format!("{replica} may be elected and lacks {record:?}, committed at {offset}");
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
