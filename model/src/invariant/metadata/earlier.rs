//! What a batch is judged by, from before it: the image, or only what the batch names.
//!
//! To keep an image from before each batch takes as long as the image is large; what a batch names is as small as the batch.
//! What it changes besides (which only a wrong fold would) is not seen with that alone.

use alloc::vec::Vec;

use super::Led;
use super::one_leader_per_epoch::led_in;
use crate::id::{NodeId, TopicPartition};
use crate::metadata::{Broker, Image, Partition, Record, Topic};

/// What was so before a batch.
pub trait Earlier {
    /// Brokers that were registered.
    fn brokers(&self) -> impl Iterator<Item = &Broker>;
    /// Partitions, as they were.
    fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Partition)>;
}

impl Earlier for Image {
    fn brokers(&self) -> impl Iterator<Item = &Broker> {
        Self::brokers(self).iter()
    }

    fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        Self::partitions(self)
    }
}

/// What the records of a batch name, as it was before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    brokers: Vec<Broker>,
    partitions: Vec<(TopicPartition, Partition)>,
    led: Vec<Led>,
}

impl Earlier for Named {
    fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter()
    }

    fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        self.partitions.iter().map(|(at, state)| (*at, state))
    }
}

impl Named {
    /// What these records name, as it is in the image that they are yet to be applied to. Takes as long as there are records;
    /// with a registration, which names whatever its node leads, as there are partitions.
    #[must_use]
    pub fn of(records: &[Record], image: &Image) -> Self {
        let mut named = Self::default();
        records.iter().for_each(|record| named.note(record, image));
        let led = named.partitions.iter().filter_map(|(at, state)| led_in(image, *at, state));
        named.led.extend(led);
        named
    }

    /// Who led the partitions that are named, and those of whoever registers anew.
    #[must_use]
    pub fn led(&self) -> &[Led] {
        &self.led
    }

    fn note(&mut self, record: &Record, image: &Image) {
        match record {
            Record::BrokerRegistered(registered) => {
                self.note_broker(registered.node, image);
                let led =
                    image.partitions().filter(|(_, state)| state.leader_node() == Some(registered.node));
                self.led.extend(led.filter_map(|(at, state)| led_in(image, at, state)));
            }
            Record::BrokerFenced(changed)
            | Record::BrokerUnfenced(changed)
            | Record::BrokerStopping(changed) => {
                self.note_broker(changed.node, image);
            }
            // Its partitions are made anew, if it was there before.
            Record::TopicCreated(created) => {
                let were = image.topic(created.topic).into_iter().flat_map(Topic::named_partitions);
                self.partitions.extend(were.map(|(at, state)| (at, state.clone())));
            }
            Record::Partition(record) => {
                let was = image.partition(record.partition);
                self.partitions.extend(was.map(|state| (record.partition, state.clone())));
            }
            Record::TopicConfigured(_)
            | Record::TopicRemoved(_)
            | Record::ProducerIdsAllocated(_)
            | Record::Snapshot(_) => {}
        }
    }

    fn note_broker(&mut self, node: NodeId, image: &Image) {
        self.brokers.extend(image.broker(node).cloned());
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::sample::{AT, changed, healthy, put, registered, state, with};
    use super::super::{
        epochs_only_grow, led, one_leader_per_epoch, registrations_only_grow, topics_never_shrink,
    };
    use super::*;
    use crate::id::{PartitionEpoch, TopicId};
    use crate::metadata::{TopicCreated, TopicRemoved};

    #[test]
    fn a_batch_names_what_its_records_are_about() {
        let image = healthy();
        let fenced = Named::of(&[Record::BrokerFenced(changed(2))], &image);
        assert_eq!((fenced.brokers.len(), fenced.partitions.len(), fenced.led.len()), (1, 0, 0));

        let altered = Named::of(&[put(state())], &image);
        assert_eq!((altered.brokers.len(), &altered.partitions), (0, &vec![(AT, state())]));
        assert_eq!(altered.led, led(&image));

        let created = Record::TopicCreated(TopicCreated { topic: TopicId(2), name: "u".into() });
        assert_eq!(Named::of(&[created], &image), Named::default(), "nothing of it was there");
    }

    #[test]
    fn what_is_named_is_enough_to_find_a_step_that_is_wrong() {
        let falls = [put(Partition { partition_epoch: PartitionEpoch(4), ..state() })];
        let named = Named::of(&falls, &healthy());
        assert!(epochs_only_grow(&named, &with(&falls)).is_err());

        // A new run leads what the one before led, and no record names the partition.
        let anew = [registered(1, 1)];
        let named = Named::of(&anew, &healthy());
        assert!(one_leader_per_epoch(named.led(), &with(&anew)).is_err());

        let named = Named::of(&anew, &with(&anew));
        // As if the log had taken it back.
        assert!(registrations_only_grow(&named, &healthy()).is_err());

        let again = [
            Record::TopicRemoved(TopicRemoved { topic: TopicId(1) }),
            Record::TopicCreated(TopicCreated { topic: TopicId(1), name: "t".into() }),
        ];
        let named = Named::of(&again, &healthy());
        assert!(topics_never_shrink(&named, &with(&again)).is_err());
    }
}
