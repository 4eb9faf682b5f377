//! The records of one batch, from the first that is put in to the outcome of each.

use bytes::Bytes;
use highwater_model::api::ProducerIdentity;
use highwater_model::id::ProducerEpoch;
use highwater_transport::batch::{BatchBuilder, BatchProducer, BuildError, NewRecord};
use highwater_transport::env::Instant;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::queue::Stamp;
use super::{Delivered, Entry};
use crate::error::ProduceError;

/// A batch that is being filled, or waits for its outcome.
#[derive(Debug)]
pub(super) struct Batch {
    builder: BatchBuilder,
    replies: Vec<oneshot::Sender<Result<Delivered, ProduceError>>>,
    room: Option<OwnedSemaphorePermit>,
    /// When its first record was put in.
    pub(super) since: Instant,
}

impl Batch {
    pub(super) fn new(since: Instant) -> Self {
        Self { builder: BatchBuilder::new(), replies: Vec::new(), room: None, since }
    }

    /// Number of records.
    pub(super) fn count(&self) -> u32 {
        self.builder.count()
    }

    /// Length in bytes, header included.
    pub(super) fn len_bytes(&self) -> usize {
        self.builder.len_bytes()
    }

    /// Puts a record in. One that does not fit the format is answered at once.
    pub(super) fn push(&mut self, entry: Entry) {
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            entry.record.headers.iter().map(|(name, value)| (name.as_ref(), value.as_deref())).collect();
        let record = NewRecord {
            timestamp_ms: entry.timestamp_ms,
            key: entry.record.key.as_deref(),
            value: entry.record.value.as_deref(),
            headers: &headers,
        };
        if self.builder.push(&record).is_err() {
            let bytes_max = i32::MAX.unsigned_abs() as usize;
            // Whoever does not wait for the outcome does not miss it.
            let _ = entry.reply.send(Err(ProduceError::TooLarge { bytes: entry.record.bytes(), bytes_max }));
            return;
        }
        self.replies.push(entry.reply);
        match &mut self.room {
            Some(room) => room.merge(entry.room),
            None => self.room = Some(entry.room),
        }
    }

    /// The bytes to send under this stamp; without an identity, of no producer.
    pub(super) fn encode(
        &mut self,
        identity: Option<ProducerIdentity>,
        stamp: Stamp,
    ) -> Result<Bytes, BuildError> {
        if let Some(identity) = identity {
            let producer = BatchProducer {
                id: identity.producer_id,
                epoch: ProducerEpoch(identity.producer_epoch.0.wrapping_add(stamp.epoch.0)),
                base_sequence: Some(stamp.sequence),
            };
            self.builder = std::mem::take(&mut self.builder).producer(producer);
        }
        self.builder.build()
    }

    /// Tells every record where it is, the first being there.
    pub(super) fn acknowledge(self, first: Delivered) {
        for (delta, reply) in (0u64..).zip(self.replies) {
            let offset = first.offset.map(|base| base.after(delta));
            // As above.
            let _ = reply.send(Ok(Delivered { offset, ..first }));
        }
    }

    /// Tells every record why it is not acknowledged.
    pub(super) fn fail(self, error: &ProduceError) {
        for reply in self.replies {
            // As above.
            let _ = reply.send(Err(error.clone()));
        }
    }
}
