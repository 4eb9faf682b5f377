//! RI16 NoDuplicate.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/no_duplicate";

/// RI16: of each producer and producer epoch, the committed sequences follow each other without gap or repetition.
///
/// # Errors
/// The two records of a producer that do not follow each other.
pub fn no_duplicate<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (offset, record) in view.committed() {
        let Some((id, epoch, sequence)) = record.sequence() else { continue };
        let mut later = view.committed().filter(|(at, _)| *at > offset);
        let next = later.find_map(|(at, later)| {
            let (same_id, same_epoch, sequence) = later.sequence()?;
            (same_id == id && same_epoch == epoch).then_some((at, sequence))
        });
        if let Some((at, given)) = next.filter(|(_, given)| *given != sequence.after(1)) {
            let details = format!(
                "producer {id} in epoch {epoch} has sequence {sequence} at {offset} and then {given} at {at}"
            );
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
