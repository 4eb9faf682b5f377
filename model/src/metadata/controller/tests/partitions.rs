//! Proposals of leaders, and elections that are asked for.

use super::*;
use crate::id::PartitionEpoch;
use crate::metadata::{Election, IsrProblem, answer_to_proposal};
use crate::replication::{AlterPartitionAnswer, AlterPartitionOutcome, FlushPolicy};

#[test]
fn an_accepted_proposal_raises_the_partition_epoch_and_not_the_leader_epoch() {
    let mut cluster = Cluster::running("2");
    let before = cluster.partition().clone();
    let proposal = cluster.proposal(&[1, 2]);
    let answer = cluster.propose(proposal).unwrap();

    let outcome = AlterPartitionOutcome::Applied {
        leader_epoch: before.leader_epoch,
        partition_epoch: before.partition_epoch.next(),
        isr: IsrSet::first(2),
        min_isr: 2,
        flush: FlushPolicy::Commit,
    };
    assert_eq!(
        answer,
        Outcome::PartitionAltered(AlterPartitionAnswer { request_id: RequestId(77), outcome })
    );
    assert_eq!(cluster.partition().missing(ReplicaIdx(2)).unwrap().reason, MissingReason::Lagging);
}

#[test]
fn a_proposal_of_the_isr_as_it_is_voids_earlier_ones() {
    let mut cluster = Cluster::running("2");
    let (earlier, same) = (cluster.proposal(&[1, 2]), cluster.proposal(&[1, 2, 3]));
    cluster.propose(same).unwrap();

    let refused = cluster.propose(earlier).unwrap_err();
    let (given, current) = (PartitionEpoch(0), PartitionEpoch(1));
    assert_eq!(refused, CommandRefusal::StalePartitionEpoch { partition: partition(), given, current });
    let told = answer_to_proposal(RequestId(77), &Err(refused)).unwrap();
    assert_eq!(
        told.outcome,
        AlterPartitionOutcome::Behind(crate::error_code::ErrorCode::InvalidUpdateVersion)
    );
}

#[test]
fn a_shrink_below_the_minimum_makes_eligible_leaders_and_growth_clears_them() {
    let mut cluster = Cluster::running("2");
    let shrink = cluster.proposal(&[1]);
    cluster.propose(shrink).unwrap();

    assert_eq!(cluster.sets(), (vec![1], vec![2, 3], Some(1)));
    let grow = cluster.proposal(&[1, 2]);
    cluster.propose(grow).unwrap();
    assert_eq!(cluster.sets(), (vec![1, 2], vec![], Some(1)));
}

#[test]
fn a_fenced_or_restarted_member_is_not_eligible() {
    let mut cluster = Cluster::running("2");
    cluster.lose_session(3);
    let fenced = cluster.proposal(&[1, 2, 3]);
    let ineligible =
        Err(CommandRefusal::IneligibleReplica { partition: partition(), nodes: vec![NodeId(3)] });

    assert_eq!(cluster.propose(fenced), ineligible);
    let heard_before = cluster.proposal(&[1, 2, 3]);
    cluster.register(registration(3, 2, None)).unwrap();
    cluster.beat(3);
    assert_eq!(cluster.propose(heard_before), ineligible);
    let heard_since = cluster.proposal(&[1, 2, 3]);
    assert!(cluster.propose(heard_since).is_ok());
}

#[test]
fn a_member_that_was_not_heard_from_may_stay_and_may_not_join() {
    let mut cluster = Cluster::running("1");
    let mut unheard = cluster.proposal(&[1, 2]);
    unheard.members[1].broker_epoch = None;
    cluster.propose(unheard).unwrap();
    let mut joining = cluster.proposal(&[1, 2, 3]);
    joining.members[2].broker_epoch = None;

    let nodes = vec![NodeId(3)];
    assert_eq!(
        cluster.propose(joining),
        Err(CommandRefusal::IneligibleReplica { partition: partition(), nodes })
    );
}

#[test]
fn a_proposal_from_the_future_says_that_the_controller_is_behind() {
    let mut cluster = Cluster::running("2");
    let mut ahead = cluster.proposal(&[1, 2]);
    ahead.partition_epoch = ahead.partition_epoch.next();
    let refused = cluster.propose(ahead).unwrap_err();

    assert_eq!(refused.code(), crate::error_code::ErrorCode::NotController);
    assert_eq!(answer_to_proposal(RequestId(77), &Err(refused)), None);
}

#[test]
fn a_proposal_without_its_leader_or_of_a_stranger_is_refused() {
    let mut cluster = Cluster::running("2");
    let leaderless = cluster.proposal(&[2, 3]);
    let mut strange = cluster.proposal(&[1, 2]);
    strange.members[1].replica = ReplicaIdx(9);

    let invalid = |problem| Err(CommandRefusal::InvalidIsr { partition: partition(), problem });
    assert_eq!(cluster.propose(leaderless), invalid(IsrProblem::LeaderMissing));
    assert_eq!(cluster.propose(strange), invalid(IsrProblem::NotReplica));
}

#[test]
fn a_former_leader_is_fenced() {
    let mut cluster = Cluster::running("2");
    let old = cluster.proposal(&[1, 2]);
    cluster.lose_session(1);
    cluster.register(registration(1, 2, None)).unwrap();
    let old = AlterPartition { broker_epoch: cluster.epoch(1), ..old };

    let refused = cluster
        .ask(Command::AlterPartition { node: NodeId(1), partition: partition(), proposal: old })
        .unwrap_err();
    assert_eq!(refused.code(), crate::error_code::ErrorCode::FencedLeaderEpoch);
}

#[test]
fn an_unclean_election_is_made_only_when_it_is_asked_for_or_configured() {
    let mut cluster = Cluster::running("1");
    let alone = cluster.proposal(&[1]);
    cluster.propose(alone).unwrap();
    cluster.lose_session(1);
    assert_eq!(cluster.sets(), (vec![], vec![1], None));
    let elect = |election| Command::ElectLeader { partition: partition(), election };

    let refused = CommandRefusal::NoCandidate { partition: partition() };
    assert_eq!(cluster.ask(elect(Election::Preferred)), Err(refused));
    cluster.ask(elect(Election::Unclean)).unwrap();
    assert_eq!(cluster.sets(), (vec![2], vec![], Some(2)));
    assert!(cluster.partition().recovering);
}

#[test]
fn after_an_unclean_election_the_isr_grows_only_once_the_leader_has_spoken() {
    let mut cluster = Cluster::running("1");
    let alone = cluster.proposal(&[1]);
    cluster.propose(alone).unwrap();
    cluster.lose_session(1);
    cluster.ask(Command::ElectLeader { partition: partition(), election: Election::Unclean }).unwrap();

    let grow = cluster.proposal(&[2, 3]);
    cluster.propose(grow).unwrap();
    assert_eq!((cluster.sets(), cluster.partition().recovering), ((vec![2], vec![], Some(2)), false));
    let grow = cluster.proposal(&[2, 3]);
    cluster.propose(grow).unwrap();
    assert_eq!(cluster.sets(), (vec![2, 3], vec![], Some(2)));
}

#[test]
fn the_preferred_leader_leads_again_when_it_is_in_sync() {
    let mut cluster = Cluster::running("1");
    cluster.lose_session(1);
    cluster.register(registration(1, 2, None)).unwrap();
    cluster.beat(1);
    let elect = Command::ElectLeader { partition: partition(), election: Election::Preferred };
    cluster.ask(elect.clone()).unwrap();
    assert_eq!(cluster.sets(), (vec![2, 3], vec![], Some(2)));

    let grow = cluster.proposal(&[2, 3, 1]);
    cluster.propose(grow).unwrap();
    cluster.ask(elect).unwrap();
    assert_eq!(cluster.sets(), (vec![1, 2, 3], vec![], Some(1)));
}

#[test]
fn an_unclean_election_leaves_nobody_eligible() {
    let mut cluster = Cluster::running("2");
    (1..=3).for_each(|node| cluster.lose_session(node));
    let mut damaged = registration(2, 2, Some(cluster.epoch(2)));
    damaged.directories[0].damaged.push(partition());
    cluster.register(damaged).unwrap();
    cluster.beat(2);
    assert_eq!(cluster.sets(), (vec![], vec![3], None));

    cluster.ask(Command::ElectLeader { partition: partition(), election: Election::Unclean }).unwrap();
    assert_eq!((cluster.sets(), cluster.partition().recovering), ((vec![2], vec![], Some(2)), true));
}

#[test]
fn who_is_out_by_an_unclean_election_is_noted_so_until_the_next_leader_is_lost_too() {
    let mut cluster = Cluster::running("1");
    let name = "unclean.leader.election.enable".to_string();
    let changes = vec![crate::api::ConfigChange { name, value: Some("true".to_string()) }];
    cluster.ask(Command::AlterConfigs { name: "t".to_string(), changes, expected_offset: None }).unwrap();
    let alone = cluster.proposal(&[1]);
    cluster.propose(alone).unwrap();
    let reason =
        |cluster: &Cluster, replica| cluster.partition().missing(ReplicaIdx(replica)).unwrap().reason;

    cluster.lose_session(1);
    assert_eq!((cluster.sets(), cluster.partition().recovering), ((vec![2], vec![], Some(2)), true));
    assert_eq!(reason(&cluster, 0), MissingReason::UncleanElection);
    cluster.lose_session(2);
    assert_eq!((cluster.sets(), cluster.partition().recovering), ((vec![3], vec![], Some(3)), true));
    assert_eq!(reason(&cluster, 1), MissingReason::Fenced);
}

#[test]
fn who_led_last_is_known_until_somebody_leads_again() {
    let mut cluster = Cluster::running("2");
    assert_eq!(cluster.partition().last_known_leader, None);
    (1..=3).for_each(|node| cluster.lose_session(node));
    assert_eq!(cluster.partition().last_known_leader, Some(ReplicaIdx(2)));

    cluster.register(registration(2, 2, Some(cluster.epoch(2)))).unwrap();
    cluster.beat(2);
    assert_eq!((cluster.sets().2, cluster.partition().last_known_leader), (Some(2), None));
}

#[test]
fn who_is_missing_is_noted_by_replica_until_it_is_back() {
    let mut cluster = Cluster::running("1");
    let missing =
        |cluster: &Cluster| cluster.partition().missing.iter().map(|of| of.replica.0).collect::<Vec<_>>();
    for (isr, expected) in [(vec![1, 2], vec![2]), (vec![1], vec![1, 2]), (vec![1, 3], vec![1])] {
        let proposal = cluster.proposal(&isr);
        cluster.propose(proposal).unwrap();
        assert_eq!(missing(&cluster), expected);
    }
}
