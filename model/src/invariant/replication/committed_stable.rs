//! RI1 CommittedStable.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/committed_stable";

/// RI1: no replica holds, below its own high watermark, anything but what was committed there.
///
/// # Errors
/// The replica, the offset and both records.
pub fn committed_stable<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (replica, sight) in view.each().filter(|(_, sight)| sight.running) {
        if let Some((offset, record)) = view.lacking(sight, sight.high_watermark) {
            let held = sight.record(offset);
            let details = format!(
                "{replica} holds {held:?} at {offset}, below its high watermark, but {record:?} was committed"
            );
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
