//! What was found when a log was opened.

use highwater_model::id::Offset;
use highwater_model::log::{Epoch, EpochHistory, LogShape};
use highwater_transport::batch::{BatchError, BatchHeader};

/// Where an epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch: of a partition's leader or of the quorum.
    pub epoch: u32,
    /// Offset of its first record, inclusive, or the log's end if it has none.
    pub start: Offset,
}

/// Why recovery cut the log where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutReason {
    /// The file ends within a batch.
    Torn,
    /// The bytes are not a batch.
    Bad(BatchError),
    /// A batch that no leader has stamped with its epoch.
    Unstamped,
    /// The files end before the recovery point, at the end of a sound batch.
    Missing,
    /// A sound batch that does not continue the log's offsets.
    Gap {
        /// Its base offset.
        found: Offset,
    },
    /// A sound batch of an epoch older than the one before it: left over from before a truncation.
    OldEpoch {
        /// Its epoch.
        found: u32,
    },
}

/// What recovery cut away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the log ends now, exclusive.
    pub end: Offset,
    /// How many bytes went, over all files.
    pub bytes: u64,
    /// Why.
    pub reason: CutReason,
    /// Whether records went that were there for certain: below the recovery point, or more than a torn last append
    /// after a stop that can tear no more. The replica has then not kept what it had counted (R60).
    pub is_damage: bool,
}

/// What a log holds after recovery. All of it has been synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// First offset, inclusive.
    pub start: Offset,
    /// Log end, exclusive; also the flushed end.
    pub end: Offset,
    /// The epochs, from the records, and the last one from the checkpoint if it has no record (R30, R31).
    pub epochs: Vec<EpochEntry>,
    /// Every batch, in order, for what is derived from them (R63, R72). The first may begin below `start`.
    pub batches: Vec<BatchHeader>,
    /// What was cut away, if anything.
    pub cut: Option<Cut>,
}

impl Recovered {
    /// The shape, as a core takes it: `recovered.shape(LeaderEpoch)`.
    pub fn shape<E: Epoch>(&self, epoch: impl Fn(u32) -> E) -> LogShape<E> {
        let mut history = EpochHistory::default();
        for entry in &self.epochs {
            history.assign(epoch(entry.epoch), entry.start);
        }
        LogShape::recovered(self.start, self.end, self.end, history)
    }
}
