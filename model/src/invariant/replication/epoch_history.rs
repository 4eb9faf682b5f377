//! RI15 EpochCache.

use alloc::format;

use smallvec::SmallVec;

use super::{ReplicaSight, StoredRecord, View};
use crate::id::{LeaderEpoch, Offset};
use crate::invariant::Violation;
use crate::log::EpochStart;

pub(super) const NAME: &str = "replication/epoch_history";

/// RI15: the epoch history of a running replica is the one of its records, with at most one more epoch, begun at the
/// log's end and without a record.
///
/// # Errors
/// The history that is there and the one that should be.
pub fn epoch_history<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (replica, sight) in view.each().filter(|(_, sight)| sight.running) {
        let held = sight.log.epochs().starts();
        let wanted = recomputed(sight);
        let (with_records, empty) = held.split_at(wanted.len().min(held.len()));
        let empty_fits = match empty {
            [] => true,
            [only] => {
                only.start == sight.log.end()
                    && with_records.last().is_none_or(|last| last.epoch < only.epoch)
            }
            _ => false,
        };
        if with_records != wanted.as_slice() || !empty_fits {
            let details =
                format!("{replica} has epochs {held:?} over records of {wanted:?} up to {}", sight.log.end());
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}

fn recomputed<R: StoredRecord>(sight: &ReplicaSight<'_, R>) -> SmallVec<[EpochStart<LeaderEpoch>; 4]> {
    let mut starts = SmallVec::<[EpochStart<LeaderEpoch>; 4]>::new();
    for (start, record) in (sight.log.start().0..).map(Offset).zip(sight.records) {
        let epoch = record.leader_epoch();
        if starts.last().is_none_or(|last| last.epoch != epoch) {
            starts.push(EpochStart { epoch, start });
        }
    }
    starts
}
