//! How a batch of records changes the image: wholly, in order, deciding nothing (MI5).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::{
    Broker, BrokerChanged, BrokerRegistered, PartitionRecord, Record, Topic, TopicConfig, TopicConfigured,
    TopicCreated,
};
use super::Image;
use crate::id::{BrokerEpoch, Offset, TopicId};

impl Image {
    /// Takes one batch, which ends at `end`, exclusive; each of its records takes one offset. A control batch has no
    /// records. A decision of several records is one batch, so that no image shows half of it (MI5).
    ///
    /// # Panics
    /// When the batch does not lie beyond this image, or speaks of what is not there: the log is not one that a
    /// controller wrote.
    pub fn apply(&mut self, end: Offset, records: &[Record]) {
        let count = u64::try_from(records.len()).expect("a batch has fewer records than a log has offsets");
        assert!(end.since(self.end) >= count, "each record of a batch takes an offset beyond the image");
        let base = end.0 - count;
        for (offset, record) in (base..).map(Offset).zip(records) {
            self.apply_one(offset, end, record);
        }
        self.end = end;
    }

    fn apply_one(&mut self, offset: Offset, end: Offset, record: &Record) {
        match record {
            Record::BrokerRegistered(record) => self.put_broker(registered(record, offset)),
            Record::BrokerFenced(record) => self.broker_mut(record).fenced = true,
            Record::BrokerUnfenced(record) => {
                let broker = self.broker_mut(record);
                broker.fenced = false;
                broker.vouched_from = broker.broker_epoch;
            }
            Record::BrokerStopping(record) => self.broker_mut(record).stopping = Some(end),
            Record::TopicCreated(record) => self.create_topic(record, end),
            Record::TopicConfigured(record) => self.configure_topic(record, end),
            Record::TopicRemoved(record) => self.remove_topic(record.topic),
            Record::Partition(record) => self.put_partition(record),
            Record::ProducerIdsAllocated(record) => self.next_producer_id = record.next,
            Record::Snapshot(image) => *self = (**image).clone(),
        }
    }

    fn put_broker(&mut self, broker: Broker) {
        match self.brokers.binary_search_by_key(&broker.node, |known| known.node) {
            Ok(at) => *self.brokers.get_mut(at).expect("a search gives a place that is there") = broker,
            Err(at) => self.brokers.insert(at, broker),
        }
    }

    fn broker_mut(&mut self, changed: &BrokerChanged) -> &mut Broker {
        let known = self.brokers.iter_mut().find(|broker| broker.node == changed.node);
        let broker = known.expect("a controller speaks of registered brokers only");
        assert_eq!(
            broker.broker_epoch, changed.broker_epoch,
            "a controller speaks of current registrations only"
        );
        broker
    }

    fn topic_mut(&mut self, id: TopicId) -> &mut Topic {
        let place = self.topics.binary_search_by_key(&id, |topic| topic.id);
        let topic = place.ok().and_then(|at| self.topics.get_mut(at));
        Arc::make_mut(topic.expect("a controller speaks of existing topics only"))
    }

    fn create_topic(&mut self, record: &TopicCreated, end: Offset) {
        let at = self.topics.binary_search_by_key(&record.topic, |topic| topic.id);
        let name_at = self.names.binary_search_by(|(known, _)| known.cmp(&record.name));
        let topic = Topic {
            id: record.topic,
            name: record.name.clone(),
            config: TopicConfig::default(),
            config_offset: end,
            partitions: Vec::new(),
        };
        self.topics.insert(at.expect_err("a topic id is used once (R82)"), Arc::new(topic));
        let name_at = name_at.expect_err("a topic name is used by one topic at a time (MI3)");
        self.names.insert(name_at, (record.name.clone(), record.topic));
    }

    fn configure_topic(&mut self, record: &TopicConfigured, end: Offset) {
        let topic = self.topic_mut(record.topic);
        topic.config_offset = end;
        for (name, value) in &record.changes {
            let changed = topic.config.change(name, value.as_deref());
            changed.expect("a controller writes legal configuration only");
        }
    }

    fn remove_topic(&mut self, id: TopicId) {
        self.topics.retain(|topic| topic.id != id);
        self.names.retain(|(_, named)| *named != id);
    }

    fn put_partition(&mut self, record: &PartitionRecord) {
        let partitions = &mut self.topic_mut(record.partition.topic).partitions;
        let at =
            usize::try_from(record.partition.partition.0).expect("a partition index fits the address space");
        match partitions.get_mut(at) {
            Some(known) => known.clone_from(&record.state),
            None => {
                assert_eq!(at, partitions.len(), "partitions are made in order");
                partitions.push(record.state.clone());
            }
        }
    }
}

/// The broker that a registration makes: fenced until it has caught up (Q51).
fn registered(record: &BrokerRegistered, offset: Offset) -> Broker {
    Broker {
        node: record.node,
        broker_epoch: BrokerEpoch(offset.0),
        incarnation: record.incarnation,
        address: record.address.clone(),
        directories: record.directories.clone(),
        vouched_from: record.vouched_from.unwrap_or(BrokerEpoch(offset.0)),
        fenced: true,
        stopping: None,
    }
}
