//! What the core knows of a record batch.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

/// Summaries of consecutive batches.
pub type Batches = SmallVec<[BatchSummary; 1]>;

/// No offset is above this: Kafka's are signed.
pub(super) const OFFSET_MAX: Offset = Offset(u64::MAX >> 2);

/// No sequence is above this (R71).
const SEQUENCE_MAX: Sequence = Sequence(0x7fff_ffff);

/// What a batch holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BatchKind {
    /// Records of a client.
    #[default]
    Data,
    /// Markers of Highwater's own.
    Control,
}

/// Who produced an idempotent batch (R70).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchProducer {
    /// The producer.
    pub id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the batch's first record.
    pub first_sequence: Sequence,
    /// Sequence of its last record, inclusive.
    pub last_sequence: Sequence,
}

/// One record batch without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchSummary {
    /// Offset of its first record. Ignored in a produce: the leader assigns it.
    pub base_offset: Offset,
    /// Number of offsets it takes, at least 1.
    pub count: u32,
    /// Epoch of the leader that appended it. Ignored in a produce: the leader stamps its own.
    pub leader_epoch: LeaderEpoch,
    /// Its producer, if that is idempotent.
    pub producer: Option<BatchProducer>,
    /// What it holds.
    pub kind: BatchKind,
}

impl BatchSummary {
    /// Whether its sequences are sequences and as many as its records.
    pub(super) fn sequences_fit(&self) -> bool {
        let Some(last_place) = self.count.checked_sub(1) else { return false };
        self.producer.is_none_or(|producer| {
            producer.first_sequence <= SEQUENCE_MAX
                && producer.first_sequence.after(last_place) == producer.last_sequence
        })
    }

    /// Offset after its last record, exclusive.
    ///
    /// # Panics
    /// When the offset space is exhausted; the core tests batches from outside before it asks.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.base_offset.after(u64::from(self.count))
    }
}
