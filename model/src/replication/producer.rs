//! Idempotent producers: which batch is new, which was written before, which is out of order (R70-R74).

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{BatchProducer, BatchSummary, Refusal};
use crate::id::{Offset, ProducerEpoch, ProducerId, Sequence};

/// So many batches of a producer are recognised when they come again.
const WINDOW: usize = 5;

/// What a batch is to the log.
pub(super) enum Decision {
    Append,
    /// It is in the log already.
    Duplicate {
        base_offset: Offset,
        end: Offset,
    },
}

/// A batch of a producer in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct ProducedBatch {
    producer_epoch: ProducerEpoch,
    first_sequence: Sequence,
    last_sequence: Sequence,
    base_offset: Offset,
    end: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct ProducerState {
    id: ProducerId,
    /// In log order, never empty: at least the last five, and more of them while that many are not yet committed, so
    /// that a truncation leaves what it should (R35).
    batches: SmallVec<[ProducedBatch; 1]>,
}

/// Every producer with a batch in the log, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Producers {
    states: SmallVec<[ProducerState; 1]>,
}

impl Producers {
    /// R71, for a batch of a client.
    pub(super) fn decide(&self, batch: &BatchSummary) -> Result<Decision, Refusal> {
        let Some(producer) = &batch.producer else { return Ok(Decision::Append) };
        let state = self.find(producer.id).ok().and_then(|at| self.states.get(at));
        // Nothing known: it expired, or was never here. Any sequence will do.
        let Some(last) = state.and_then(|state| state.batches.last()) else { return Ok(Decision::Append) };
        let (given, known) = (producer.producer_epoch, last.producer_epoch);
        if given < known {
            return Err(Refusal::FencedProducer { given, known });
        }
        let mut window = state.into_iter().flat_map(|state| state.batches.iter().rev().take(WINDOW));
        if let Some(same) = window.find(|before| before.is(producer)) {
            return Ok(Decision::Duplicate { base_offset: same.base_offset, end: same.end });
        }
        let expected = if given > known { Sequence(0) } else { last.last_sequence.after(1) };
        let given = producer.first_sequence;
        if given == expected {
            Ok(Decision::Append)
        } else {
            Err(Refusal::OutOfOrderSequence { given, expected })
        }
    }

    /// Takes in a batch that is in the log now (R72: whatever a leader appended, unquestioned).
    pub(super) fn note(&mut self, batch: &BatchSummary, committed: Offset) {
        let Some(producer) = &batch.producer else { return };
        let produced = ProducedBatch {
            producer_epoch: producer.producer_epoch,
            first_sequence: producer.first_sequence,
            last_sequence: producer.last_sequence,
            base_offset: batch.base_offset,
            end: batch.end(),
        };
        match self.find(producer.id) {
            Ok(at) => {
                if let Some(state) = self.states.get_mut(at) {
                    state.push(produced, committed);
                }
            }
            Err(at) => {
                let batches = SmallVec::from_buf([produced]);
                self.states.insert(at, ProducerState { id: producer.id, batches });
            }
        }
    }

    /// Forgets what lies at or above `end`, because the log was cut there (R35).
    pub(super) fn truncate(&mut self, end: Offset) {
        self.states.retain(|state| {
            state.batches.retain(|batch| batch.end <= end);
            !state.batches.is_empty()
        });
    }

    pub(super) fn forget(&mut self, producer: ProducerId) {
        self.states.retain(|state| state.id != producer);
    }

    /// How many batches are remembered, of all producers.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.states.iter().map(|state| state.batches.len()).sum()
    }

    fn find(&self, producer: ProducerId) -> Result<usize, usize> {
        self.states.binary_search_by_key(&producer, |state| state.id)
    }
}

impl ProducerState {
    fn push(&mut self, batch: ProducedBatch, committed: Offset) {
        self.batches.push(batch);
        // All at once: after a recovery a whole log's batches may have become superfluous.
        let safe = self.batches.partition_point(|batch| batch.end <= committed);
        self.batches.drain(..safe.saturating_sub(WINDOW));
    }
}

impl ProducedBatch {
    fn is(&self, other: &BatchProducer) -> bool {
        self.producer_epoch == other.producer_epoch
            && self.first_sequence == other.first_sequence
            && self.last_sequence == other.last_sequence
    }
}
