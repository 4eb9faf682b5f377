//! RI13 UncleanExclusion.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/unclean_exclusion";

/// RI13: a running replica that lost what it had counted is neither in the ISR nor an eligible leader nor the leader,
/// until it has joined anew.
///
/// # Errors
/// The replica and the partition's record.
pub fn unclean_exclusion<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let partition = &view.partition;
    let candidates = partition.isr.union(partition.eligible_leaders);
    let trusted = view.each().find(|(replica, sight)| {
        sight.running
            && sight.unclean
            && (candidates.contains(*replica) || partition.leader == Some(*replica))
    });
    match trusted {
        Some((replica, _)) => {
            let details =
                format!("{replica} lost records that it had counted, and is trusted: {partition:?}");
            Err(Violation { property: NAME, details })
        }
        None => Ok(()),
    }
}
