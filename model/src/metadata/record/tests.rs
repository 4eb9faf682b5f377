//! Bodies as they are on disk: a change of these bytes is a change of the format.

use alloc::string::ToString;
use alloc::vec;

use smallvec::smallvec;

use super::*;
use crate::id::{LeaderEpoch, Offset, PartitionEpoch, PartitionIndex};
use crate::metadata::{Missing, MissingReason};
use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx};

/// Writes a body with postcard, as the node does.
fn body(record: &Record) -> Vec<u8> {
    struct Body<'a>(&'a Record);
    impl Serialize for Body<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize_body(serializer)
        }
    }
    postcard::to_allocvec(&Body(record)).unwrap()
}

fn read(type_id: u16, version: u8, bytes: &[u8]) -> Result<Result<Record, postcard::Error>, RecordError> {
    let mut deserializer = postcard::Deserializer::from_bytes(bytes);
    Record::deserialize_body(type_id, version, &mut deserializer)
}

fn partition() -> Partition {
    Partition {
        replicas: smallvec![NodeId(1), NodeId(2), NodeId(3)],
        leader: Some(ReplicaIdx(1)),
        leader_epoch: LeaderEpoch(4),
        partition_epoch: PartitionEpoch(300),
        isr: IsrSet(0b010),
        eligible_leaders: IsrSet(0b100),
        last_known_leader: None,
        recovering: false,
        min_isr: 2,
        flush: FlushPolicy::Commit,
        flush_since: Offset(200),
        missing: smallvec![Missing { replica: ReplicaIdx(0), reason: MissingReason::Fenced, since_ms: 1000 }],
    }
}

fn samples() -> Vec<(Record, Vec<u8>)> {
    let changed = BrokerChanged { node: NodeId(3), broker_epoch: BrokerEpoch(200) };
    let topic = TopicId(7);
    let at = TopicPartition { topic, partition: PartitionIndex(2) };
    vec![
        (
            Record::BrokerRegistered(BrokerRegistered {
                node: NodeId(3),
                incarnation: IncarnationId(5),
                address: "h:1".into(),
                directories: smallvec![DirectoryId(6)],
                vouched_from: None,
            }),
            vec![3, 5, 3, b'h', b':', b'1', 1, 6, 0],
        ),
        (Record::BrokerFenced(changed), vec![3, 0xc8, 1]),
        (Record::BrokerUnfenced(changed), vec![3, 0xc8, 1]),
        (Record::BrokerStopping(changed), vec![3, 0xc8, 1]),
        (Record::TopicCreated(TopicCreated { topic, name: "t".into() }), vec![7, 1, b't']),
        (
            Record::TopicConfigured(TopicConfigured {
                topic,
                changes: vec![("a".to_string(), Some("b".to_string())), ("c".to_string(), None)],
            }),
            vec![7, 2, 1, b'a', 1, 1, b'b', 1, b'c', 0],
        ),
        (Record::TopicRemoved(TopicRemoved { topic }), vec![7]),
        (
            Record::Partition(PartitionRecord { partition: at, state: partition() }),
            vec![7, 2, 3, 1, 2, 3, 1, 1, 4, 0xac, 2, 2, 4, 0, 0, 2, 1, 0xc8, 1, 1, 0, 0, 0xe8, 7],
        ),
        (
            Record::ProducerIdsAllocated(ProducerIdsAllocated { node: NodeId(3), next: ProducerId(1000) }),
            vec![3, 0xe8, 7],
        ),
        (Record::Snapshot(Box::default()), vec![0, 0, 0, 0, 0]),
    ]
}

#[test]
fn bodies_keep_their_bytes() {
    for (type_id, (record, bytes)) in (1..).zip(samples()) {
        assert_eq!((record.type_id(), record.version()), (type_id, 0));
        assert_eq!(body(&record), bytes, "{record:?}");
        assert_eq!(read(type_id, 0, &bytes), Ok(Ok(record)));
    }
}

#[test]
fn an_image_with_everything_in_it_keeps_its_bytes() {
    let mut image = Image::default();
    for (at, (record, _)) in (1..).zip(samples()) {
        let record = match record {
            Record::BrokerFenced(changed) => {
                Record::BrokerFenced(BrokerChanged { broker_epoch: BrokerEpoch(0), ..changed })
            }
            Record::Partition(mut record) => {
                record.partition.partition = PartitionIndex(0);
                Record::Partition(record)
            }
            Record::TopicConfigured(record) => {
                let changes = vec![("min.insync.replicas".to_string(), Some("2".to_string()))];
                Record::TopicConfigured(TopicConfigured { changes, ..record })
            }
            Record::BrokerRegistered(_) | Record::TopicCreated(_) | Record::ProducerIdsAllocated(_) => record,
            Record::BrokerUnfenced(_)
            | Record::BrokerStopping(_)
            | Record::TopicRemoved(_)
            | Record::Snapshot(_) => {
                continue;
            }
        };
        image.apply(Offset(at), &[record]);
    }

    let mut bytes = vec![9];
    bytes.extend([1, 3, 0, 5, 3, b'h', b':', b'1', 1, 6, 0, 1, 0]);
    bytes.extend([1, 7, 1, b't', 1, 0, 4, 6]);
    bytes.extend([1, 3, 1, 2, 3, 1, 1, 4, 0xac, 2, 2, 4, 0, 0, 2, 1, 0xc8, 1, 1, 0, 0, 0xe8, 7]);
    bytes.extend([1, 1, b't', 7, 0xe8, 7]);
    let snapshot = Record::Snapshot(Box::new(image));
    assert_eq!(body(&snapshot), bytes);
    assert_eq!(read(10, 0, &bytes), Ok(Ok(snapshot)));
}

#[test]
fn an_unknown_type_or_version_is_named() {
    assert_eq!(read(99, 0, &[]), Err(RecordError { type_id: 99, version: 0 }));
    assert_eq!(read(7, 1, &[]), Err(RecordError { type_id: 7, version: 1 }));
    assert!(read(7, 0, &[]).unwrap().is_err());
}
