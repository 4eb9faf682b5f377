//! A replica as a broker finds it when it starts (R60-R63, X6): its log, and nothing that was only in memory.

use smallvec::SmallVec;

use super::producer::Producers;
use super::state::Role;
use super::{BatchSummary, FlushPolicy, IsrSet, PartitionView, REPLICAS_MAX, Replica, Tenure};
use crate::fault::{Bug, Faults};
use crate::id::{LeaderEpoch, Offset, PartitionEpoch, RequestId};
use crate::log::{EpochHistory, LogShape};

/// What is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recovered<'a> {
    /// The log after recovery, from [`LogShape::recovered`]; its epoch history rebuilt from its batches (R31).
    pub log: LogShape<LeaderEpoch>,
    /// The checkpointed high watermark: a hint, possibly stale, 0 when there is none (R63).
    pub high_watermark: Offset,
    /// Summaries of the log's batches in order; only those of idempotent producers matter.
    pub batches: &'a [BatchSummary],
}

impl<F: Faults> Replica<F> {
    /// A replica as it comes back from disk: neither leader nor follower until a view shows that this incarnation is
    /// registered.
    ///
    /// # Panics
    /// When the tenure is none: more replicas than [`REPLICAS_MAX`], or the own one not among them.
    #[must_use]
    pub fn recover(tenure: &Tenure, faults: F, recovered: Recovered<'_>) -> Self {
        assert!(tenure.replicas.len() <= usize::from(REPLICAS_MAX), "an assignment is bounded");
        assert!(tenure.own.0 < tenure.replica_count(), "a replica is in its own assignment");
        let stale = faults.has(Bug::EpochsFromCheckpoint);
        let log = if stale { without_last_epoch(&recovered.log) } else { recovered.log };
        let high_watermark = recovered.high_watermark.min(log.end()).max(log.start());
        let mut producers = Producers::default();
        for batch in recovered.batches {
            producers.note(batch, high_watermark);
        }
        Self {
            faults,
            log,
            high_watermark,
            syncing: None,
            producers,
            view: nothing_known(),
            min_isr_before: 1,
            role: Role::Idle,
            last_proposal: RequestId::default(),
        }
    }
}

/// B-20: a log with the epoch history as a checkpoint told it that was written before the last epoch began.
fn without_last_epoch(log: &LogShape<LeaderEpoch>) -> LogShape<LeaderEpoch> {
    let mut epochs = EpochHistory::default();
    if let [older @ .., _] = log.epochs().starts() {
        older.iter().for_each(|known| epochs.assign(known.epoch, known.start));
    }
    LogShape::recovered(log.start(), log.flushed(), log.end(), epochs)
}

/// The view before the first view.
fn nothing_known() -> PartitionView {
    PartitionView {
        metadata_offset: Offset::ZERO,
        leader: None,
        leader_epoch: LeaderEpoch::default(),
        partition_epoch: PartitionEpoch::default(),
        isr: IsrSet::EMPTY,
        min_isr: 1,
        flush: FlushPolicy::Os,
        replicas: SmallVec::new(),
    }
}
