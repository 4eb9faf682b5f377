//! RI6 LogMatching.

use alloc::format;

use super::{ReplicaSight, StoredRecord, View};
use crate::id::Offset;
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/log_matching";

/// RI6: two running replicas agree below both their high watermarks, and up to any offset at which both have a record of
/// the same leader epoch.
///
/// # Errors
/// The two replicas and where they differ.
pub fn log_matching<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (one, left) in view.each() {
        for (other, right) in view.each().filter(|(other, _)| *other > one) {
            let end = agreed_end(left, right);
            let start = left.log.start().max(right.log.start());
            let mut offsets = (start.0..end.0).map(Offset);
            if let Some(at) = offsets.find(|at| left.record(*at) != right.record(*at)) {
                let (held, there) = (left.record(at), right.record(at));
                let details = format!(
                    "{one} has {held:?} at {at}, but {other} {there:?}, and they must agree up to {end}"
                );
                return Err(Violation { property: NAME, details });
            }
        }
    }
    Ok(())
}

/// Up to where two logs must agree, exclusive.
fn agreed_end<R: StoredRecord>(left: &ReplicaSight<'_, R>, right: &ReplicaSight<'_, R>) -> Offset {
    let running = left.running && right.running;
    let committed = if running { left.high_watermark.min(right.high_watermark) } else { Offset::ZERO };
    let epoch = |sight: &ReplicaSight<'_, R>, at| sight.record(at).map(|record| record.leader_epoch());
    let shorter = left.log.end().min(right.log.end());
    let mut back = (0..shorter.0).rev().map(Offset);
    let shared = back.find(|at| epoch(left, *at).is_some() && epoch(left, *at) == epoch(right, *at));
    shared.map_or(committed, |at| at.after(1).max(committed))
}
