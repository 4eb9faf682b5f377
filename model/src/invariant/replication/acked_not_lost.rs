//! RI7 AckedNotLost.

use alloc::format;

use super::{ReplicaSight, StoredRecord, View};
use crate::id::Offset;
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/acked_not_lost";

/// RI7: every record that was acknowledged with `acks=all` is in the log of some replica, and in that of the leader that
/// is not stale.
///
/// # Errors
/// The record, and who lacks it.
pub fn acked_not_lost<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (offset, value) in view.ghosts.acked.iter().copied() {
        if !view.each().any(|(_, sight)| holds(sight, offset, value)) {
            let details = format!("record {value}, acknowledged at {offset}, is in no log");
            return Err(Violation { property: NAME, details });
        }
        let leader = view.nonstale_leader().filter(|(_, sight, _)| !holds(sight, offset, value));
        if let Some((leader, ..)) = leader {
            let details =
                format!("record {value}, acknowledged at {offset}, is not in the log of leader {leader}");
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}

/// What lies below the log's start was deleted on purpose (R80).
fn holds<R: StoredRecord>(sight: &ReplicaSight<'_, R>, offset: Offset, value: u64) -> bool {
    offset < sight.log.start() || sight.record(offset).is_some_and(|record| record.value() == value)
}
