//! The high watermark: whom it waits for, and when it may not move.

use super::*;

fn fetched(leader: &mut Subject, replica: ReplicaIdx, request: u64, offset: u64) {
    leader.take(from(replica, Message::Fetch(fetch(replica, request, offset))));
}

fn watermark(subject: &Subject) -> u64 {
    subject.replica.high_watermark().0
}

#[test]
fn it_is_the_least_that_the_isr_holds() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(4);
    fetched(&mut leader, R1, 1, 4);
    assert_eq!(watermark(&leader), 0);
    fetched(&mut leader, R2, 1, 3);
    assert_eq!(watermark(&leader), 3);
}

#[test]
fn under_commit_only_what_is_synced_counts_of_everyone() {
    for (bug, expected) in [(None, 1), (Some(Bug::LeaderCountsOwnUnsynced), 2)] {
        let mut leader = Subject::new(R0, bug);
        leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
        leader.append(3);
        leader.take(Input::Flushed { end: Offset(1), generation: LogGeneration::default() });
        let synced = Fetch { durable_end: Offset(2), ..fetch(R1, 1, 3) };
        leader.take(from(R1, Message::Fetch(synced)));
        assert_eq!(watermark(&leader), expected);
    }
}

#[test]
fn a_policy_that_becomes_stricter_counts_what_has_been_synced() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(3);
    leader.take(Input::View(under_commit(view(2, R0, 1, &[R0, R1]))));
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(2), ..fetch(R1, 1, 3) })));
    assert_eq!(watermark(&leader), 0);
    leader.take(leader.flushed());
    assert_eq!(watermark(&leader), 2);
}

#[test]
fn it_stands_still_while_too_few_are_in_sync() {
    for (bug, expected) in [(None, 0), (Some(Bug::NoWatermarkGate), 2)] {
        let mut leader = leader(&[R0], bug);
        leader.append(2);
        assert_eq!(watermark(&leader), expected);
    }
}

#[test]
fn an_expansion_in_flight_is_waited_for_but_does_not_help() {
    let joined = |bug| {
        let mut leader = leader(&[R0], bug);
        leader.append(2);
        fetched(&mut leader, R1, 1, 2);
        assert!(leader.replica.is_changing_isr());
        leader.take(leader.written());
        watermark(&leader)
    };
    assert_eq!(joined(None), 0);
    assert_eq!(joined(Some(Bug::GateOnMaximalIsr)), 2);

    let expanding = |bug| {
        let mut leader = leader(&[R0, R1], bug);
        fetched(&mut leader, R2, 1, 0);
        leader.append(2);
        fetched(&mut leader, R1, 1, 2);
        watermark(&leader)
    };
    assert_eq!(expanding(None), 0);
    assert_eq!(expanding(Some(Bug::CommittedIsrOnly)), 2);
}

#[test]
fn a_caught_up_replica_that_is_about_to_join_is_waited_for() {
    let mut leader = leader(&[R0, R1], None);
    let mut fenced = view(2, R0, 1, &[R0, R1]);
    fenced.replicas[2].eligible = false;
    leader.take(Input::View(fenced));
    fetched(&mut leader, R2, 1, 0);
    leader.append(2);
    fetched(&mut leader, R1, 1, 2);
    assert_eq!(watermark(&leader), 2);
}

#[test]
fn a_shrink_that_commits_moves_it() {
    for (bug, expected) in [(None, 2), (Some(Bug::WatermarkNotReevaluated), 0)] {
        let mut leader = leader(&[R0, R1, R2], bug);
        leader.append(2);
        fetched(&mut leader, R1, 1, 2);
        leader.take(Input::View(view(2, R0, 1, &[R0, R1])));
        assert_eq!(watermark(&leader), expected);
    }
}

#[test]
fn planted_a_proposed_shrink_moves_it_before_it_is_accepted() {
    for (bug, expected) in [(None, 0), (Some(Bug::EagerShrink), 2)] {
        let mut leader = leader(&[R0, R1, R2], bug);
        leader.append(2);
        fetched(&mut leader, R1, 1, 2);
        leader.take(Input::Expired(Timer::Lag(R2)));
        leader.take(leader.written());
        assert_eq!(watermark(&leader), expected);
    }
}

#[test]
fn what_consumers_see_ends_at_it() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(2);
    assert_eq!(leader.replica.readable_end().expect("it leads").offset(), Offset(0));

    let mut planted = super::leader(&[R0, R1, R2], Some(Bug::ReadBeyondWatermark));
    planted.append(2);
    assert_eq!(planted.replica.readable_end().expect("it leads").offset(), Offset(2));
}

#[test]
fn a_new_leader_does_not_answer_for_the_end_before_it_covers_its_predecessors() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(Input::View(view(2, R0, 2, &[R0, R1])));
    let (high_watermark, leader_epoch_start) = (Offset(0), Offset(2));
    let refusal = Refusal::WatermarkNotApplied { high_watermark, leader_epoch_start };
    assert_eq!(leader.replica.latest_end(), Err(refusal));

    let newer = Fetch { leader_epoch: LeaderEpoch(2), ..fetch(R1, 1, 2) };
    leader.take(from(R1, Message::Fetch(newer)));
    assert_eq!(leader.replica.latest_end().expect("it covers them").offset(), Offset(2));
}

#[test]
fn a_leader_alone_commits_what_it_holds() {
    let mut leader = Subject::new(R0, None);
    leader.tenure.replicas.truncate(1);
    let mut alone = view(1, R0, 1, &[R0]);
    alone.replicas.truncate(1);
    alone.min_isr = 1;
    assert_eq!(leader.take(Input::View(alone)), []);
    leader.take(produce(Acks::All, 1, plain(2)));
    assert_eq!(leader.take(leader.written()), [visible(2, 1), acknowledged(1, 0)]);
}

#[test]
fn planted_min_isr_of_the_view_before_is_believed() {
    for (bug, expected) in [(None, 0), (Some(Bug::LaggingMinIsr), 1)] {
        let mut leader = Subject::new(R0, bug);
        let lenient = PartitionView { min_isr: 1, ..view(1, R0, 1, &[R0, R1]) };
        leader.take(Input::View(lenient));
        leader.take(Input::View(view(2, R0, 1, &[R0])));
        leader.append(1);
        assert_eq!(watermark(&leader), expected);
    }
}

#[test]
fn a_reader_that_believes_in_another_leader_epoch_is_fenced() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(Input::View(view(2, R0, 2, &[R0, R1])));
    let read =
        |believed: u32| leader.replica.readable_by(Some(LeaderEpoch(believed))).map(|end| end.leader_epoch());

    let known = LeaderEpoch(2);
    assert_eq!(read(1), Err(Refusal::FencedLeaderEpoch { given: LeaderEpoch(1), known }));
    assert_eq!(read(2), Ok(known));
    assert_eq!(read(3), Err(Refusal::UnknownLeaderEpoch { given: LeaderEpoch(3), known }));
    assert_eq!(leader.replica.readable_by(None).map(|end| end.leader_epoch()), Ok(known));
}

#[test]
fn it_waits_for_a_replica_that_will_join_though_another_change_is_in_flight() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(Input::Expired(Timer::Lag(R1)));
    assert!(leader.replica.is_changing_isr());
    assert_eq!(leader.replica.watermark_waits_for(), Some(IsrSet::first(2)));

    fetched(&mut leader, R2, 1, 0);
    assert!(leader.replica.is_caught_up(R2));
    assert!(!leader.replica.is_caught_up(R1));
    assert_eq!(leader.replica.watermark_waits_for(), Some(IsrSet::first(3)));
}
