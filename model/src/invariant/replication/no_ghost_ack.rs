//! RI17 NoGhostAck.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/no_ghost_ack";

/// RI17: a produce that was refused before anything was appended is in no log.
///
/// # Errors
/// The record and where it is.
pub fn no_ghost_ack<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (replica, sight) in view.each() {
        let found = sight.records.iter().find(|record| view.ghosts.refused.contains(&record.value()));
        if let Some(record) = found {
            let details =
                format!("{replica} holds {record:?}, whose produce was refused before it was appended");
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
