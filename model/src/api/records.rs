//! Producing and fetching.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::ApiError;
use crate::id::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TopicPartition};

/// When a produce is answered (R2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Acks {
    /// Never (`acks=0`).
    None,
    /// When the leader has it (`acks=1`).
    Leader,
    /// When every member of the ISR has it, and they are at least `min.insync.replicas` (`acks=all`).
    #[default]
    All,
}

/// One partition of a produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProducePartition {
    /// Where to append.
    pub partition: TopicPartition,
    /// Length of its batch in the payload, in bytes.
    pub size_bytes: u32,
}

/// Outcome of a produce, per partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProduceAnswer {
    /// In the order of the request.
    pub partitions: Vec<ProducedPartition>,
}

/// Outcome of a produce to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducedPartition {
    /// Where it was to be appended.
    pub partition: TopicPartition,
    /// Offset of its first record, or why it was not acknowledged. A retriable error leaves the outcome open where its
    /// code says so (R3, R6).
    pub result: Result<Offset, ApiError>,
}

/// One partition of a fetch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FetchPartition {
    /// Where to read.
    pub partition: TopicPartition,
    /// The leader epoch that the reader believes in, if it wants to be fenced (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// First offset wanted, inclusive.
    pub fetch_offset: Offset,
    /// At most about so many bytes of this partition.
    pub bytes_max: u32,
}

/// Outcome of a fetch, per partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchAnswer {
    /// In the order of the request.
    pub partitions: Vec<FetchedPartition>,
}

/// Outcome of a fetch of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPartition {
    /// Where it was read.
    pub partition: TopicPartition,
    /// End of what may be read, exclusive.
    pub high_watermark: Offset,
    /// First offset of the log, inclusive.
    pub log_start: Offset,
    /// Length of its batches in the payload in bytes, or why there are none.
    pub result: Result<u32, ApiError>,
}

/// Which end of a log is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// First offset, inclusive.
    Earliest,
    /// The high watermark as the leader knows it, exclusive: monotonic per session, but it may be a former leader's.
    Latest,
    /// The high watermark after a round of fetches begun later than the request: linearizable.
    LatestLinearizable,
}

/// One partition of a request for offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListOffsetsPartition {
    /// Which partition.
    pub partition: TopicPartition,
    /// Which end.
    pub spec: OffsetSpec,
}

/// One answered offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// The offset and the leader epoch under which it was read, or why not.
    pub result: Result<(Offset, LeaderEpoch), ApiError>,
}

/// A new idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProducerIdentity {
    /// Its id, unique in the cluster.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// The broker that answered.
    pub node: NodeId,
}
