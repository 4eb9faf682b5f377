//! Folding batches of records.

use alloc::boxed::Box;
use alloc::vec;

use smallvec::{SmallVec, smallvec};

use super::super::{BrokerChanged, BrokerRegistered, PartitionRecord, Record, TopicCreated, TopicRemoved};
use super::*;
use crate::id::{BrokerEpoch, IncarnationId, LeaderEpoch, PartitionEpoch, PartitionIndex};
use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx, ReplicaView};

fn registered(node: u32) -> Record {
    Record::BrokerRegistered(BrokerRegistered {
        node: NodeId(node),
        incarnation: IncarnationId(1),
        address: "localhost:1".into(),
        directories: SmallVec::new(),
        vouched_from: None,
    })
}

fn created(topic: u128, name: &str) -> Record {
    Record::TopicCreated(TopicCreated { topic: TopicId(topic), name: name.into() })
}

fn partition(topic: u128, index: u32) -> Record {
    Record::Partition(PartitionRecord {
        partition: TopicPartition { topic: TopicId(topic), partition: PartitionIndex(index) },
        state: Partition {
            replicas: smallvec![NodeId(2), NodeId(1)],
            leader: Some(ReplicaIdx(0)),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            isr: IsrSet::first(2),
            eligible_leaders: IsrSet::EMPTY,
            last_known_leader: None,
            recovering: false,
            min_isr: 1,
            flush: FlushPolicy::Os,
            flush_since: Offset::ZERO,
            missing: SmallVec::new(),
        },
    })
}

fn image() -> Image {
    let mut image = Image::default();
    image.apply(Offset(3), &[registered(2)]);
    image.apply(Offset(4), &[registered(1)]);
    image.apply(Offset(8), &[created(9, "b"), partition(9, 0), created(5, "c"), partition(5, 0)]);
    image
}

#[test]
fn a_registration_has_its_own_offset_for_an_epoch_wherever_its_batch_ends() {
    let image = image();

    let epochs: Vec<_> = image.brokers().iter().map(|broker| (broker.node, broker.broker_epoch)).collect();
    assert_eq!(epochs, [(NodeId(1), BrokerEpoch(3)), (NodeId(2), BrokerEpoch(2))]);
}

#[test]
fn a_control_batch_moves_the_end_and_nothing_else() {
    let mut moved = image();
    moved.apply(Offset(20), &[]);

    assert_eq!(moved.end(), Offset(20));
    assert_eq!((moved.brokers(), moved.topic_names()), (image().brokers(), image().topic_names()));
}

#[test]
fn topics_are_found_by_name_and_by_id_until_they_are_removed() {
    let mut image = image();
    assert_eq!(image.topic_by_name("b").unwrap().id, TopicId(9));
    image.apply(Offset(9), &[Record::TopicRemoved(TopicRemoved { topic: TopicId(9) })]);

    assert_eq!(image.topic_by_name("b"), None);
    assert_eq!(image.topic(TopicId(9)), None);
    assert_eq!(image.partitions_on(NodeId(1)).count(), 1);
}

#[test]
fn a_view_tells_each_replica_who_may_be_in_sync() {
    let mut image = image();
    let unfenced = BrokerChanged { node: NodeId(2), broker_epoch: BrokerEpoch(2) };
    image.apply(Offset(9), &[Record::BrokerUnfenced(unfenced)]);
    let at = TopicPartition { topic: TopicId(9), partition: PartitionIndex(0) };
    let view = image.partition_view(at).unwrap();

    assert_eq!(
        (view.metadata_offset, view.leader, view.isr),
        (Offset(9), Some(ReplicaIdx(0)), IsrSet::first(2))
    );
    let replica =
        |broker_epoch, eligible| ReplicaView { broker_epoch: Some(BrokerEpoch(broker_epoch)), eligible };
    assert_eq!(view.replicas.to_vec(), vec![replica(2, true), replica(3, false)]);
}

#[test]
fn an_image_that_was_cloned_is_not_changed_by_a_later_batch() {
    let before = image();
    let mut after = before.clone();
    after.apply(Offset(9), &[partition(9, 1)]);

    assert_eq!(before, image());
    assert_eq!(after.topic(TopicId(9)).unwrap().partitions.len(), 2);
}

#[test]
fn a_snapshot_stands_for_the_log_before_it() {
    let mut restored = Image::default();
    restored.apply(Offset(8), &[Record::Snapshot(Box::new(image()))]);

    assert_eq!(restored, image());
}

#[test]
#[should_panic(expected = "takes an offset beyond the image")]
fn a_batch_that_overlaps_the_image_is_a_defect() {
    image().apply(Offset(9), &[registered(1), registered(2)]);
}
