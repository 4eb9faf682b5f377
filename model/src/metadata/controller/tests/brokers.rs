//! Registration, fencing, controlled shutdown.

use super::*;

#[test]
fn a_broker_epoch_is_the_offset_of_the_registration_record() {
    let mut cluster = Cluster::new();

    assert_eq!(cluster.register(registration(1, 1, None)), Ok(BrokerEpoch(1)));
    assert_eq!(cluster.register(registration(2, 1, None)), Ok(BrokerEpoch(2)));
    assert_eq!(cluster.controller.image().end(), Offset(3));
}

#[test]
fn a_retried_registration_is_told_its_epoch_again() {
    let mut cluster = Cluster::new();
    let first = cluster.register(registration(1, 1, None));

    assert_eq!(cluster.register(registration(1, 1, None)), first);
}

#[test]
fn a_live_session_keeps_another_process_out_until_it_ends() {
    let mut cluster = Cluster::new();
    cluster.join(1);

    let refused = cluster.register(registration(1, 2, None)).unwrap_err();
    assert_eq!(
        refused,
        CommandRefusal::DuplicateRegistration { node: NodeId(1), address: "localhost:1".to_string() }
    );
    cluster.lose_session(1);
    assert_eq!(cluster.register(registration(1, 2, None)), Ok(BrokerEpoch(4)));
}

#[test]
fn a_directory_belongs_to_one_broker() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let mut copied = registration(2, 1, None);
    copied.directories[0].directory = DirectoryId(1);

    let refused = cluster.register(copied);
    assert_eq!(refused, Err(CommandRefusal::DirectoryInUse { directory: DirectoryId(1), node: NodeId(1) }));
}

#[test]
fn a_broker_is_unfenced_only_when_it_has_seen_its_registration() {
    let mut cluster = Cluster::new();
    cluster.register(registration(1, 1, None)).unwrap();
    let heartbeat = cluster.heartbeat(1);
    let behind = Heartbeat { metadata_offset: Offset(1), ..heartbeat.clone() };

    let fenced = |fenced| Ok(Outcome::Heartbeat { fenced, may_stop: false });
    assert_eq!(cluster.ask(Command::Heartbeat(behind)), fenced(true));
    assert_eq!(cluster.ask(Command::Heartbeat(heartbeat)), fenced(false));
}

#[test]
fn a_heartbeat_of_another_registration_is_refused() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let heartbeat = cluster.heartbeat(1);

    let (node, registered) = (NodeId(1), BrokerEpoch(1));
    let with = |broker_epoch| Heartbeat { broker_epoch: BrokerEpoch(broker_epoch), ..heartbeat.clone() };
    let stale = CommandRefusal::StaleBrokerEpoch { node, given: BrokerEpoch(0), registered };
    let ahead = CommandRefusal::BrokerEpochAhead { node, given: BrokerEpoch(2), registered };
    assert_eq!(cluster.ask(Command::Heartbeat(with(0))), Err(stale));
    assert_eq!(cluster.ask(Command::Heartbeat(with(2))), Err(ahead));
}

#[test]
fn a_lost_session_takes_the_broker_out_of_its_partitions_in_the_same_batch() {
    let mut cluster = Cluster::running("2");
    let before = cluster.partition().clone();
    cluster.lose_session(1);

    assert_eq!(cluster.sets(), (vec![2, 3], vec![], Some(2)));
    let after = cluster.partition();
    assert_eq!(after.leader_epoch, before.leader_epoch.next());
    assert_eq!(after.partition_epoch, before.partition_epoch.next());
    let missing = after.missing(ReplicaIdx(0)).unwrap();
    assert_eq!((missing.reason, missing.since_ms), (MissingReason::Fenced, 200));
    assert!(cluster.controller.image().broker(NodeId(1)).unwrap().fenced);
}

#[test]
fn the_last_members_stay_eligible_and_lead_again_when_they_are_back() {
    let mut cluster = Cluster::running("2");
    for node in 1..=3 {
        cluster.lose_session(node);
    }

    assert_eq!(cluster.sets(), (vec![], vec![2, 3], None));
    let led_before = cluster.partition().leader_epoch;
    cluster.register(registration(2, 2, Some(cluster.epoch(2)))).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![2, 3], None));
    cluster.beat(2);
    assert_eq!(cluster.sets(), (vec![2], vec![3], Some(2)));
    assert!(cluster.partition().leader_epoch > led_before);
}

#[test]
fn a_replica_that_lost_what_it_had_counted_is_not_eligible() {
    let mut cluster = Cluster::running("2");
    let configs =
        vec![crate::api::ConfigChange { name: "flush.policy".to_string(), value: Some("os".to_string()) }];
    cluster
        .ask(Command::AlterConfigs { name: "t".to_string(), changes: configs, expected_offset: None })
        .unwrap();
    for node in 1..=3 {
        cluster.lose_session(node);
    }
    cluster.register(registration(2, 2, None)).unwrap();

    assert_eq!(cluster.sets(), (vec![], vec![3], None));
    cluster.beat(2);
    assert_eq!(cluster.sets(), (vec![], vec![3], None));
    let mut damaged = registration(3, 2, Some(cluster.epoch(3)));
    damaged.directories[0].damaged.push(partition());
    cluster.register(damaged).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![], None));
}

#[test]
fn under_flush_commit_a_power_loss_keeps_a_replica_eligible() {
    let mut cluster = Cluster::running("2");
    for node in 1..=3 {
        cluster.lose_session(node);
    }
    cluster.register(registration(2, 2, None)).unwrap();

    assert_eq!(cluster.sets(), (vec![], vec![2, 3], None));
}

#[test]
fn a_directory_that_lacks_a_log_keeps_no_replica_eligible() {
    let mut cluster = Cluster::running("2");
    for node in 1..=3 {
        cluster.lose_session(node);
    }
    let mut incomplete = registration(2, 2, Some(cluster.epoch(2)));
    incomplete.directories[0].incomplete = true;
    cluster.register(incomplete).unwrap();

    assert_eq!(cluster.sets(), (vec![], vec![3], None));
}

#[test]
fn a_new_incarnation_is_out_of_the_isr_even_if_its_absence_was_not_noticed() {
    let mut cluster = Cluster::running("2");
    let committed = cluster.controller.committed().end();
    let elected = Input::Elected { quorum_epoch: QuorumEpoch(1), committed };
    cluster.step(elected);

    cluster.register(registration(1, 2, Some(cluster.epoch(1)))).unwrap();
    assert_eq!(cluster.sets(), (vec![2, 3], vec![], Some(2)));
}

#[test]
fn one_broker_alone_leads_again_in_a_new_leader_epoch() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    cluster.create("t", 1, 1, "1").unwrap();
    let first = cluster.partition().leader_epoch;
    cluster.lose_session(1);
    cluster.register(registration(1, 2, Some(cluster.epoch(1)))).unwrap();
    cluster.beat(1);

    assert_eq!(cluster.sets(), (vec![1], vec![], Some(1)));
    assert_eq!(cluster.partition().leader_epoch, first.next().next());
}

#[test]
fn a_broker_stops_when_every_active_broker_knows_that_it_leads_nothing() {
    let mut cluster = Cluster::running("2");
    let waits = Outcome::Heartbeat { fenced: false, may_stop: false };

    assert_eq!(cluster.stop(1), waits);
    assert_eq!(cluster.sets(), (vec![2, 3], vec![], Some(2)));
    cluster.beat(2);
    assert_eq!(cluster.stop(1), waits);
    cluster.beat(3);
    assert_eq!(cluster.stop(1), Outcome::Heartbeat { fenced: true, may_stop: true });
    assert_eq!(cluster.partition().missing(ReplicaIdx(0)).unwrap().reason, MissingReason::Shutdown);
}

#[test]
fn a_broker_with_a_failed_directory_stays_fenced() {
    let mut cluster = Cluster::running("2");
    let failed = Heartbeat { offline_directories: vec![DirectoryId(1)], ..cluster.heartbeat(1) };

    let fenced = Ok(Outcome::Heartbeat { fenced: true, may_stop: false });
    assert_eq!(cluster.ask(Command::Heartbeat(failed.clone())), fenced);
    assert_eq!(cluster.sets(), (vec![2, 3], vec![], Some(2)));
    assert_eq!(cluster.ask(Command::Heartbeat(failed)), fenced);
}

#[test]
fn producer_ids_are_handed_out_once() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    let command = Command::AllocateProducerIds { node: NodeId(1), broker_epoch: cluster.epoch(1) };

    let block = |first| Ok(Outcome::ProducerIds { first: crate::id::ProducerId(first), count: 1000 });
    assert_eq!(cluster.ask(command.clone()), block(0));
    assert_eq!(cluster.ask(command), block(1000));
}

#[test]
fn a_start_that_ends_before_it_knows_its_registration_does_not_make_the_next_one_look_unclean() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    cluster.create("t", 1, 1, "1").unwrap();
    let configs =
        vec![crate::api::ConfigChange { name: "flush.policy".to_string(), value: Some("os".to_string()) }];
    cluster
        .ask(Command::AlterConfigs { name: "t".to_string(), changes: configs, expected_offset: None })
        .unwrap();
    let recorded = cluster.epoch(1);
    for run in 2..=4 {
        cluster.lose_session(1);
        cluster.register(registration(1, run, Some(recorded))).unwrap();
        assert_eq!(cluster.sets(), (vec![], vec![1], None));
    }

    cluster.beat(1);
    assert_eq!(cluster.sets(), (vec![1], vec![], Some(1)));
    cluster.lose_session(1);
    cluster.register(registration(1, 5, Some(recorded))).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![], None));
}

#[test]
fn the_late_request_of_a_run_that_has_ended_unseats_nobody() {
    let mut cluster = Cluster::running("2");
    let late = registration(1, 2, None);
    cluster.step(Input::Elected {
        quorum_epoch: QuorumEpoch(2),
        committed: cluster.controller.committed().end(),
    });

    let registered = Some(cluster.epoch(1));
    let moved = CommandRefusal::RegistrationMoved { node: NodeId(1), given: None, registered };
    assert_eq!(cluster.ask(Command::RegisterBroker(late)), Err(moved));
}

fn set_flush(cluster: &mut Cluster, policy: &str) {
    let changes =
        vec![crate::api::ConfigChange { name: "flush.policy".to_string(), value: Some(policy.to_string()) }];
    let command = Command::AlterConfigs { name: "t".to_string(), changes, expected_offset: None };
    cluster.ask(command).unwrap();
}

#[test]
fn flush_commit_does_not_vouch_for_what_was_counted_before_it_was_set() {
    let mut cluster = Cluster::running("2");
    set_flush(&mut cluster, "os");
    set_flush(&mut cluster, "commit");
    for node in 1..=3 {
        cluster.lose_session(node);
    }

    cluster.register(registration(2, 2, None)).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![3], None));
    cluster.register(registration(3, 2, Some(cluster.epoch(3)))).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![3], None));
}

#[test]
fn flush_commit_vouches_for_whoever_registered_after_it_was_set() {
    let mut cluster = Cluster::running("2");
    set_flush(&mut cluster, "os");
    set_flush(&mut cluster, "commit");
    for node in 1..=3 {
        cluster.lose_session(node);
        cluster.register(registration(node, 2, Some(cluster.epoch(node)))).unwrap();
    }
    set_flush(&mut cluster, "commit");
    cluster.beat(3);
    cluster.lose_session(3);
    cluster.register(registration(3, 3, None)).unwrap();

    assert_eq!(cluster.sets(), (vec![], vec![2, 3], None));
}

#[test]
fn a_directory_is_listed_once() {
    let mut cluster = Cluster::new();
    let mut twice = registration(1, 1, None);
    let facts =
        |directory| DirectoryFacts { directory: DirectoryId(directory), ..twice.directories[0].clone() };
    twice.directories = vec![facts(7), facts(3), facts(7)];

    let refusal = CommandRefusal::DirectoryInUse { directory: DirectoryId(7), node: NodeId(1) };
    assert_eq!(cluster.register(twice.clone()), Err(refusal));
    twice.directories.pop();
    assert!(cluster.register(twice).is_ok());
    assert_eq!(
        cluster.controller.image().broker(NodeId(1)).unwrap().directories[..],
        [DirectoryId(3), DirectoryId(7)]
    );
}

#[test]
fn producer_ids_are_for_registered_brokers_alone() {
    let mut cluster = Cluster::running("2");
    let ask = |broker_epoch| Command::AllocateProducerIds { node: NodeId(1), broker_epoch };

    assert!(cluster.ask(ask(BrokerEpoch(99))).is_err());
    let now = cluster.epoch(1);
    assert!(cluster.ask(ask(now)).is_ok());
}

#[test]
fn a_proposal_of_another_run_is_refused() {
    let mut cluster = Cluster::running("2");
    let (node, registered) = (NodeId(1), cluster.epoch(1));
    let mut of = |broker_epoch| {
        let mut proposal = cluster.proposal(&[1, 2, 3]);
        proposal.broker_epoch = broker_epoch;
        cluster.propose(proposal)
    };

    let given = BrokerEpoch(0);
    assert_eq!(of(given), Err(CommandRefusal::StaleBrokerEpoch { node, given, registered }));
    let given = BrokerEpoch(99);
    assert_eq!(of(given), Err(CommandRefusal::BrokerEpochAhead { node, given, registered }));
    assert!(of(registered).is_ok());
}

#[test]
fn a_start_may_speak_of_no_registration_before_the_one_that_the_start_before_it_spoke_of() {
    let mut cluster = Cluster::new();
    cluster.join(1);
    cluster.create("t", 1, 1, "1").unwrap();
    set_flush(&mut cluster, "os");
    let first = cluster.epoch(1);
    cluster.lose_session(1);
    cluster.register(registration(1, 2, Some(first))).unwrap();
    cluster.beat(1);
    let second = cluster.epoch(1);
    cluster.lose_session(1);
    cluster.register(registration(1, 3, Some(second))).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![1], None));

    cluster.lose_session(1);
    cluster.register(registration(1, 4, Some(first))).unwrap();
    assert_eq!(cluster.sets(), (vec![], vec![], None));
}

#[test]
fn a_broker_that_hands_over_waits_for_no_broker_that_is_fenced() {
    let mut cluster = Cluster::running("1");
    cluster.lose_session(3);
    cluster.stop(1);
    cluster.beat(2);

    assert_eq!(cluster.stop(1), Outcome::Heartbeat { fenced: true, may_stop: true });
}

#[test]
fn a_broker_that_hands_over_waits_for_each_of_the_others() {
    let mut cluster = Cluster::running("1");
    cluster.stop(1);
    cluster.beat(3);

    assert_eq!(cluster.stop(1), Outcome::Heartbeat { fenced: false, may_stop: false });
}

#[test]
fn the_end_of_the_session_of_one_that_is_fenced_changes_nothing() {
    let mut cluster = Cluster::running("2");
    let fence = Heartbeat { want_fence: true, ..cluster.heartbeat(1) };
    cluster.ask(Command::Heartbeat(fence)).unwrap();
    let before = cluster.controller.image().clone();
    cluster.lose_session(1);

    assert_eq!(*cluster.controller.image(), before);
}
