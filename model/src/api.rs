//! What clients and operators ask of a broker, and what it answers: one neutral form, whatever the codec.
//!
//! QUIC frames carry these values as they are; a Kafka listener translates its bodies to and from them. Record batches
//! travel beside a request or answer as payload bytes, in the order of the partitions that name their sizes.

mod admin;
mod cluster;
mod monitors;
mod records;

pub use admin::{
    ConfigChange, ConfigEntry, ConfigSource, CreatedTopic, NewPartitions, NewTopic, ReplicaAssignment,
    TopicConfigs, TopicOutcome, VoterChange,
};
pub use cluster::{
    BrokerDetail, ClusterDetail, MetadataAnswer, PartitionDetail, QuorumDetail, ReplicaDetail, TopicDetail,
    VoterDetail,
};
pub use monitors::{MonitorCount, MonitorFinding, MonitorPlace, MonitorsDetail};
pub use records::{
    Acks, FetchAnswer, FetchPartition, FetchedPartition, ListOffsetsPartition, ListedOffset, OffsetSpec,
    ProduceAnswer, ProducePartition, ProducedPartition, ProducerIdentity,
};

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::error_code::ErrorCode;

/// Why a request, or one item of it, was not done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApiError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What was seen against what was expected, and what to do next; lower case, no full stop.
    pub message: String,
}

impl ApiError {
    /// An error with this code and explanation.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl core::fmt::Display for ApiError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl core::error::Error for ApiError {}

/// A request of a client. Times are in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// Brokers, and the named topics or all of them, as this broker's image of the metadata has them.
    Metadata {
        /// Names of the topics, or `None` for all.
        topics: Option<Vec<String>>,
    },
    /// Appends one record batch per named partition; the batches are the payload.
    Produce {
        /// When to answer.
        acks: Acks,
        /// How long to wait for replication, in ms.
        timeout_ms: u32,
        /// The partitions, in the order of their batches.
        partitions: Vec<ProducePartition>,
    },
    /// Reads record batches below the high watermark; the batches are the answer's payload.
    Fetch {
        /// How long to wait for `min_bytes`, in ms.
        wait_ms_max: u32,
        /// Answer as soon as so many bytes are there.
        bytes_min: u32,
        /// Answer with at most about so many bytes, but always with a whole batch.
        bytes_max: u32,
        /// The partitions.
        partitions: Vec<FetchPartition>,
    },
    /// Where logs begin and end.
    ListOffsets {
        /// The partitions.
        partitions: Vec<ListOffsetsPartition>,
    },
    /// A new producer id.
    InitProducerId,
    /// Creates topics, each wholly or not at all.
    CreateTopics {
        /// The topics.
        topics: Vec<NewTopic>,
        /// How long to wait for the metadata to commit, in ms.
        timeout_ms: u32,
        /// Only say whether it would be done.
        validate_only: bool,
    },
    /// Deletes topics by name.
    DeleteTopics {
        /// The names.
        names: Vec<String>,
        /// How long to wait for the metadata to commit, in ms.
        timeout_ms: u32,
    },
    /// Grows topics; never shrinks them (R83).
    CreatePartitions {
        /// The topics and their new sizes.
        topics: Vec<NewPartitions>,
        /// How long to wait for the metadata to commit, in ms.
        timeout_ms: u32,
    },
    /// The configuration of a topic, with the source of each value.
    DescribeConfigs {
        /// The topic's name.
        topic: String,
        /// Whether the answer must reflect every change acknowledged before the request (Q18).
        linearizable: bool,
    },
    /// Changes the configuration of a topic.
    AlterConfigs {
        /// The topic's name.
        topic: String,
        /// What to set and what to unset.
        changes: Vec<ConfigChange>,
        /// Only if the metadata offset that last changed this topic is this one (compare-and-set).
        expected_offset: Option<crate::id::Offset>,
    },
    /// Brokers and their states, read linearizably from the active controller (Q18) when `linearizable`.
    DescribeCluster {
        /// Whether the answer must reflect every change acknowledged before the request.
        linearizable: bool,
    },
    /// What each hosted replica of a topic knows: log ends, watermarks, and why members are missing from the ISR.
    DescribeTopic {
        /// The topic's name.
        topic: String,
    },
    /// The metadata quorum as its leader sees it.
    DescribeQuorum,
    /// Adds or removes a voter of the metadata quorum (Q30).
    ChangeVoters {
        /// The change.
        change: VoterChange,
        /// How long to wait for it to commit, in ms.
        timeout_ms: u32,
    },
    /// What the runtime monitors of the broker that is asked have counted.
    DescribeMonitors,
}

/// What a broker answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// The request as a whole was refused.
    Refused(ApiError),
    /// To [`Request::Metadata`].
    Metadata(MetadataAnswer),
    /// To [`Request::Produce`]. There is no answer at `acks=0`.
    Produce(ProduceAnswer),
    /// To [`Request::Fetch`].
    Fetch(FetchAnswer),
    /// To [`Request::ListOffsets`].
    ListOffsets(Vec<ListedOffset>),
    /// To [`Request::InitProducerId`].
    Producer(ProducerIdentity),
    /// To [`Request::CreateTopics`].
    CreatedTopics(Vec<CreatedTopic>),
    /// To [`Request::DeleteTopics`] and [`Request::CreatePartitions`].
    Topics(Vec<TopicOutcome>),
    /// To [`Request::DescribeConfigs`].
    Configs(TopicConfigs),
    /// To [`Request::DescribeCluster`].
    Cluster(ClusterDetail),
    /// To [`Request::DescribeTopic`].
    Topic(TopicDetail),
    /// To [`Request::DescribeQuorum`].
    Quorum(QuorumDetail),
    /// Done, and there is nothing more to say.
    Done,
    /// To [`Request::DescribeMonitors`].
    Monitors(MonitorsDetail),
}
