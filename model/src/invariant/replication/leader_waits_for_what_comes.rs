//! RL3 as a safety property: a leader that was told to wait for newer metadata waits for some that there is.
//!
//! Source: KAFKA-14144, KAFKA-14154, rule R45. Catches B-23, a stale controller whose answer leaves a leader waiting for ever.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/leader_waits_for_what_comes";

/// RL3: while a leader proposes nothing because it is said to be behind, the controller's record of the partition is newer
/// than the one that it knows.
///
/// # Errors
/// The leader and both epochs.
pub fn leader_waits_for_what_comes<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let decided = (view.partition.leader_epoch, view.partition.partition_epoch);
    for (leader, _, leads) in view.leaders().filter(|(_, _, leads)| leads.waits_for_metadata) {
        let known = (leads.leader_epoch, leads.partition_epoch);
        if known.0 >= decided.0 && known.1 >= decided.1 {
            let details = format!(
                "leader {leader} waits for metadata beyond leader epoch {} and partition epoch {}; there is none",
                known.0, known.1
            );
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
