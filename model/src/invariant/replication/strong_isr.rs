//! RI5 StrongIsr.

use alloc::format;

use super::{StoredRecord, View};
use crate::id::Offset;
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/strong_isr";

/// RI5: every running member of the controller's ISR agrees with every replica that believes to lead, up to that one's
/// high watermark. Fires several steps before anything is lost.
///
/// # Errors
/// The leader, the member and where they differ.
pub fn strong_isr<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let isr = view.partition.isr;
    for (leader, leads, _) in view.leaders() {
        let members = view.each().filter(|(replica, sight)| sight.running && isr.contains(*replica));
        for (member, sight) in members {
            let start = leads.log.start().max(sight.log.start());
            let mut offsets = (start.0..leads.high_watermark.0).map(Offset);
            if let Some(at) = offsets.find(|at| leads.record(*at) != sight.record(*at)) {
                let (led, held) = (leads.record(at), sight.record(at));
                let details = format!(
                    "leader {leader} has {led:?} at {at}, below its high watermark, but {member}, in the ISR, {held:?}"
                );
                return Err(Violation { property: NAME, details });
            }
        }
    }
    Ok(())
}
