//! Topics, configuration and voters.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::ApiError;
use crate::id::{DirectoryId, NodeId, Offset, PartitionIndex, TopicId};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name: 1 to 249 of `[a-zA-Z0-9._-]`, and neither `.` nor `..`.
    pub name: String,
    /// How many partitions, or `None` for the broker's `num.partitions`.
    pub partitions: Option<u32>,
    /// How many replicas each, or `None` for the broker's `default.replication.factor`.
    pub replication_factor: Option<u16>,
    /// Replicas by hand, instead of the two numbers.
    pub assignments: Vec<ReplicaAssignment>,
    /// Topic configuration, name and value.
    pub configs: Vec<(String, String)>,
}

/// Replicas of one partition; the first is the preferred leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReplicaAssignment {
    /// The partition.
    pub partition: PartitionIndex,
    /// Its replicas, all different.
    pub replicas: Vec<NodeId>,
}

/// Outcome of one topic creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// Its id and the number of its partitions, or why it was not created.
    pub result: Result<(TopicId, u32), ApiError>,
}

/// Outcome for one named topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicOutcome {
    /// Its name.
    pub name: String,
    /// Done, or why not.
    pub result: Result<(), ApiError>,
}

/// A topic to grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewPartitions {
    /// Its name.
    pub name: String,
    /// How many partitions it shall have in all.
    pub total: u32,
}

/// Where a configuration value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// The broker's configuration.
    Broker,
    /// Highwater's default.
    Default,
}

/// The configuration of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopicConfigs {
    /// The metadata offset of the record that last changed it, or made the topic: what a compare-and-set expects.
    pub offset: Offset,
    /// Every value.
    pub entries: Vec<ConfigEntry>,
}

/// One configuration value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfigEntry {
    /// Kafka's property name.
    pub name: String,
    /// Its value, as text.
    pub value: String,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// One change of a topic's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfigChange {
    /// Kafka's property name.
    pub name: String,
    /// The new value, or `None` to go back to the default.
    pub value: Option<String>,
}

/// A change of the metadata quorum's voter set, by one voter (Q30).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VoterChange {
    /// Adds a node that already fetches as an observer.
    Add {
        /// Its id.
        node: NodeId,
        /// Its metadata log directory.
        directory: DirectoryId,
    },
    /// Removes a voter.
    Remove {
        /// Its id.
        node: NodeId,
        /// Its metadata log directory.
        directory: DirectoryId,
    },
}
