//! Descriptions of the cluster, its topics and its quorum.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::ApiError;
use crate::id::{
    BrokerEpoch, ClusterId, DirectoryId, LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionIndex,
    QuorumEpoch, TopicId,
};

/// A broker as the metadata has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerDetail {
    /// Its id.
    pub node: NodeId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// `host:port` of its QUIC listener for clients.
    pub address: String,
    /// Whether it may lead and be in ISRs.
    pub fenced: bool,
    /// Whether it is shutting down under control.
    pub shutting_down: bool,
}

/// A partition as the metadata has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionDetail {
    /// Its index.
    pub partition: PartitionIndex,
    /// Its leader, if it has one.
    pub leader: Option<NodeId>,
    /// Epoch of that leader.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of this description.
    pub partition_epoch: PartitionEpoch,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Its in-sync replicas.
    pub isr: Vec<NodeId>,
    /// Replicas outside the ISR that still hold everything committed (KIP-966).
    pub eligible_leaders: Vec<NodeId>,
    /// What each replica knows; filled by [`super::Request::DescribeTopic`] only.
    pub replica_details: Vec<ReplicaDetail>,
}

/// A replica as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaDetail {
    /// Its broker.
    pub node: NodeId,
    /// First offset, inclusive, if known.
    pub log_start: Option<Offset>,
    /// High watermark, exclusive, if known.
    pub high_watermark: Option<Offset>,
    /// Log end offset, exclusive, if known.
    pub log_end: Option<Offset>,
    /// Why it is not in the ISR and since when, in words; `None` for a member.
    pub missing_because: Option<String>,
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDetail {
    /// Its name.
    pub name: String,
    /// Its id.
    pub topic: TopicId,
    /// Effective `min.insync.replicas` (R4).
    pub min_insync_replicas: u16,
    /// Configuration set on the topic.
    pub configs: Vec<(String, String)>,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionDetail>,
}

/// What a broker knows of the cluster: a past committed image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataAnswer {
    /// The cluster.
    pub cluster: ClusterId,
    /// The metadata offset of this image, exclusive.
    pub metadata_offset: Offset,
    /// The active controller, if known.
    pub controller: Option<NodeId>,
    /// Its brokers.
    pub brokers: Vec<BrokerDetail>,
    /// The topics asked for; a missing one is an error.
    pub topics: Vec<Result<TopicDetail, (String, ApiError)>>,
}

/// The cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDetail {
    /// The cluster.
    pub cluster: ClusterId,
    /// The active controller, if known.
    pub controller: Option<NodeId>,
    /// The metadata offset of this image, exclusive.
    pub metadata_offset: Offset,
    /// Its brokers.
    pub brokers: Vec<BrokerDetail>,
    /// Number of topics.
    pub topics: u32,
    /// Number of partitions.
    pub partitions: u32,
    /// Partitions without a leader.
    pub offline: u32,
    /// Partitions whose ISR is smaller than their replica set.
    pub under_replicated: u32,
    /// Partitions whose ISR is smaller than `min.insync.replicas`.
    pub under_min_isr: u32,
}

/// A member of the metadata quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterDetail {
    /// Its id.
    pub node: NodeId,
    /// Its metadata log directory.
    pub directory: DirectoryId,
    /// Flushed log end that it reported, exclusive, if known.
    pub log_end: Option<Offset>,
}

/// The metadata quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumDetail {
    /// The node that answered.
    pub node: NodeId,
    /// Its leader, if known.
    pub leader: Option<NodeId>,
    /// The quorum's epoch.
    pub quorum_epoch: QuorumEpoch,
    /// End of what is committed, exclusive, if known.
    pub high_watermark: Option<Offset>,
    /// Log end offset of the node that answered, exclusive.
    pub log_end: Offset,
    /// The voters.
    pub voters: Vec<VoterDetail>,
    /// Nodes that follow without a vote.
    pub observers: Vec<VoterDetail>,
}
