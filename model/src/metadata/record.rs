//! What the metadata log holds.
//!
//! A record states what is so from here on; the fold decides nothing. On disk each is (type, version, body), which the
//! driver frames: type and version are [`Record::type_id`] and [`Record::version`], the body is the inner value's serde
//! form. A body never changes under its version; a new field is a new version.

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use super::{Image, Partition};
use crate::id::{BrokerEpoch, DirectoryId, IncarnationId, NodeId, ProducerId, TopicId, TopicPartition};

/// A broker process is registered, fenced. The record's own offset is its broker epoch (Q51), so it is the last of its
/// batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BrokerRegistered {
    /// Its id.
    pub node: NodeId,
    /// The process.
    pub incarnation: IncarnationId,
    /// `host:port` of its QUIC listener.
    pub address: Arc<str>,
    /// Its log directories, sorted.
    pub directories: SmallVec<[DirectoryId; 1]>,
    /// See [`super::Broker::vouched_from`]; `None` for this registration itself.
    pub vouched_from: Option<BrokerEpoch>,
}

/// A registered broker's standing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BrokerChanged {
    /// Its id.
    pub node: NodeId,
    /// The registration that is meant.
    pub broker_epoch: BrokerEpoch,
}

/// A topic exists, without partitions yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopicCreated {
    /// Its id.
    pub topic: TopicId,
    /// Its name.
    pub name: Arc<str>,
}

/// Configuration was set on a topic, or unset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopicConfigured {
    /// The topic.
    pub topic: TopicId,
    /// Kafka's property name and its value, or `None` to unset it.
    pub changes: Vec<(String, Option<String>)>,
}

/// A topic and its partitions are gone (R82).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopicRemoved {
    /// The topic.
    pub topic: TopicId,
}

/// A partition is in this state from here on; its first one creates it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// Which partition.
    pub partition: TopicPartition,
    /// Its whole state.
    pub state: Partition,
}

/// Producer ids were handed to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProducerIdsAllocated {
    /// The broker.
    pub node: NodeId,
    /// The first id that has not been handed out.
    pub next: ProducerId,
}

/// One fact of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Record {
    /// See [`BrokerRegistered`].
    BrokerRegistered(BrokerRegistered),
    /// A broker may not lead and not be in ISRs.
    BrokerFenced(BrokerChanged),
    /// A broker may lead and be in ISRs.
    BrokerUnfenced(BrokerChanged),
    /// A broker began a controlled shutdown (Q56).
    BrokerStopping(BrokerChanged),
    /// See [`TopicCreated`].
    TopicCreated(TopicCreated),
    /// See [`TopicConfigured`].
    TopicConfigured(TopicConfigured),
    /// See [`TopicRemoved`].
    TopicRemoved(TopicRemoved),
    /// See [`PartitionRecord`].
    Partition(PartitionRecord),
    /// See [`ProducerIdsAllocated`].
    ProducerIdsAllocated(ProducerIdsAllocated),
    /// Everything up to here at once: the only record of a snapshot (Q40).
    Snapshot(Box<Image>),
}

/// A stored record is of a type or a version that this build does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Its type.
    pub type_id: u16,
    /// Its version.
    pub version: u8,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "metadata record of type {} and version {} is unknown to this build",
            self.type_id, self.version
        )
    }
}

impl core::error::Error for RecordError {}

impl Record {
    /// The number that names its type on disk.
    #[must_use]
    pub const fn type_id(&self) -> u16 {
        match self {
            Self::BrokerRegistered(_) => 1,
            Self::BrokerFenced(_) => 2,
            Self::BrokerUnfenced(_) => 3,
            Self::BrokerStopping(_) => 4,
            Self::TopicCreated(_) => 5,
            Self::TopicConfigured(_) => 6,
            Self::TopicRemoved(_) => 7,
            Self::Partition(_) => 8,
            Self::ProducerIdsAllocated(_) => 9,
            Self::Snapshot(_) => 10,
        }
    }

    /// The version of its body on disk.
    #[must_use]
    pub const fn version(&self) -> u8 {
        0
    }

    /// Writes its body, without type and version.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize_body<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::BrokerRegistered(body) => body.serialize(serializer),
            Self::BrokerFenced(body) | Self::BrokerUnfenced(body) | Self::BrokerStopping(body) => {
                body.serialize(serializer)
            }
            Self::TopicCreated(body) => body.serialize(serializer),
            Self::TopicConfigured(body) => body.serialize(serializer),
            Self::TopicRemoved(body) => body.serialize(serializer),
            Self::Partition(body) => body.serialize(serializer),
            Self::ProducerIdsAllocated(body) => body.serialize(serializer),
            Self::Snapshot(body) => body.serialize(serializer),
        }
    }

    /// Reads a body of this type and version.
    ///
    /// # Errors
    /// [`RecordError`] when type or version is unknown; the deserializer's error, inside, when the body is malformed.
    pub fn deserialize_body<'de, D: Deserializer<'de>>(
        type_id: u16,
        version: u8,
        from: D,
    ) -> Result<Result<Self, D::Error>, RecordError> {
        if version != 0 {
            return Err(RecordError { type_id, version });
        }
        Ok(match type_id {
            1 => Deserialize::deserialize(from).map(Self::BrokerRegistered),
            2 => Deserialize::deserialize(from).map(Self::BrokerFenced),
            3 => Deserialize::deserialize(from).map(Self::BrokerUnfenced),
            4 => Deserialize::deserialize(from).map(Self::BrokerStopping),
            5 => Deserialize::deserialize(from).map(Self::TopicCreated),
            6 => Deserialize::deserialize(from).map(Self::TopicConfigured),
            7 => Deserialize::deserialize(from).map(Self::TopicRemoved),
            8 => Deserialize::deserialize(from).map(Self::Partition),
            9 => Deserialize::deserialize(from).map(Self::ProducerIdsAllocated),
            10 => Deserialize::deserialize(from).map(Self::Snapshot),
            _ => return Err(RecordError { type_id, version }),
        })
    }
}
