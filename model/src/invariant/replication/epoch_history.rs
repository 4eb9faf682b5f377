//! RI15 EpochCache.

use alloc::format;

use smallvec::SmallVec;

use super::{ReplicaSight, StoredRecord, View, name};
use crate::id::{LeaderEpoch, Offset};
use crate::invariant::Violation;
use crate::log::{EpochStart, LogShape};
use crate::replication::ReplicaIdx;

/// RI15: the epoch history of a running replica is the one of its records, with at most one more epoch, begun at the
/// log's end and without a record.
///
/// # Errors
/// The history that is there and the one that should be.
pub fn epoch_history<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    for (replica, sight) in view.each().filter(|(_, sight)| sight.running) {
        epochs_are_those_of_the_records(replica, sight.log, &recomputed(sight))?;
    }
    Ok(())
}

/// RI15, of one running replica: `of_records` are the epochs of the records in its log, where each begins, oldest first.
///
/// # Errors
/// The history that is there and the one that should be.
pub fn epochs_are_those_of_the_records(
    replica: ReplicaIdx,
    log: &LogShape<LeaderEpoch>,
    of_records: &[EpochStart<LeaderEpoch>],
) -> Result<(), Violation> {
    let held = log.epochs().starts();
    let (with_records, empty) = held.split_at(of_records.len().min(held.len()));
    let empty_fits = match empty {
        [] => true,
        [only] => only.start == log.end() && with_records.last().is_none_or(|last| last.epoch < only.epoch),
        _ => false,
    };
    if with_records == of_records && empty_fits {
        return Ok(());
    }
    let details = format!("{replica} has epochs {held:?} over records of {of_records:?} up to {}", log.end());
    Err(Violation { property: name::EPOCH_HISTORY, details })
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
