//! Each monitor of the metadata is shown the fault that it is for: a batch that no controller may decide on.

use std::num::NonZeroU32;

use highwater_model::id::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, NodeId, PartitionEpoch, PartitionIndex,
    QuorumEpoch, TopicId, TopicPartition,
};
use highwater_model::metadata::{
    BrokerChanged, BrokerRegistered, Partition, PartitionRecord, TopicConfigured, TopicCreated,
};
use highwater_model::replication::{FlushPolicy, IsrSet, ReplicaIdx};
use highwater_transport::env::Env;

use super::*;
use crate::monitor::{Monitors, Place};

const AT: TopicPartition = TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) };

fn registered(node: u32, directory: u128) -> Record {
    Record::BrokerRegistered(BrokerRegistered {
        node: NodeId(node),
        incarnation: IncarnationId(1),
        address: "localhost:1".into(),
        directories: [DirectoryId(directory)].into_iter().collect(),
        vouched_from: None,
    })
}

fn changed(node: u32) -> BrokerChanged {
    BrokerChanged { node: NodeId(node), broker_epoch: BrokerEpoch(u64::from(node) - 1) }
}

/// The partition as the next change of it leaves it: of three replicas, all in sync; the first leads.
fn partition(change: impl FnOnce(&mut Partition)) -> Record {
    let mut state = Partition {
        replicas: [1, 2, 3].map(NodeId).into_iter().collect(),
        leader: Some(ReplicaIdx(0)),
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(6),
        isr: IsrSet::first(3),
        eligible_leaders: IsrSet::EMPTY,
        last_known_leader: None,
        recovering: false,
        min_isr: 2,
        flush: FlushPolicy::Commit,
        flush_since: Offset::ZERO,
        missing: [].into_iter().collect(),
    };
    change(&mut state);
    Record::Partition(PartitionRecord { partition: AT, state })
}

fn after(image: &Image, records: &[Record]) -> Image {
    let mut after = image.clone();
    after.apply(image.end().after(records.len() as u64), records);
    after
}

/// Three unfenced brokers and a topic of one partition.
fn healthy() -> Image {
    let image = after(&Image::default(), &[registered(1, 1), registered(2, 2), registered(3, 3)]);
    let image = after(&image, &[1, 2, 3].map(|node| Record::BrokerUnfenced(changed(node))));
    let created = Record::TopicCreated(TopicCreated { topic: TopicId(1), name: "t".into() });
    let changes = vec![("min.insync.replicas".into(), Some("2".into()))];
    let configured = Record::TopicConfigured(TopicConfigured { topic: TopicId(1), changes });
    after(&image, &[created, configured, partition(|state| state.partition_epoch = PartitionEpoch(5))])
}

/// What is violated by this batch upon that image: names of properties.
fn violated(image: &Image, records: &[Record]) -> Vec<String> {
    let next = after(image, records);
    violated_from(image, records, &next)
}

fn violated_from(image: &Image, records: &[Record], next: &Image) -> Vec<String> {
    let monitors = Monitors::every(NonZeroU32::MIN);
    let mut monitor = ImageMonitor::new(monitors.core(&Env::real(), Place::Metadata));
    let (end, quorum_epoch) = (next.end(), QuorumEpoch(1));
    let input = Input::Committed { end, quorum_epoch, records: records.to_vec() };
    let before = monitor.before(image, &input).expect("a small image is always looked at");
    monitor.judge(before, next);
    monitors.counts().into_iter().filter(|count| count.violated > 0).map(|count| count.name).collect()
}

/// The change of the partition breaks this property, and perhaps others.
fn assert_noticed(property: &str, change: impl FnOnce(&mut Partition)) {
    let found = violated(&healthy(), &[partition(change)]);
    assert!(found.iter().any(|name| name == property), "{property}: {found:?}");
}

#[test]
fn a_sound_change_breaks_nothing() {
    let shrink = partition(|state| state.isr = IsrSet::first(2));
    assert_eq!(violated(&healthy(), &[shrink]), Vec::<String>::new());
}

#[test]
fn a_directory_of_two_brokers_is_noticed() {
    let found = violated(&healthy(), &[registered(2, 1)]);
    assert!(found.contains(&"metadata/node_has_one_registration".to_owned()), "{found:?}");
}

#[test]
fn half_a_fence_is_noticed() {
    let found = violated(&healthy(), &[Record::BrokerFenced(changed(2))]);
    assert_eq!(found, ["metadata/fenced_broker_leads_nothing", "metadata/decision_is_whole"]);
}

#[test]
fn a_topic_that_its_name_does_not_lead_to_is_noticed() {
    let (image, records) = (healthy(), [partition(|_| {})]);
    let mut spoilt = serde_json::to_value(after(&image, &records)).expect("an image is a plain value");
    spoilt["names"] = serde_json::json!([]);
    let spoilt: Image = serde_json::from_value(spoilt).expect("it is still an image");

    let found = violated_from(&image, &records, &spoilt);
    assert!(found.contains(&"metadata/name_has_one_topic".to_owned()), "{found:?}");
}

#[test]
fn an_image_that_is_not_what_the_log_says_is_noticed() {
    let image = healthy();
    let next = after(&image, &[partition(|state| state.isr = IsrSet::first(2))]);

    let found = violated_from(&image, &[partition(|_| {})], &next);
    assert_eq!(found, ["metadata/replay_gives_the_same_image"]);
}

#[test]
fn partitions_that_no_controller_may_decide_on_are_noticed() {
    assert_noticed("metadata/replicas_are_distinct_brokers", |state| {
        *state.replicas.last_mut().expect("there are three") = NodeId(1);
    });
    assert_noticed("metadata/epochs_only_grow", |state| state.partition_epoch = PartitionEpoch(5 + 2));
    assert_noticed("metadata/min_isr_follows_the_configuration", |state| state.min_isr = 1);
    assert_noticed("metadata/one_leader_per_epoch", |state| state.leader = Some(ReplicaIdx(1)));
    assert_noticed("metadata/partition_sets_are_well_formed", |state| {
        state.isr = IsrSet::only(ReplicaIdx(1))
    });
    assert_noticed("metadata/alive_member_leads", |state| state.leader = None);
}

#[test]
fn a_leader_from_outside_of_those_in_sync_is_noticed() {
    let alone = after(&healthy(), &[partition(|state| state.isr = IsrSet::only(ReplicaIdx(0)))]);
    let other = partition(|state| {
        state.isr = IsrSet::only(ReplicaIdx(1));
        state.leader = Some(ReplicaIdx(1));
        state.leader_epoch = LeaderEpoch(4);
        state.partition_epoch = PartitionEpoch(7);
    });

    assert_eq!(violated(&alone, &[other]), ["metadata/leader_comes_from_the_eligible"]);
}

/// A topic of so many partitions, as [`healthy`] has one.
fn large(partitions: u32) -> Image {
    let Record::Partition(first) = partition(|state| state.partition_epoch = PartitionEpoch(5)) else {
        panic!("it is a partition's record")
    };
    let at = |index| TopicPartition { partition: PartitionIndex(index), ..AT };
    let other = |index| PartitionRecord { partition: at(index), state: first.state.clone() };
    let records: Vec<Record> = (1..partitions).map(other).map(Record::Partition).collect();
    after(&healthy(), &records)
}

fn committed(image: &Image, records: &[Record]) -> Input {
    let end = image.end().after(records.len() as u64);
    Input::Committed { end, quorum_epoch: QuorumEpoch(1), records: records.to_vec() }
}

#[test]
fn a_large_image_is_looked_at_as_a_whole_once_in_as_many_records_as_it_is_large() {
    let image = large(200);
    let mut monitor = ImageMonitor::new(Monitors::every(NonZeroU32::MIN).core(&Env::real(), Place::Metadata));
    let input = committed(&image, &[partition(|_| {})]);

    let mut whole = || matches!(monitor.before(&image, &input), Some(Before::Whole { .. }));
    let looked = (0..10).filter(|_| whole()).count();
    assert_eq!(looked, 4, "200 partitions are worth three records");
}

/// What is violated by this batch upon a large image, which is not looked at as a whole then.
fn violated_between_looks(records: &[Record]) -> Vec<String> {
    let image = large(200);
    let monitors = Monitors::every(NonZeroU32::MIN);
    let mut monitor = ImageMonitor::new(monitors.core(&Env::real(), Place::Metadata));
    drop(monitor.before(&image, &committed(&image, &[partition(|_| {})])));

    let before = monitor.before(&image, &committed(&image, records)).expect("each batch is judged");
    assert!(matches!(before, Before::Named(_)), "{before:?}");
    monitor.judge(before, &after(&image, records));
    monitors.counts().into_iter().filter(|count| count.violated > 0).map(|count| count.name).collect()
}

#[test]
fn a_wrong_step_of_a_large_image_is_noticed_in_whichever_batch_it_is() {
    let sound = partition(|state| state.isr = IsrSet::first(2));
    assert_eq!(violated_between_looks(&[sound]), Vec::<String>::new());

    let falls = partition(|state| state.partition_epoch = PartitionEpoch(4));
    assert_eq!(violated_between_looks(&[falls]), ["metadata/epochs_only_grow"]);
    // No record names a partition: the node leads as another run what it led before.
    assert_eq!(violated_between_looks(&[registered(1, 1)]), ["metadata/one_leader_per_epoch"]);
    let fewer = partition(|state| state.replicas.truncate(2));
    assert_eq!(violated_between_looks(&[fewer]), ["metadata/replicas_are_distinct_brokers"]);
}

#[test]
fn an_unclean_election_that_nobody_asked_for_is_noticed_though_it_says_what_it_is() {
    let alone = after(&healthy(), &[partition(|state| state.isr = IsrSet::only(ReplicaIdx(0)))]);
    let unclean = partition(|state| {
        state.isr = IsrSet::only(ReplicaIdx(1));
        state.leader = Some(ReplicaIdx(1));
        state.recovering = true;
        state.leader_epoch = LeaderEpoch(4);
        state.partition_epoch = PartitionEpoch(7);
    });

    assert_eq!(violated(&alone, &[unclean]), ["metadata/leader_comes_from_the_eligible"]);
}
