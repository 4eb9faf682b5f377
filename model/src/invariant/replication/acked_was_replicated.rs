//! RI8 AckedWasReplicated.

use alloc::format;

use super::{OnDisk, StoredRecord, View, name};
use crate::id::Offset;
use crate::invariant::Violation;
use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx};

/// RI8, at the moment of a positive `acks=all` answer by `leader` for the record at `offset`: at least
/// `min.insync.replicas` replicas hold it, and under `flush=commit` every member of the maximal ISR holds it durably.
///
/// # Errors
/// Who holds it, and who should.
pub fn acked_was_replicated<R: StoredRecord>(
    view: &View<'_, R>,
    leader: ReplicaIdx,
    offset: Offset,
) -> Result<(), Violation> {
    let Some(sight) = view.replica(leader) else { return Ok(()) };
    let Some((leads, record)) = sight.leads.zip(sight.record(offset)) else {
        let details = format!("{leader} acknowledged offset {offset} without leading or holding it");
        return Err(Violation { property: name::ACKED_WAS_REPLICATED, details });
    };
    let durable = view.partition.flush == FlushPolicy::Commit;
    let held = view.each().filter(|(_, sight)| {
        let end = if durable { sight.log.flushed() } else { sight.log.written() };
        offset < end && sight.record(offset) == Some(record)
    });
    let held: IsrSet = held.map(|(replica, _)| replica).collect();
    let enough = held.count() >= leads.min_isr && (!durable || leads.maximal_isr.is_subset(held));
    if enough {
        return Ok(());
    }
    let details = format!(
        "{leader} acknowledged {record:?} at {offset}, held by {held:?}; {} and {:?} must hold it",
        leads.min_isr, leads.maximal_isr
    );
    Err(Violation { property: name::ACKED_WAS_REPLICATED, details })
}

/// RI8, as far as a leader can tell by itself, at the same moment: its own disk holds the record, durably under
/// `flush=commit`.
///
/// # Errors
/// What its disk holds.
pub fn leader_holds_what_it_acknowledged(
    leader: ReplicaIdx,
    disk: &OnDisk,
    flush: FlushPolicy,
    offset: Offset,
) -> Result<(), Violation> {
    let held = match flush {
        FlushPolicy::Os => disk.written,
        FlushPolicy::Commit => disk.flushed,
    };
    if offset < held {
        return Ok(());
    }
    let details =
        format!("{leader} acknowledged the record at {offset} under {flush:?}; its disk has {disk:?}");
    Err(Violation { property: name::ACKED_WAS_REPLICATED, details })
}
