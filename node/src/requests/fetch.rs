//! Fetch: reads committed batches, and waits for more when there are too few.

use std::sync::Arc;

use bytes::Bytes;
use highwater_model::api::{Answer, ApiError, FetchAnswer, FetchPartition, FetchedPartition};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::Offset;
use highwater_transport::frame::PAYLOAD_CHUNKS_MAX;
use tokio::sync::{Notify, oneshot};

use super::{RequestHandler, wait};
use crate::disk::Fault;
use crate::driver::replication::{Command, Grant, Read};

/// The most that one answer carries, whatever is asked for.
const BYTES_MAX: usize = 32 << 20;

/// What one look at all partitions gave.
#[derive(Default)]
struct Look {
    partitions: Vec<FetchedPartition>,
    payload: Vec<Bytes>,
    bytes: usize,
    failed: bool,
}

impl RequestHandler {
    pub(super) async fn fetch(
        &self,
        wait_ms_max: u32,
        bytes_min: u32,
        bytes_max: u32,
        partitions: &[FetchPartition],
    ) -> (Answer, Vec<Bytes>) {
        let deadline = self.env.now() + wait(wait_ms_max);
        let enough = usize::try_from(bytes_min).unwrap_or(BYTES_MAX).min(BYTES_MAX);
        let most = usize::try_from(bytes_max).unwrap_or(BYTES_MAX).min(BYTES_MAX);
        let wake = Arc::new(Notify::new());
        loop {
            let look = self.look(most, partitions, &wake).await;
            let is_late = self.env.now() >= deadline;
            if look.bytes >= enough || look.failed || is_late {
                return (Answer::Fetch(FetchAnswer { partitions: look.partitions }), look.payload);
            }
            // Late or not, the next look is what is answered then.
            let _ = self.env.timeout_at(deadline, wake.notified()).await;
        }
    }

    async fn look(&self, most: usize, partitions: &[FetchPartition], wake: &Arc<Notify>) -> Look {
        let mut look = Look::default();
        for partition in partitions {
            let left = most.saturating_sub(look.bytes);
            let is_full = (look.bytes > 0 && left == 0) || look.payload.len() >= PAYLOAD_CHUNKS_MAX;
            let asked = usize::try_from(partition.bytes_max).unwrap_or(BYTES_MAX);
            let (fetched, bytes) = self.read(partition, left.min(asked), is_full, wake).await;
            look.failed |= fetched.result.is_err();
            look.bytes += bytes.len();
            if !bytes.is_empty() {
                look.payload.push(bytes);
            }
            look.partitions.push(fetched);
        }
        look
    }

    /// Reads one partition; no bytes when the answer is full already.
    async fn read(
        &self,
        partition: &FetchPartition,
        bytes_max: usize,
        is_full: bool,
        wake: &Arc<Notify>,
    ) -> (FetchedPartition, Bytes) {
        let (high_watermark, log_start, read) = match self.grant(partition, bytes_max, wake).await {
            Ok(Grant { high_watermark, log_start, .. }) if is_full => {
                (high_watermark, log_start, Ok(Bytes::new()))
            }
            Ok(grant) => {
                (grant.high_watermark, grant.log_start, grant.reading.await.map_err(|fault| told(&fault)))
            }
            Err(error) => (Offset::ZERO, Offset::ZERO, Err(error)),
        };
        let (result, bytes) = match read {
            Ok(bytes) => (Ok(u32::try_from(bytes.len()).unwrap_or(u32::MAX)), bytes),
            Err(error) => (Err(error), Bytes::new()),
        };
        (FetchedPartition { partition: partition.partition, high_watermark, log_start, result }, bytes)
    }

    async fn grant(
        &self,
        partition: &FetchPartition,
        bytes_max: usize,
        wake: &Arc<Notify>,
    ) -> Result<Grant, ApiError> {
        let task = self.partitions.get(partition.partition)?;
        let (reply, granted) = oneshot::channel();
        let read = Command::Read(Read {
            from: partition.fetch_offset,
            bytes_max,
            leader_epoch: partition.leader_epoch,
            wake: Arc::clone(wake),
            reply,
        });
        let stopped = || {
            ApiError::new(ErrorCode::NotLeaderOrFollower, "the replica is being stopped; look up the leader")
        };
        task.send(read).await.map_err(|_| stopped())?;
        granted.await.map_err(|_| stopped())?
    }
}

/// A storage fault as a reader is told it.
fn told(fault: &Fault) -> ApiError {
    let out_of_range = matches!(fault, Fault::OutOfRange { .. });
    let code = if out_of_range { ErrorCode::OffsetOutOfRange } else { ErrorCode::KafkaStorageError };
    ApiError::new(code, fault.to_string())
}
