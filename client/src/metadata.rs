//! What the client believes of the cluster: a cache of brokers and partitions that only moves forward.
//!
//! Merges answers; leaves asking for them to `cluster`.

use std::collections::BTreeMap;

use highwater_model::api::{MetadataAnswer, PartitionDetail, TopicDetail};
use highwater_model::id::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition};

/// The leader of a partition, as far as the client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its broker.
    pub node: NodeId,
    /// Under which epoch it leads.
    pub leader_epoch: LeaderEpoch,
}

/// A past image of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Image {
    brokers: BTreeMap<NodeId, String>,
    topics: BTreeMap<String, TopicDetail>,
    names: BTreeMap<TopicId, String>,
    controller: Option<NodeId>,
}

impl Image {
    /// The image after another answer: a partition is replaced unless the answer has an older leader epoch or partition
    /// epoch than is known, because answers come from brokers that may lag (a deleted and created topic has a new id and
    /// is taken as it is, R82).
    #[must_use]
    pub fn merged(&self, answer: &MetadataAnswer) -> Self {
        let mut image = self.clone();
        for broker in &answer.brokers {
            image.brokers.insert(broker.node, broker.address.clone());
        }
        image.controller = answer.controller.or(image.controller);
        for topic in answer.topics.iter().flatten() {
            image.merge_topic(topic);
        }
        image
    }

    fn merge_topic(&mut self, topic: &TopicDetail) {
        let merged = match self.topics.get(&topic.name) {
            Some(known) if known.topic == topic.topic => newest(known, topic),
            Some(known) => {
                self.names.remove(&known.topic);
                topic.clone()
            }
            None => topic.clone(),
        };
        self.names.insert(merged.topic, merged.name.clone());
        self.topics.insert(merged.name.clone(), merged);
    }

    /// Forgets a topic that is said not to exist.
    pub fn forget(&mut self, name: &str) {
        if let Some(topic) = self.topics.remove(name) {
            self.names.remove(&topic.topic);
        }
    }

    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&TopicDetail> {
        self.topics.get(name)
    }

    /// The name of the topic with this id.
    #[must_use]
    pub fn name_of(&self, topic: TopicId) -> Option<&str> {
        self.names.get(&topic).map(String::as_str)
    }

    /// The topic of this id.
    #[must_use]
    pub fn topic_by_id(&self, topic: TopicId) -> Option<&TopicDetail> {
        self.name_of(topic).and_then(|name| self.topic(name))
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, partition: TopicPartition) -> Option<&PartitionDetail> {
        find(self.topic_by_id(partition.topic)?, partition.partition)
    }

    /// Who leads a partition.
    #[must_use]
    pub fn leader(&self, partition: TopicPartition) -> Option<Leader> {
        let detail = self.partition(partition)?;
        detail.leader.map(|node| Leader { node, leader_epoch: detail.leader_epoch })
    }

    /// The leader epoch of a partition, whether or not it has a leader.
    #[must_use]
    pub fn leader_epoch(&self, partition: TopicPartition) -> Option<LeaderEpoch> {
        self.partition(partition).map(|detail| detail.leader_epoch)
    }

    /// `host:port` of a broker.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<&str> {
        self.brokers.get(&node).map(String::as_str)
    }

    /// Every broker and its `host:port`.
    pub fn brokers(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.brokers.iter().map(|(node, address)| (*node, address.as_str()))
    }

    /// The active controller, if known.
    #[must_use]
    pub fn controller(&self) -> Option<NodeId> {
        self.controller
    }
}

fn find(topic: &TopicDetail, partition: PartitionIndex) -> Option<&PartitionDetail> {
    topic.partitions.iter().find(|detail| detail.partition == partition)
}

fn newest(known: &TopicDetail, heard: &TopicDetail) -> TopicDetail {
    let mut merged = heard.clone();
    for detail in &known.partitions {
        match merged.partitions.iter_mut().find(|other| other.partition == detail.partition) {
            Some(other) => {
                let age = |detail: &PartitionDetail| (detail.leader_epoch, detail.partition_epoch);
                if age(other) < age(detail) {
                    *other = detail.clone();
                }
            }
            None => merged.partitions.push(detail.clone()),
        }
    }
    merged.partitions.sort_by_key(|detail| detail.partition);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{ClusterId, Offset, PartitionEpoch};

    fn answer(topic: u128, partitions: &[(u32, u32, u32)]) -> MetadataAnswer {
        let detail = |(index, leader, epoch): &(u32, u32, u32)| PartitionDetail {
            partition: PartitionIndex(*index),
            leader: Some(NodeId(*leader)),
            leader_epoch: LeaderEpoch(*epoch),
            partition_epoch: PartitionEpoch(0),
            replicas: Vec::new(),
            isr: Vec::new(),
            eligible_leaders: Vec::new(),
            replica_details: Vec::new(),
        };
        MetadataAnswer {
            cluster: ClusterId(1),
            metadata_offset: Offset(0),
            controller: Some(NodeId(1)),
            brokers: Vec::new(),
            topics: vec![Ok(TopicDetail {
                name: "t".to_owned(),
                topic: TopicId(topic),
                min_insync_replicas: 1,
                configs: Vec::new(),
                partitions: partitions.iter().map(detail).collect(),
            })],
        }
    }

    fn leader(image: &Image, topic: u128, index: u32) -> Option<(u32, u32)> {
        let partition = TopicPartition { topic: TopicId(topic), partition: PartitionIndex(index) };
        image.leader(partition).map(|leader| (leader.node.0, leader.leader_epoch.0))
    }

    #[test]
    fn a_lagging_brokers_answer_does_not_bring_back_an_old_leader() {
        let image = Image::default().merged(&answer(1, &[(0, 1, 5), (1, 2, 5)]));

        let image = image.merged(&answer(1, &[(0, 3, 4), (1, 3, 6)]));

        assert_eq!(leader(&image, 1, 0), Some((1, 5)));
        assert_eq!(leader(&image, 1, 1), Some((3, 6)));
    }

    #[test]
    fn a_topic_that_was_created_again_starts_over() {
        let image = Image::default().merged(&answer(1, &[(0, 1, 5)]));

        let image = image.merged(&answer(2, &[(0, 3, 0)]));

        assert_eq!(leader(&image, 2, 0), Some((3, 0)));
        assert_eq!(leader(&image, 1, 0), None);
    }
}
