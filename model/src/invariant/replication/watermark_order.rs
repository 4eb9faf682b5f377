//! RI14 WatermarkOrder.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/watermark_order";

/// RI14: a running replica's high watermark lies within its log, and that of a leader never goes back in its epoch.
///
/// # Errors
/// The replica and its offsets.
pub fn watermark_order<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (replica, sight) in view.each().filter(|(_, sight)| sight.running) {
        let (start, end) = (sight.log.start(), sight.log.end());
        if sight.high_watermark < start || sight.high_watermark > end {
            let details =
                format!("{replica} has high watermark {} in a log of [{start}, {end})", sight.high_watermark);
            return Err(Violation { property: NAME, details });
        }
    }
    for (leader, sight, leads) in view.leaders() {
        let before = view.ghosts.watermarks.iter().filter(|(epoch, _)| *epoch == leads.leader_epoch);
        if let Some((epoch, before)) =
            before.max_by_key(|(_, offset)| *offset).filter(|(_, at)| *at > sight.high_watermark)
        {
            let now = sight.high_watermark;
            let details = format!(
                "high watermark of leader {leader} went from {before} to {now} in leader epoch {epoch}"
            );
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
