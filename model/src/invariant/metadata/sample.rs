//! A small healthy image for the tests of the predicates to spoil.

use alloc::vec;
use alloc::vec::Vec;

use smallvec::smallvec;

use crate::id::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionIndex,
    TopicId, TopicPartition,
};
use crate::metadata::{
    BrokerChanged, BrokerRegistered, Image, Partition, PartitionRecord, Record, TopicConfigured, TopicCreated,
};
use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx};

pub(super) const AT: TopicPartition = TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) };

pub(super) fn registered(node: u32, directory: u128) -> Record {
    Record::BrokerRegistered(BrokerRegistered {
        node: NodeId(node),
        incarnation: IncarnationId(1),
        address: "localhost:1".into(),
        directories: smallvec![DirectoryId(directory)],
        vouched_from: None,
    })
}

pub(super) fn changed(node: u32) -> BrokerChanged {
    BrokerChanged { node: NodeId(node), broker_epoch: BrokerEpoch(u64::from(node) - 1) }
}

/// Of three replicas, all in sync; the first leads.
pub(super) fn state() -> Partition {
    Partition {
        replicas: smallvec![NodeId(1), NodeId(2), NodeId(3)],
        leader: Some(ReplicaIdx(0)),
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(5),
        isr: IsrSet::first(3),
        eligible_leaders: IsrSet::EMPTY,
        last_known_leader: None,
        recovering: false,
        min_isr: 2,
        flush: FlushPolicy::Commit,
        flush_since: Offset::ZERO,
        missing: smallvec![],
    }
}

pub(super) fn put(state: Partition) -> Record {
    Record::Partition(PartitionRecord { partition: AT, state })
}

pub(super) fn log() -> Vec<(Offset, Vec<Record>)> {
    let created = Record::TopicCreated(TopicCreated { topic: TopicId(1), name: "t".into() });
    let changes = vec![("min.insync.replicas".into(), Some("2".into()))];
    let configured = Record::TopicConfigured(TopicConfigured { topic: TopicId(1), changes });
    vec![
        (Offset(3), vec![registered(1, 1), registered(2, 2), registered(3, 3)]),
        (Offset(6), (1..=3).map(|node| Record::BrokerUnfenced(changed(node))).collect()),
        (Offset(9), vec![created, configured, put(state())]),
    ]
}

/// The image of [`log`].
pub(super) fn healthy() -> Image {
    let mut image = Image::default();
    for (end, records) in log() {
        image.apply(end, &records);
    }
    image
}

/// The image after one more batch.
pub(super) fn with(records: &[Record]) -> Image {
    let mut image = healthy();
    let count = u64::try_from(records.len()).unwrap();
    image.apply(image.end().after(count), records);
    image
}

/// The image with the partition in another state.
pub(super) fn spoilt(spoil: impl FnOnce(&mut Partition)) -> Image {
    let mut spoilt = state();
    spoil(&mut spoilt);
    with(&[put(spoilt)])
}
