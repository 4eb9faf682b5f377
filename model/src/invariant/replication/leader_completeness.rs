//! RI2 LeaderCompleteness.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/leader_completeness";

/// RI2: the leader that the controller names holds everything that was ever committed.
///
/// # Errors
/// The leader and the first record that it lacks.
pub fn leader_completeness<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let named = view.partition.leader.and_then(|leader| Some((leader, view.replica(leader)?)));
    let Some((leader, sight)) = named.filter(|(_, sight)| sight.running) else { return Ok(()) };
    match view.lacking(sight, view.true_watermark()) {
        Some((offset, record)) => {
            let details = format!("leader {leader} lacks {record:?}, committed at {offset}");
            Err(Violation { property: NAME, details })
        }
        None => Ok(()),
    }
}
