//! Pictures of long logs, each with what a predicate is for.

use highwater_model::log::EpochHistory;

use super::*;

/// A log of these records, all written and synced.
fn log(records: &[(u32, u64)]) -> LogShape<LeaderEpoch> {
    let (mut epochs, mut end) = (EpochHistory::default(), Offset::ZERO);
    for (epoch, count) in records {
        epochs.assign(LeaderEpoch(*epoch), end);
        end = end.after(*count);
    }
    LogShape::recovered(Offset::ZERO, end, end, epochs)
}

fn leads(leader_epoch: u32) -> Leadership {
    let isr = IsrSet::first(3);
    Leadership {
        leader_epoch: LeaderEpoch(leader_epoch),
        isr,
        maximal_isr: isr,
        min_isr: 2,
        changing: false,
        partition_epoch: PartitionEpoch(leader_epoch),
        waits_for_metadata: false,
    }
}

fn seen(records: &[(u32, u64)], high_watermark: u64, leads: Option<Leadership>) -> Seen {
    Seen {
        core: CoreNumber(1),
        broker_epoch: BrokerEpoch(1),
        log: log(records),
        high_watermark: Offset(high_watermark),
        leads,
        is_current: true,
    }
}

/// What a view says in which this replica leads.
fn view(leader: u8, leader_epoch: u32) -> PartitionView {
    let replica = highwater_model::replication::ReplicaView { broker_epoch: None, eligible: true };
    PartitionView {
        metadata_offset: Offset(u64::from(leader_epoch)),
        leader: Some(ReplicaIdx(leader)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(leader_epoch),
        isr: IsrSet::first(3),
        min_isr: 2,
        flush: FlushPolicy::Commit,
        replicas: [replica; 3].into_iter().collect(),
    }
}

/// Three replicas with 1,000 records of epoch 1, of which the first leads and has committed 900.
fn watch() -> PartitionWatch {
    let mut watch = PartitionWatch::default();
    watch.is_of(&[NodeId(1), NodeId(2), NodeId(3)]);
    watch.told(&view(0, 1)).unwrap();
    for (replica, leads) in [(1, None), (2, None), (0, Some(leads(1)))] {
        let high_watermark = if leads.is_some() { 900 } else { 0 };
        watch.see(ReplicaIdx(replica), seen(&[(1, 1_000)], high_watermark, leads), Met::Begins).unwrap();
    }
    watch
}

/// The rule that is broken when a replica is seen so.
fn broken(watch: &mut PartitionWatch, replica: u8, seen: Seen) -> Option<&'static str> {
    watch.see(ReplicaIdx(replica), seen, Met::GoesOn).err().map(|wrong| wrong.rule)
}

#[test]
fn a_healthy_partition_breaks_nothing() {
    let mut watch = watch();

    assert_eq!(broken(&mut watch, 1, seen(&[(1, 1_000)], 900, None)), None);
    assert_eq!(watch.acknowledged(ReplicaIdx(0), Offset(899)), Ok(()));
    watch.told(&view(1, 2)).unwrap();
    assert_eq!(broken(&mut watch, 1, seen(&[(1, 1_000), (2, 5)], 950, Some(leads(2)))), None);
    assert_eq!(broken(&mut watch, 0, seen(&[(1, 1_000), (2, 5)], 950, None)), None);
}

#[test]
fn committed_records_that_differ_are_found() {
    // Of a replica that is out of the ISR.
    let mut watch = watch();
    let mut decided = view(0, 2);
    decided.isr = IsrSet::first(2);
    watch.told(&decided).unwrap();

    let found = broken(&mut watch, 2, seen(&[(1, 899), (2, 200)], 950, None));
    assert_eq!(found, Some("replication/committed_stable"));
}

#[test]
fn a_leader_and_a_member_of_the_isr_that_lack_what_is_committed_are_found() {
    let mut watch = watch();
    watch.told(&view(1, 2)).unwrap();
    assert_eq!(broken(&mut watch, 1, seen(&[(1, 899)], 0, None)), Some("replication/leader_completeness"));

    let mut watch = self::watch();
    assert_eq!(broken(&mut watch, 2, seen(&[(1, 899)], 0, None)), Some("replication/candidate_completeness"));
}

#[test]
fn logs_that_part_and_meet_again_are_found() {
    let mut watch = watch();
    assert_eq!(broken(&mut watch, 0, seen(&[(1, 1_000), (3, 10)], 900, None)), None);

    let found = broken(&mut watch, 2, seen(&[(1, 990), (2, 10), (3, 10)], 0, None));
    assert_eq!(found, Some("replication/log_matching"));
}

#[test]
fn two_leaders_of_an_epoch_are_found() {
    let found = broken(&mut watch(), 1, seen(&[(1, 1_000)], 0, Some(leads(1))));

    assert_eq!(found, Some("replication/one_leader_per_epoch"));
}

#[test]
fn a_watermark_that_goes_back_is_found() {
    let found = broken(&mut watch(), 0, seen(&[(1, 1_000)], 800, Some(leads(1))));

    assert_eq!(found, Some("replication/watermark_order"));
}

#[test]
fn an_acknowledgement_that_too_few_hold_is_found() {
    let mut watch = watch();
    assert_eq!(broken(&mut watch, 0, seen(&[(1, 1_001)], 900, Some(leads(1)))), None);

    let found = watch.acknowledged(ReplicaIdx(0), Offset(1_000)).map_err(|wrong| wrong.rule);
    assert_eq!(found, Err("replication/acked_was_replicated"));
}

#[test]
fn an_acknowledged_record_that_is_gone_is_found() {
    let mut watch = watch();
    watch.acknowledged(ReplicaIdx(0), Offset(950)).unwrap();
    watch.told(&view(1, 2)).unwrap();

    let found = broken(&mut watch, 1, seen(&[(1, 940), (2, 60)], 0, Some(leads(2))));
    assert_eq!(found, Some("replication/acked_not_lost"));
}

#[test]
fn what_is_not_known_of_a_node_is_not_held_against_it() {
    let mut watch = watch();
    watch.lose(NodeId(3));
    assert_eq!(broken(&mut watch, 2, seen(&[(1, 899)], 0, None)), None, "it was not followed to here");

    // It begins again with what it has.
    let found = watch.see(ReplicaIdx(2), seen(&[(1, 899)], 0, None), Met::Begins).map_err(|wrong| wrong.rule);
    assert_eq!(found, Err("replication/candidate_completeness"));
}

#[test]
fn moments_are_compared_only_while_their_order_is_known() {
    let mut watch = watch();
    watch.lose_order();
    assert_eq!(broken(&mut watch, 2, seen(&[(1, 899)], 0, None)), None);

    let found = broken(&mut watch, 1, seen(&[(1, 890), (2, 110)], 900, None));
    assert_eq!(found, Some("replication/committed_stable"), "what holds at any time is asked all the same");
}

#[test]
fn after_an_unclean_election_nothing_is_promised_of_records() {
    let mut watch = watch();
    watch.elect_uncleanly();
    assert!(watch.promises_nothing());

    assert_eq!(broken(&mut watch, 2, seen(&[(1, 899)], 0, None)), None);
    let found = broken(&mut watch, 1, seen(&[(1, 1_000)], 0, Some(leads(1))));
    assert_eq!(found, Some("replication/one_leader_per_epoch"));
}

#[test]
fn a_view_that_is_not_what_was_decided_is_found() {
    let mut watch = watch();
    let mut other = view(0, 1);
    other.isr = IsrSet::first(2);

    assert_eq!(watch.told(&other).map_err(|wrong| wrong.rule), Err(AS_DECIDED));
}
