//! RI16 NoDuplicate.

use alloc::format;
use core::ops::Range;

use super::{StoredRecord, View};
use crate::id::Offset;
use crate::invariant::Violation;
use crate::replication::ReplicaIdx;

pub(super) const NAME: &str = "replication/no_duplicate";

/// RI16: of each producer and producer epoch, the committed sequences in each log follow each other without gap or repetition.
///
/// What a replica knows of producers is what its records say (R72). One that begins its log behind deleted records (R16), or starts
/// again after they were deleted, knows nothing of their producers, and takes any sequence for the first (R71): a record may be appended
/// once more when it was deleted before its producer had an answer. More cannot be promised while a checkpoint of
/// producers may be missing (X6).
///
/// # Errors
/// The two records of a producer that do not follow each other.
pub fn no_duplicate<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    view.each().try_for_each(|(replica, sight)| in_log(view, replica, sight.log.start()..sight.log.end()))
}

/// Among the committed records at these offsets, which are those of a replica's log.
fn in_log<R: StoredRecord>(
    view: &View<'_, R>,
    replica: ReplicaIdx,
    log: Range<Offset>,
) -> Result<(), Violation> {
    let kept = || view.committed().filter(|(at, _)| log.contains(at));
    for (offset, record) in kept() {
        let Some((id, epoch, sequence)) = record.sequence() else { continue };
        let mut later = kept().filter(|(at, _)| *at > offset);
        let next = later.find_map(|(at, later)| {
            let (same_id, same_epoch, sequence) = later.sequence()?;
            (same_id == id && same_epoch == epoch).then_some((at, sequence))
        });
        if let Some((at, given)) = next.filter(|(_, given)| *given != sequence.after(1)) {
            let details = format!(
                "in the log of {replica}, producer {id} in epoch {epoch} has sequence {sequence} at {offset} and then {given} \
                 at {at}"
            );
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
