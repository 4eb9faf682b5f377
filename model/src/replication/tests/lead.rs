//! Views: who leads, and what newer metadata voids.

use super::*;

#[test]
fn a_view_of_before_this_incarnation_is_refused() {
    let mut replica = Subject::new(R0, None);
    let mut early = view(1, R0, 1, &[R0]);
    early.replicas[0].broker_epoch = Some(BrokerEpoch(4));

    let refusal = Refusal::NotThisIncarnation { given: Some(BrokerEpoch(4)), known: registration(R0) };
    assert_eq!(replica.refuse(Input::View(early)), refusal);
    replica.take(Input::View(view(2, R0, 1, &[R0])));
    let stale = Refusal::StaleView { given: Offset(102), known: Offset(102) };
    assert_eq!(replica.refuse(Input::View(view(2, R1, 2, &[R1]))), stale);
}

#[test]
fn a_leader_begins_its_epoch_even_without_a_record() {
    let leader = leader(&[R0, R1], None);

    assert_eq!(leader.replica.log().last_epoch(), Some(LeaderEpoch(1)));
    assert_eq!(leader.replica.leader_epoch_start(), Some(Offset(0)));
}

#[test]
fn whoever_waits_is_told_when_leadership_is_lost() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, plain(1)));
    leader.take(produce(Acks::Leader, 2, plain(1)));
    leader.take(Input::EndRead { request_id: RequestId(3) });

    let effects = leader.take(Input::View(view(2, R1, 2, &[R0, R1])));
    let refusal = Refusal::NotLeader { leader: Some(R1), leader_epoch: LeaderEpoch(2) };
    let refuse = |request| Effect::Refuse { request_id: RequestId(request), refusal };
    assert_eq!(effects, [refuse(1), refuse(2), refuse(3), disarm(Timer::Lag(R1))]);
}

#[test]
fn progress_of_an_earlier_registration_is_forgotten() {
    let rebooted = |bug| {
        let mut leader = leader(&[R0, R1, R2], bug);
        leader.append(2);
        leader.take(from(R1, Message::Fetch(fetch(R1, 1, 2))));
        let mut now = view(2, R0, 1, &[R0, R1]);
        now.replicas[1].broker_epoch = Some(BrokerEpoch(40));
        leader.take(Input::View(now));
        leader.replica.high_watermark()
    };
    assert_eq!(rebooted(None), Offset(0));
    assert_eq!(rebooted(Some(Bug::StaleBrokerEpoch)), Offset(2));
}

#[test]
fn every_follower_fetches_anew_in_a_new_leader_epoch() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 2))));
    leader.take(Input::View(view(2, R0, 3, &[R0, R1])));
    leader.append(1);

    assert_eq!(leader.replica.high_watermark(), Offset(2));
}

#[test]
fn without_a_leader_nothing_is_served() {
    let mut idle = Subject::new(R0, None);
    let refusal = Refusal::NotLeader { leader: None, leader_epoch: LeaderEpoch(0) };

    assert_eq!(idle.refuse(produce(Acks::None, 1, plain(1))), refusal);
    let early = Refusal::UnknownLeaderEpoch { given: LeaderEpoch(1), known: LeaderEpoch(0) };
    assert_eq!(idle.refuse(from(R1, Message::Fetch(fetch(R1, 1, 0)))), early);
    assert_eq!(idle.replica.readable_end(), Err(refusal));
}

#[test]
fn a_view_of_an_epoch_below_that_of_the_log_is_refused() {
    let mut replica = leader(&[R0, R1], None);
    replica.take(Input::View(view(2, R1, 3, &[R0, R1])));
    let mut leads = leader(&[R0, R1], None);
    leads.take(Input::View(view(2, R0, 3, &[R0, R1])));

    let refusal = Refusal::FencedLeaderEpoch { given: LeaderEpoch(2), known: LeaderEpoch(3) };
    assert_eq!(leads.refuse(Input::View(view(3, R1, 2, &[R1]))), refusal);
}

#[test]
fn a_follower_that_registered_anew_runs_no_lag_timer_until_it_has_caught_up() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(2);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 1))));
    let mut now = view(2, R0, 1, &[R0, R1, R2]);
    now.replicas[1].broker_epoch = Some(BrokerEpoch(40));

    let effects = leader.take(Input::View(now));
    assert_eq!(effects[0], disarm(Timer::Lag(R1)));
    assert!(!effects.contains(&arm(Timer::Lag(R1))));
    assert_eq!((leader.replica.last_fetch(R1), leader.replica.parked_fetch(R1)), (None, None));
    assert!(!leader.replica.is_caught_up(R1));
}

#[test]
fn metadata_that_settles_nothing_leaves_the_retry_of_a_proposal_alone() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    leader.take(from(R2, Message::Fetch(fetch(R2, 1, 0))));
    assert!(leader.replica.is_changing_isr());
    let mut newer = view(1, R0, 1, &[R0, R1]);
    newer.metadata_offset = Offset(300);

    assert_eq!(leader.take(Input::View(newer)), []);
}

#[test]
fn what_a_follower_had_before_it_registered_anew_counts_for_nothing() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(2);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 2))));
    assert!(leader.replica.parked_fetch(R1).is_some());
    let mut now = view(2, R0, 1, &[R0, R2]);
    now.replicas[1].broker_epoch = Some(BrokerEpoch(40));
    leader.append(1);
    leader.take(from(R1, Message::Fetch(fetch(R1, 2, 3))));
    leader.append(1);
    leader.take(from(R1, Message::Fetch(fetch(R1, 3, 4))));
    leader.take(Input::View(now));
    assert_eq!(leader.replica.parked_fetch(R1), None);

    // To catch up it must reach where the log ended when it registered, 4.
    let anew = |request, offset| Fetch { broker_epoch: BrokerEpoch(40), ..fetch(R1, request, offset) };
    leader.take(from(R1, Message::Fetch(anew(1, 3))));
    assert!(!leader.replica.is_caught_up(R1));
    leader.take(from(R1, Message::Fetch(anew(2, 4))));
    assert!(leader.replica.is_caught_up(R1));
}

#[test]
fn whoever_is_not_in_sync_catches_up_from_where_the_epoch_begins() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(Input::View(view(2, R0, 2, &[R0, R1])));
    assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Free));
    let low = Fetch { leader_epoch: LeaderEpoch(2), ..fetch(R2, 1, 0) };
    leader.take(from(R2, Message::Fetch(low)));

    assert!(!leader.replica.is_caught_up(R2));
    assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Free));
}

#[test]
fn a_replica_says_what_it_is_and_what_it_waits_for() {
    let mut replica = Subject::new(R1, None);
    let roles = |subject: &Subject| (subject.replica.is_leading(), subject.replica.is_following());
    assert_eq!(roles(&replica), (false, false));
    assert_eq!(replica.replica.leader_epoch_start(), None);
    replica.take(Input::View(view(1, R0, 1, &[R0, R1])));
    assert_eq!(roles(&replica), (false, true));
    assert_eq!((replica.replica.open_fetch(), replica.replica.open_proposal()), (Some(RequestId(1)), None));
    replica.take(Input::View(view(2, R1, 2, &[R0, R1])));
    assert_eq!(roles(&replica), (true, false));
    assert_eq!((replica.replica.open_fetch(), replica.replica.leader_epoch_start()), (None, Some(Offset(0))));

    let asked = Fetch { leader_epoch: LeaderEpoch(2), ..fetch(R0, 3, 0) };
    replica.take(from(R0, Message::Fetch(asked)));
    let (request_id, broker_epoch) = (RequestId(3), registration(R0));
    let parked = Answered { request_id, broker_epoch, generation: LogGeneration(0) };
    assert_eq!(replica.replica.parked_fetch(R0), Some(parked));
    assert_eq!(replica.replica.last_fetch(R0), Some((broker_epoch, request_id)));
    assert_eq!(replica.replica.last_fetch(R2), None);
    let asked = Fetch { leader_epoch: LeaderEpoch(2), ..fetch(R2, 1, 0) };
    replica.take(from(R2, Message::Fetch(asked)));
    assert_eq!(replica.replica.open_proposal(), Some(RequestId(1)));
}

#[test]
fn one_that_registered_anew_is_to_reach_where_the_log_ended_then() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(3);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 3))));
    leader.append(1);
    let mut now = view(2, R0, 1, &[R0, R2]);
    now.replicas[1].broker_epoch = Some(BrokerEpoch(40));
    leader.take(Input::View(now));

    let anew = |request, offset| Fetch { broker_epoch: BrokerEpoch(40), ..fetch(R1, request, offset) };
    leader.take(from(R1, Message::Fetch(anew(1, 3))));
    assert!(!leader.replica.is_caught_up(R1));
    leader.take(from(R1, Message::Fetch(anew(2, 4))));
    assert!(leader.replica.is_caught_up(R1));
}

#[test]
fn the_first_view_is_taken_whole_also_of_a_partition_that_was_just_made() {
    let mut replica = Subject::new(R0, None);
    let made = PartitionView { partition_epoch: PartitionEpoch(0), ..view(1, R0, 1, &[R0]) };
    replica.take(Input::View(made.clone()));

    assert_eq!(*replica.replica.view(), made);
    assert!(replica.replica.is_leading());
}
