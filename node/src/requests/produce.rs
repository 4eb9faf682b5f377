//! Produce: each batch is checked and given to its partition's replica; the answer waits for all of them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use highwater_model::api::{Acks, Answer, ApiError, ProduceAnswer, ProducePartition, ProducedPartition};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{Offset, TopicPartition};
use highwater_transport::batch::{Batch, BatchError, Limits, Source};
use highwater_transport::env::Instant;
use tokio::sync::oneshot;

use super::{Handling, RequestHandler, wait};
use crate::driver::replication::{Command, Produce, Told};

/// A batch that a replica has, or why none has.
type Placed = Result<oneshot::Receiver<Told<Offset>>, ApiError>;

impl RequestHandler {
    pub(super) async fn begin_produce(
        self: &Arc<Self>,
        acks: Acks,
        timeout_ms: u32,
        partitions: Vec<ProducePartition>,
        payload: Vec<Bytes>,
    ) -> Handling {
        let deadline = self.env.now() + wait(timeout_ms);
        let batches = match apart(payload, &partitions) {
            Ok(batches) => batches,
            Err(error) => return Box::pin(async move { Some((Answer::Refused(error), Vec::new())) }),
        };
        let mut placed = Vec::with_capacity(partitions.len());
        for (partition, bytes) in partitions.iter().zip(batches) {
            placed.push((partition.partition, self.place(acks, partition.partition, bytes, deadline).await));
        }
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(placed.len());
            for (partition, placed) in placed {
                outcomes.push(ProducedPartition { partition, result: outcome(placed).await });
            }
            // At acks=0 nobody waits for an answer.
            (acks != Acks::None)
                .then(|| (Answer::Produce(ProduceAnswer { partitions: outcomes }), Vec::new()))
        })
    }

    async fn place(&self, acks: Acks, partition: TopicPartition, bytes: Bytes, deadline: Instant) -> Placed {
        let task = self.partitions.get(partition)?;
        let batch = self.checked(partition, bytes)?;
        let (reply, answer) = oneshot::channel();
        let produce = Command::Produce(Produce { acks, batch, deadline, reply });
        match self.env.timeout_at(deadline, task.send(produce)).await {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(_)) => Err(ApiError::new(
                ErrorCode::NotLeaderOrFollower,
                "the replica is being stopped; nothing was written",
            )),
            Err(_) => Err(ApiError::new(
                ErrorCode::RequestTimedOut,
                "the replica took no more requests in time; nothing was written",
            )),
        }
    }

    /// The one batch in `bytes`, if it is sound.
    fn checked(&self, partition: TopicPartition, mut bytes: Bytes) -> Result<Batch, ApiError> {
        let image = self.image();
        let topic = image.topic(partition.topic).ok_or_else(|| {
            let message = format!("there is no topic with id {}; look it up again by name", partition.topic);
            ApiError::new(ErrorCode::UnknownTopicId, message)
        })?;
        let batch = Batch::split_first(&mut bytes).map_err(|error| illegal(&error))?;
        if !bytes.is_empty() {
            return Err(illegal(&BatchError::Trailing { count: bytes.len() }));
        }
        let size_bytes_max = usize::try_from(topic.config.max_message_bytes()).unwrap_or(usize::MAX);
        batch
            .validate(&Limits { size_bytes_max, source: Source::Client })
            .map_err(|error| illegal(&error))?;
        Ok(batch)
    }
}

async fn outcome(placed: Placed) -> Result<Offset, ApiError> {
    match placed?.await {
        Ok(told) => told,
        Err(_) => {
            let message = "the replica was stopped before it answered; the records may still be committed";
            Err(ApiError::new(ErrorCode::NotLeaderOrFollower, message))
        }
    }
}

fn illegal(error: &BatchError) -> ApiError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else is wrong with it makes it no legal batch"
    )]
    let code = match error {
        BatchError::Crc { .. } => ErrorCode::CorruptMessage,
        BatchError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        BatchError::Compressed(_) | BatchError::Codec { .. } => ErrorCode::UnsupportedCompressionType,
        _ => ErrorCode::InvalidRecord,
    };
    ApiError::new(code, format!("record batch: {error}; nothing was written"))
}

/// Takes the payload apart by the sizes that the partitions name. A batch in one chunk is not copied.
fn apart(payload: Vec<Bytes>, partitions: &[ProducePartition]) -> Result<Vec<Bytes>, ApiError> {
    let mismatch =
        || ApiError::new(ErrorCode::InvalidRequest, "the payload is not as long as the batches named");
    let mut chunks = payload.into_iter();
    let mut rest = Bytes::new();
    let mut batches = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let size = usize::try_from(partition.size_bytes).map_err(|_| mismatch())?;
        if rest.is_empty() {
            rest = chunks.next().unwrap_or_default();
        }
        if rest.len() < size {
            let mut whole = BytesMut::from(rest.as_ref());
            while whole.len() < size {
                whole.extend_from_slice(&chunks.next().ok_or_else(mismatch)?);
            }
            rest = whole.freeze();
        }
        batches.push(rest.split_to(size));
    }
    if rest.is_empty() && chunks.all(|chunk| chunk.is_empty()) { Ok(batches) } else { Err(mismatch()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{PartitionIndex, TopicId};
    use highwater_transport::batch::Compression;

    fn named(sizes: &[u32]) -> Vec<ProducePartition> {
        let partition = TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) };
        sizes.iter().map(|size_bytes| ProducePartition { partition, size_bytes: *size_bytes }).collect()
    }

    #[test]
    fn the_payload_is_taken_apart_by_size_however_it_is_cut() {
        let chunks =
            |parts: &[&'static str]| parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
        let expected: Vec<Bytes> = chunks(&["aaa", "bb", "c"]);

        for cut in [vec!["aaa", "bb", "c"], vec!["aaabbc"], vec!["a", "aab", "bc"]] {
            assert_eq!(apart(chunks(&cut), &named(&[3, 2, 1])), Ok(expected.clone()), "{cut:?}");
        }
    }

    #[test]
    fn a_batch_that_cannot_be_checked_is_refused_as_compressed() {
        let codes = [BatchError::Compressed(Compression::Zstd), BatchError::Codec { number: 5 }]
            .map(|error| illegal(&error).code);

        assert_eq!(codes, [ErrorCode::UnsupportedCompressionType; 2]);
    }

    #[test]
    fn a_payload_of_another_length_is_refused() {
        let six = vec![Bytes::from_static(b"aaabbc")];

        assert!(apart(six.clone(), &named(&[3, 2])).is_err());
        assert!(apart(six.clone(), &named(&[3, 2, 2])).is_err());
        assert!(apart(six, &named(&[u32::MAX])).is_err());
        assert!(apart(Vec::new(), &named(&[1])).is_err());
    }
}
