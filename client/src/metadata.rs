//! What the client believes of the cluster: a cache of brokers and partitions that only moves forward.
//!
//! Merges answers; leaves asking for them to `cluster`.

use std::collections::BTreeMap;

use highwater_model::api::{MetadataAnswer, PartitionDetail, TopicDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{ClusterId, LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId, TopicPartition};

/// The leader of a partition, as far as the client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its broker.
    pub node: NodeId,
    /// Under which epoch it leads.
    pub leader_epoch: LeaderEpoch,
}

/// Something that was heard, and the metadata offset at which it was so.
#[derive(Clone, Debug)]
struct Heard<T> {
    what: T,
    as_of: Offset,
}

/// A past image of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Image {
    cluster: Option<ClusterId>,
    brokers: BTreeMap<NodeId, Heard<String>>,
    topics: BTreeMap<String, Heard<TopicDetail>>,
    names: BTreeMap<TopicId, String>,
    /// Topics that were known and are deleted, and at which offset that was heard.
    gone: BTreeMap<String, Offset>,
    controller: Option<NodeId>,
}

impl Image {
    /// The image after another answer. Answers come from brokers that may lag: what is known as of a later metadata
    /// offset stays, and so does a partition of a later leader epoch or partition epoch. An answer of another cluster
    /// replaces everything.
    #[must_use]
    pub fn merged(&self, answer: &MetadataAnswer) -> Self {
        let is_same = self.cluster.is_none_or(|cluster| cluster == answer.cluster);
        let mut image = if is_same { self.clone() } else { Self::default() };
        image.cluster = Some(answer.cluster);
        let as_of = answer.metadata_offset;
        for broker in &answer.brokers {
            if image.brokers.get(&broker.node).is_none_or(|known| known.as_of <= as_of) {
                image.brokers.insert(broker.node, Heard { what: broker.address.clone(), as_of });
            }
        }
        image.controller = answer.controller.or(image.controller);
        for topic in &answer.topics {
            match topic {
                Ok(topic) => image.merge_topic(topic, as_of),
                Err((name, error)) if error.code == ErrorCode::UnknownTopicOrPartition => {
                    image.forget(name, as_of);
                }
                Err(_) => {}
            }
        }
        image
    }

    /// A deleted and created topic has a new id and starts over (R82).
    fn merge_topic(&mut self, topic: &TopicDetail, as_of: Offset) {
        if self.gone.get(&topic.name).is_some_and(|gone| *gone > as_of) {
            return;
        }
        let merged = match self.topics.get(&topic.name) {
            Some(known) if known.what.topic == topic.topic && known.as_of <= as_of => {
                Heard { what: newest(&known.what, topic), as_of }
            }
            Some(known) if known.what.topic == topic.topic => {
                Heard { what: newest(topic, &known.what), as_of: known.as_of }
            }
            Some(known) if known.as_of > as_of => return,
            _ => Heard { what: topic.clone(), as_of },
        };
        if let Some(known) = self.topics.get(&topic.name) {
            self.names.remove(&known.what.topic);
        }
        self.gone.remove(&topic.name);
        self.names.insert(merged.what.topic, topic.name.clone());
        self.topics.insert(topic.name.clone(), merged);
    }

    /// Forgets a topic that is said not to exist, unless that was so before it was made.
    fn forget(&mut self, name: &str, as_of: Offset) {
        if self.topics.get(name).is_some_and(|known| known.as_of <= as_of)
            && let Some(topic) = self.topics.remove(name)
        {
            self.names.remove(&topic.what.topic);
            self.gone.insert(name.to_owned(), as_of);
        }
    }

    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&TopicDetail> {
        self.topics.get(name).map(|known| &known.what)
    }

    /// The names of the topics that are known.
    pub fn topic_names(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
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
        self.brokers.get(&node).map(|known| known.what.as_str())
    }

    /// Every broker and its `host:port`.
    pub fn brokers(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.brokers.iter().map(|(node, address)| (*node, address.what.as_str()))
    }

    /// The active controller, if known.
    #[must_use]
    pub fn controller(&self) -> Option<NodeId> {
        self.controller
    }
}

/// A partition of a topic; at its own place, as a rule.
pub(crate) fn find(topic: &TopicDetail, partition: PartitionIndex) -> Option<&PartitionDetail> {
    let is_it = |detail: &&PartitionDetail| detail.partition == partition;
    let at_its_place = topic.partitions.get(partition.0 as usize).filter(is_it);
    at_its_place.or_else(|| topic.partitions.iter().find(is_it))
}

/// As [`find`].
fn find_mut(topic: &mut TopicDetail, partition: PartitionIndex) -> Option<&mut PartitionDetail> {
    let at_its_place = topic.partitions.get(partition.0 as usize).is_some_and(|it| it.partition == partition);
    if at_its_place {
        return topic.partitions.get_mut(partition.0 as usize);
    }
    topic.partitions.iter_mut().find(|detail| detail.partition == partition)
}

/// The later of two descriptions of one topic, with what the earlier one has of later epochs.
fn newest(known: &TopicDetail, heard: &TopicDetail) -> TopicDetail {
    let mut merged = heard.clone();
    for detail in &known.partitions {
        match find_mut(&mut merged, detail.partition) {
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
    use highwater_model::api::{ApiError, BrokerDetail};
    use highwater_model::id::PartitionEpoch;

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

    fn at(offset: u64, answer: MetadataAnswer) -> MetadataAnswer {
        MetadataAnswer { metadata_offset: Offset(offset), ..answer }
    }

    fn missing() -> MetadataAnswer {
        let error = ApiError::new(ErrorCode::UnknownTopicOrPartition, "there is no topic t");
        MetadataAnswer { topics: vec![Err(("t".to_owned(), error))], ..answer(0, &[]) }
    }

    fn moved(address: &str) -> MetadataAnswer {
        let broker = BrokerDetail {
            node: NodeId(1),
            broker_epoch: Default::default(),
            address: address.to_owned(),
            fenced: false,
            shutting_down: false,
        };
        MetadataAnswer { brokers: vec![broker], ..answer(1, &[]) }
    }

    #[test]
    fn a_topic_that_was_created_again_starts_over() {
        let image = Image::default().merged(&at(4, answer(1, &[(0, 1, 5)])));

        let image = image.merged(&at(9, answer(2, &[(0, 3, 0)])));

        assert_eq!(leader(&image, 2, 0), Some((3, 0)));
        assert_eq!(leader(&image, 1, 0), None);
    }

    #[test]
    fn a_lagging_brokers_answer_does_not_bring_back_a_deleted_topic() {
        let image = Image::default().merged(&at(9, answer(2, &[(0, 3, 0)])));
        let image = image.merged(&at(4, answer(1, &[(0, 1, 5)])));
        assert_eq!((leader(&image, 2, 0), leader(&image, 1, 0)), (Some((3, 0)), None));

        let image = image.merged(&at(10, missing())).merged(&at(9, answer(2, &[(0, 3, 0)])));
        assert_eq!(leader(&image, 2, 0), None);

        let image = image.merged(&at(12, answer(3, &[(0, 1, 0)])));
        assert_eq!(leader(&image, 3, 0), Some((1, 0)));
    }

    #[test]
    fn a_broker_that_has_not_heard_of_a_topic_yet_does_not_make_it_forgotten() {
        let image = Image::default().merged(&at(9, answer(2, &[(0, 3, 0)])));

        let image = image.merged(&at(4, missing()));

        assert_eq!(leader(&image, 2, 0), Some((3, 0)));
    }

    #[test]
    fn a_lagging_brokers_answer_does_not_bring_back_an_old_address() {
        let image = Image::default().merged(&at(9, moved("new:1")));

        let image = image.merged(&at(4, moved("old:1")));

        assert_eq!(image.address(NodeId(1)), Some("new:1"));
    }

    #[test]
    fn another_cluster_starts_over() {
        let image = Image::default().merged(&at(9, answer(2, &[(0, 3, 0)])));

        let image = image.merged(&MetadataAnswer { cluster: ClusterId(2), ..answer(1, &[(0, 1, 0)]) });

        assert_eq!((leader(&image, 1, 0), leader(&image, 2, 0)), (Some((1, 0)), None));
    }
}
