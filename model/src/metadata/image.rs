//! The cluster as of one metadata offset: the fold of the log below it.
//!
//! An image is cheap to clone (topics are shared until one changes), so that a broker can publish each one and a
//! controller can try a decision out. What the records mean is in `image/apply.rs`; nothing is decided here.

mod apply;
#[cfg(test)]
mod tests;
mod view;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::{Broker, Partition, Topic};
use crate::id::{NodeId, Offset, ProducerId, TopicId, TopicPartition};

/// Brokers, topics, partitions and configuration as of one metadata offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// End of the last batch in it, exclusive.
    end: Offset,
    /// Sorted by node.
    brokers: Vec<Broker>,
    /// Sorted by id.
    topics: Vec<Arc<Topic>>,
    /// Sorted by name. Follows from `topics`.
    names: Vec<(Arc<str>, TopicId)>,
    /// The first id never handed out.
    next_producer_id: ProducerId,
}

impl Hash for Image {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.end.hash(state);
        self.brokers.hash(state);
        self.topics.hash(state);
        self.next_producer_id.hash(state);
    }
}

impl Image {
    /// End of the metadata in it, exclusive.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The registered brokers, by node.
    #[must_use]
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// One broker.
    #[must_use]
    pub fn broker(&self, node: NodeId) -> Option<&Broker> {
        self.brokers.get(self.brokers.binary_search_by_key(&node, |broker| broker.node).ok()?)
    }

    /// The topics, by id.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().map(Arc::as_ref)
    }

    /// Names and ids of the topics, by name.
    #[must_use]
    pub fn topic_names(&self) -> &[(Arc<str>, TopicId)] {
        &self.names
    }

    /// One topic.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(self.topics.binary_search_by_key(&id, |topic| topic.id).ok()?).map(Arc::as_ref)
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic_by_name(&self, name: &str) -> Option<&Topic> {
        let at = self.names.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        self.topic(self.names.get(at)?.1)
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, partition: TopicPartition) -> Option<&Partition> {
        self.topic(partition.topic)?.partition(partition.partition)
    }

    /// Every partition.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        self.topics().flat_map(Topic::named_partitions)
    }

    /// Every partition of which `node` holds a replica.
    pub fn partitions_on(&self, node: NodeId) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        self.partitions().filter(move |(_, partition)| partition.replicas.contains(&node))
    }

    /// The first producer id that was never handed out.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}
