//! What the core is told of a batch: its header, without its bytes.

use highwater_model::id::LeaderEpoch;
use highwater_model::replication::{BatchKind, BatchProducer, BatchSummary};
use highwater_transport::batch::BatchHeader;

/// The summary of a batch with this header.
pub(crate) fn of(header: &BatchHeader) -> BatchSummary {
    let producer = header.producer.and_then(|producer| {
        Some(BatchProducer {
            id: producer.id,
            producer_epoch: producer.epoch,
            first_sequence: producer.base_sequence?,
            last_sequence: header.last_sequence()?,
        })
    });
    BatchSummary {
        base_offset: header.base_offset,
        count: header.last_offset_delta.saturating_add(1),
        leader_epoch: LeaderEpoch(header.leader_epoch.unwrap_or(0)),
        producer,
        kind: if header.attributes.is_control() { BatchKind::Control } else { BatchKind::Data },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{Offset, ProducerEpoch, ProducerId, Sequence};
    use highwater_transport::batch::{self, Batch, BatchBuilder, NewRecord};

    #[test]
    fn a_summary_says_who_produced_how_many_records_and_where() {
        let producer = batch::BatchProducer {
            id: ProducerId(7),
            epoch: ProducerEpoch(1),
            base_sequence: Some(Sequence(i32::MAX.unsigned_abs())),
        };
        let mut builder = BatchBuilder::new().producer(producer);
        for _ in 0..2 {
            builder
                .push(&NewRecord { value: Some(b"v"), ..NewRecord::default() })
                .expect("a short record fits");
        }
        let mut bytes = builder.build_at(Offset(10), Some(3)).expect("two records are enough");
        let batch = Batch::split_first(&mut bytes).expect("a built batch is one");

        let expected = BatchSummary {
            base_offset: Offset(10),
            count: 2,
            leader_epoch: LeaderEpoch(3),
            producer: Some(BatchProducer {
                id: ProducerId(7),
                producer_epoch: ProducerEpoch(1),
                first_sequence: Sequence(i32::MAX.unsigned_abs()),
                last_sequence: Sequence(0),
            }),
            kind: BatchKind::Data,
        };
        assert_eq!(of(batch.header()), expected);
    }
}
