//! RI9 ConsistentRead.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/consistent_read";

/// RI9: what was read at an offset was committed there, and the leader that is not stale still holds it.
///
/// # Errors
/// The read, and what is there.
pub fn consistent_read<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (offset, read) in view.ghosts.consumed.iter().copied() {
        let committed = view.committed().find(|(at, _)| *at == offset).map(|(_, record)| record);
        if committed != Some(read) {
            let details = format!("{read:?} was read at {offset}, but {committed:?} was committed");
            return Err(Violation { property: NAME, details });
        }
        let Some((leader, sight, _)) = view.nonstale_leader() else { continue };
        if offset >= sight.log.start() && sight.record(offset) != Some(read) {
            let held = sight.record(offset);
            let details = format!("{read:?} was read at {offset}, but leader {leader} holds {held:?}");
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
