//! RI14 WatermarkOrder.

use alloc::format;

use super::{StoredRecord, View, name};
use crate::id::{LeaderEpoch, Offset};
use crate::invariant::Violation;
use crate::log::LogShape;
use crate::replication::ReplicaIdx;

/// RI14, of one running replica: its high watermark lies within its log.
///
/// # Errors
/// The replica and its offsets.
pub fn watermark_lies_within_the_log(
    replica: ReplicaIdx,
    log: &LogShape<LeaderEpoch>,
    high_watermark: Offset,
) -> Result<(), Violation> {
    let (start, end) = (log.start(), log.end());
    if high_watermark >= start && high_watermark <= end {
        return Ok(());
    }
    let details = format!("{replica} has high watermark {high_watermark} in a log of [{start}, {end})");
    Err(Violation { property: name::WATERMARK_ORDER, details })
}

/// RI14: a running replica's high watermark lies within its log, and that of a leader never goes back in its epoch.
///
/// # Errors
/// The replica and its offsets.
pub fn watermark_order<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (replica, sight) in view.each().filter(|(_, sight)| sight.running) {
        watermark_lies_within_the_log(replica, sight.log, sight.high_watermark)?;
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
            return Err(Violation { property: name::WATERMARK_ORDER, details });
        }
    }
    Ok(())
}
