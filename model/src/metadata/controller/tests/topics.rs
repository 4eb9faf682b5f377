//! Topics and their configuration.

use super::*;
use crate::api::{ConfigChange, ReplicaAssignment};
use crate::metadata::{AssignmentProblem, PARTITIONS_MAX};
use crate::replication::FlushPolicy;

fn alter(name: &str, value: &str, expected_offset: Option<Offset>) -> Command {
    let changes = vec![ConfigChange { name: name.to_string(), value: Some(value.to_string()) }];
    Command::AlterConfigs { name: "t".to_string(), changes, expected_offset }
}

#[test]
fn a_topic_is_made_with_all_its_partitions_in_one_batch() {
    let mut cluster = Cluster::new();
    (1..=3).for_each(|node| cluster.join(node));
    cluster.hold = true;
    let new = NewTopic {
        name: "t".to_string(),
        partitions: Some(3),
        replication_factor: Some(2),
        assignments: Vec::new(),
        configs: vec![("min.insync.replicas".to_string(), "2".to_string())],
    };
    cluster.submit(Command::CreateTopic { topic: TOPIC, new, validate_only: false });

    assert_eq!(cluster.held.len(), 1);
    assert_eq!(cluster.held[0].1.len(), 5);
    let topic = cluster.controller.image().topic_by_name("t").unwrap();
    let leaders: Vec<_> = topic.partitions.iter().map(|state| state.leader_node().unwrap().0).collect();
    assert_eq!(leaders, [1, 2, 3]);
    assert_eq!((topic.partitions[0].min_isr, topic.partitions[0].flush), (2, FlushPolicy::Commit));
}

#[test]
fn a_topic_can_be_made_while_a_broker_is_down_and_says_who_never_joined() {
    let mut cluster = Cluster::new();
    (1..=3).for_each(|node| cluster.join(node));
    cluster.lose_session(2);
    cluster.create("t", 1, 3, "2").unwrap();

    assert_eq!(cluster.sets(), (vec![1, 3], vec![], Some(1)));
    assert_eq!(cluster.partition().missing[0].reason, MissingReason::NeverJoined);
}

#[test]
fn a_topic_made_before_any_broker_is_ready_is_refused_with_what_to_do() {
    let refusal = Cluster::new().create("t", 1, 1, "1").unwrap_err();

    assert!(matches!(refusal, CommandRefusal::InvalidReplicationFactor { available: 0, .. }));
    assert!(refusal.to_string().ends_with("wait for one that is starting"), "{refusal}");
}

#[test]
fn what_cannot_be_made_is_refused_with_the_numbers() {
    let mut cluster = Cluster::new();
    (1..=3).for_each(|node| cluster.join(node));

    let refusal = CommandRefusal::InvalidReplicationFactor { asked: 4, available: 3 };
    assert_eq!(cluster.create("t", 1, 4, "2"), Err(refusal));
    assert_eq!(
        cluster.create("t", 0, 1, "2"),
        Err(CommandRefusal::InvalidPartitions { current: 0, asked: 0 })
    );
    assert_eq!(
        cluster.create("a/b", 1, 1, "2"),
        Err(CommandRefusal::InvalidTopicName { name: "a/b".to_string() })
    );
    assert_eq!(
        cluster.create("t", 1, 1, "x").unwrap_err().code(),
        crate::error_code::ErrorCode::InvalidConfig
    );
    cluster.create("t", 1, 1, "1").unwrap();
    let exists = CommandRefusal::TopicExists { name: "t".to_string(), topic: TOPIC };
    assert_eq!(cluster.create("t", 1, 1, "1"), Err(exists));
}

#[test]
fn an_assignment_by_hand_names_each_broker_once() {
    let mut cluster = Cluster::new();
    (1..=3).for_each(|node| cluster.join(node));
    let mut by_hand = |replicas: &[u32]| {
        let replicas = replicas.iter().copied().map(NodeId).collect();
        let new = NewTopic {
            name: "t".to_string(),
            partitions: None,
            replication_factor: None,
            assignments: vec![ReplicaAssignment { partition: PartitionIndex(0), replicas }],
            configs: Vec::new(),
        };
        cluster.ask(Command::CreateTopic { topic: TOPIC, new, validate_only: true })
    };

    let refused = |problem| Err(CommandRefusal::InvalidAssignment { partition: 0, problem });
    assert_eq!(by_hand(&[1, 1]), refused(AssignmentProblem::Repeated));
    assert_eq!(by_hand(&[1, 9]), refused(AssignmentProblem::Unregistered));
    assert_eq!(by_hand(&[]), refused(AssignmentProblem::Size));
    assert_eq!(by_hand(&[3, 1]), Ok(Outcome::TopicCreated { topic: TOPIC, partitions: 1 }));
}

#[test]
fn partitions_named_by_hand_are_bounded_as_all_are() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let mut by_hand = |count: u32| {
        let assign =
            |partition| ReplicaAssignment { partition: PartitionIndex(partition), replicas: vec![NodeId(1)] };
        let new = NewTopic {
            name: "t".to_string(),
            partitions: None,
            replication_factor: None,
            assignments: (0..count).map(assign).collect(),
            configs: Vec::new(),
        };
        cluster.ask(Command::CreateTopic { topic: TOPIC, new, validate_only: true })
    };

    let asked = PARTITIONS_MAX + 1;
    assert_eq!(by_hand(asked), Err(CommandRefusal::InvalidPartitions { current: 0, asked }));
    let created = Outcome::TopicCreated { topic: TOPIC, partitions: PARTITIONS_MAX };
    assert_eq!(by_hand(PARTITIONS_MAX), Ok(created));
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let mut cluster = Cluster::running("2");
    let grow = |total| Command::CreatePartitions { name: "t".to_string(), total };
    cluster.ask(grow(3)).unwrap();

    let topic = cluster.controller.image().topic(TOPIC).unwrap();
    assert_eq!(topic.partitions.iter().map(|state| state.replicas.len()).collect::<Vec<_>>(), [3, 3, 3]);
    assert_eq!(cluster.ask(grow(2)), Err(CommandRefusal::InvalidPartitions { current: 3, asked: 2 }));
}

#[test]
fn a_name_made_again_is_another_topic() {
    let mut cluster = Cluster::running("2");
    cluster.create("u", 1, 3, "2").unwrap();
    cluster.ask(Command::DeleteTopic { name: "t".to_string() }).unwrap();
    assert_eq!(cluster.controller.image().topic(TOPIC), None);

    let new = NewTopic {
        name: "t".to_string(),
        partitions: None,
        replication_factor: None,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    cluster.ask(Command::CreateTopic { topic: TopicId(9), new, validate_only: false }).unwrap();
    assert_eq!(cluster.controller.image().topic_by_name("t").unwrap().id, TopicId(9));
}

#[test]
fn a_new_minimum_reaches_the_partitions_in_the_same_batch_and_raises_their_epochs() {
    let mut cluster = Cluster::running("2");
    let shrink = cluster.proposal(&[1]);
    cluster.propose(shrink).unwrap();
    let before = cluster.partition().partition_epoch;
    cluster.ask(alter("min.insync.replicas", "1", None)).unwrap();

    assert_eq!(cluster.sets(), (vec![1], vec![], Some(1)));
    assert_eq!((cluster.partition().min_isr, cluster.partition().partition_epoch), (1, before.next()));
    cluster.ask(alter("retention.ms", "1000", None)).unwrap();
    assert_eq!(cluster.partition().partition_epoch, before.next());
}

#[test]
fn a_configuration_is_compared_before_it_is_set() {
    let mut cluster = Cluster::running("2");
    let Ok(Outcome::ConfigsAltered { offset }) = cluster.ask(alter("flush.policy", "os", None)) else {
        panic!("the configuration is altered")
    };
    assert_eq!(cluster.partition().flush, FlushPolicy::Os);

    cluster.ask(alter("flush.policy", "commit", Some(offset))).unwrap();
    let refused = cluster.ask(alter("flush.policy", "os", Some(offset))).unwrap_err();
    assert_eq!(refused.code(), crate::error_code::ErrorCode::InvalidUpdateVersion);
    assert_eq!(cluster.partition().flush, FlushPolicy::Commit);
}

#[test]
fn a_name_is_no_path_and_no_longer_than_a_file_name_may_be() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let longest = "a".repeat(249);
    for name in ["", ".", "..", "a b", &"a".repeat(250)] {
        let refusal = CommandRefusal::InvalidTopicName { name: name.to_string() };
        assert_eq!(cluster.create(name, 1, 1, "1"), Err(refusal));
    }
    for name in [&longest, "...", "a.b_c-9"] {
        assert!(cluster.create(name, 1, 1, "1").is_ok(), "{name}");
    }
}

#[test]
fn a_topic_has_at_most_so_many_partitions() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let refused = |current, asked| Err(CommandRefusal::InvalidPartitions { current, asked });
    assert_eq!(cluster.create("t", PARTITIONS_MAX + 1, 1, "1"), refused(0, PARTITIONS_MAX + 1));
    cluster.create("t", PARTITIONS_MAX - 1, 1, "1").unwrap();

    let mut grow = |total| cluster.ask(Command::CreatePartitions { name: "t".to_string(), total });
    assert_eq!(grow(PARTITIONS_MAX - 1), refused(PARTITIONS_MAX - 1, PARTITIONS_MAX - 1));
    assert_eq!(grow(PARTITIONS_MAX + 1), refused(PARTITIONS_MAX - 1, PARTITIONS_MAX + 1));
    assert_eq!(grow(PARTITIONS_MAX), Ok(Outcome::Done));
    assert!(cluster.create("u", PARTITIONS_MAX, 1, "1").is_ok());
}

#[test]
fn a_topic_that_is_only_validated_is_not_made() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let new = NewTopic {
        name: "t".to_string(),
        partitions: Some(1),
        replication_factor: Some(1),
        assignments: Vec::new(),
        configs: Vec::new(),
    };

    let would = Outcome::TopicCreated { topic: TOPIC, partitions: 1 };
    assert_eq!(cluster.ask(Command::CreateTopic { topic: TOPIC, new, validate_only: true }), Ok(would));
    assert_eq!(cluster.controller.image().topic(TOPIC), None);
}

#[test]
fn an_assignment_by_hand_is_in_order_and_has_somebody_to_lead() {
    let mut cluster = Cluster::new();
    (1..=33).for_each(|node| cluster.join(node));
    cluster.lose_session(1);
    let mut by_hand = |assignments: &[(u32, &[u32])]| {
        let assign = |(partition, replicas): &(u32, &[u32])| ReplicaAssignment {
            partition: PartitionIndex(*partition),
            replicas: replicas.iter().copied().map(NodeId).collect(),
        };
        let new = NewTopic {
            name: "t".to_string(),
            partitions: None,
            replication_factor: None,
            assignments: assignments.iter().map(assign).collect(),
            configs: Vec::new(),
        };
        cluster.ask(Command::CreateTopic { topic: TOPIC, new, validate_only: true })
    };

    let refused = |partition, problem| Err(CommandRefusal::InvalidAssignment { partition, problem });
    assert_eq!(by_hand(&[(0, &[2]), (2, &[3])]), refused(1, AssignmentProblem::Order));
    assert_eq!(by_hand(&[(0, &[2]), (1, &[1])]), refused(1, AssignmentProblem::NoneActive));
    let nodes: Vec<u32> = (1..=33).collect();
    assert_eq!(by_hand(&[(0, &nodes)]), refused(0, AssignmentProblem::Size));
    assert!(by_hand(&[(0, &nodes[..32])]).is_ok());
}

#[test]
fn a_change_of_nothing_moves_nothing() {
    let mut cluster = Cluster::running("2");
    let Ok(Outcome::ConfigsAltered { offset }) = cluster.ask(alter("flush.policy", "os", None)) else {
        panic!("the configuration is altered")
    };
    let end = cluster.controller.image().end();
    let nothing = Command::AlterConfigs { name: "t".to_string(), changes: Vec::new(), expected_offset: None };

    assert_eq!(cluster.ask(nothing), Ok(Outcome::ConfigsAltered { offset }));
    assert_eq!(cluster.controller.image().end(), end);
}
