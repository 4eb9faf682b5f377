//! Who is caught up, and the timers that tell.

use super::*;

#[test]
fn a_new_leader_gives_every_member_the_lag_time_to_be_heard() {
    let mut leader = Subject::new(R0, None);
    let effects = leader.take(Input::View(view(1, R0, 1, &[R0, R1])));

    assert_eq!(effects, [arm(Timer::Lag(R1))]);
}

#[test]
fn the_timer_runs_only_while_there_is_something_to_reach() {
    let mut leader = leader(&[R0, R1, R2], None);
    assert_eq!(leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0)))), [disarm(Timer::Lag(R1))]);
    let appended = leader.take(produce(Acks::None, 9, plain(2)));
    assert_eq!(appended[1..], [arm(Timer::Lag(R1))]);
    leader.take(leader.written());

    let part_way = leader.take(from(R1, Message::Fetch(fetch(R1, 2, 1))));
    assert_eq!(part_way[1..], [arm(Timer::Lag(R1))]);
}

#[test]
fn a_member_that_does_not_reach_its_goal_in_time_is_dropped_and_one_that_syncs_too_late_also() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(0), ..fetch(R1, 1, 2) })));
    let effects = leader.take(Input::Expired(Timer::Lag(R1)));

    let proposed = Effect::ProposeIsr(proposal(1, 1, &[R0]));
    assert_eq!(effects, [proposed, arm(Timer::AlterPartitionRetry)]);
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn a_dropped_member_that_had_fetched_all_comes_back_when_it_has_synced_it() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(0), ..fetch(R1, 1, 2) })));
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(Input::View(under_commit(view(2, R0, 1, &[R0]))));
    assert!(!leader.replica.is_changing_isr());

    let Fetch { leader_epoch, broker_epoch, request_id, .. } = fetch(R1, 1, 2);
    let synced = Progress { leader_epoch, broker_epoch, request_id, durable_end: Offset(2) };
    leader.take(from(R1, Message::Progress(synced)));
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn a_dropped_member_that_another_policy_counts_more_of_comes_back_with_that() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(0), ..fetch(R1, 1, 2) })));
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(Input::View(under_commit(view(2, R0, 1, &[R0]))));

    leader.take(Input::View(view(3, R0, 1, &[R0])));

    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn a_timer_that_does_not_run_does_not_expire() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));

    assert_eq!(leader.refuse(Input::Expired(Timer::Lag(R1))), Refusal::NotArmed);
    assert_eq!(leader.refuse(Input::Expired(Timer::FetchRetry)), Refusal::NotArmed);
}

#[test]
fn a_dropped_member_comes_back_once_it_fetches_from_where_the_log_ended_before() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(Input::View(view(2, R0, 1, &[R0])));
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    leader.append(2);
    assert!(!leader.replica.is_changing_isr());

    leader.take(from(R1, Message::Fetch(fetch(R1, 2, 2))));
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn the_goal_of_one_that_has_fetched_all_of_it_waits_for_the_sync_and_moves_no_further() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(Input::View(under_commit(view(2, R0, 1, &[R0]))));
    let mut fetched = |request, offset| {
        let fetch = Fetch { durable_end: Offset(0), ..fetch(R1, request, offset) };
        leader.take(from(R1, Message::Fetch(fetch)));
        leader.append(2);
    };
    fetched(1, 0);
    fetched(2, 2);
    assert!(!leader.replica.is_changing_isr());

    let Fetch { leader_epoch, broker_epoch, request_id, .. } = fetch(R1, 2, 2);
    let synced = Progress { leader_epoch, broker_epoch, request_id, durable_end: Offset(2) };
    leader.take(from(R1, Message::Progress(synced)));

    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn the_timer_starts_anew_only_when_a_goal_is_reached() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(1);
    let mut at = |request, offset| leader.take(from(R1, Message::Fetch(fetch(R1, request, offset))));
    let again = arm(Timer::Lag(R1));

    // The goal is where the epoch began; then the end at that fetch, 1.
    assert!(at(1, 0).contains(&again));
    assert!(!at(2, 0).contains(&again));
    leader.append(1);
    let mut at = |request, offset| leader.take(from(R1, Message::Fetch(fetch(R1, request, offset))));
    assert!(!at(3, 0).contains(&again));
    assert!(at(4, 1).contains(&again));
    assert!(!at(5, 1).contains(&again));
}

#[test]
fn a_sync_that_is_told_later_reaches_the_goal_too() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(1);
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(0), ..fetch(R1, 1, 1) })));
    leader.append(1);

    let (leader_epoch, broker_epoch) = (LeaderEpoch(1), registration(R1));
    let progress = Progress { leader_epoch, broker_epoch, request_id: RequestId(1), durable_end: Offset(1) };
    let effects = leader.take(from(R1, Message::Progress(progress)));
    assert!(effects.contains(&arm(Timer::Lag(R1))), "{effects:?}");
}

#[test]
fn one_that_has_fetched_all_is_caught_up_by_what_it_holds_alone_member_or_not() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(Input::View(under_commit(view(2, R0, 2, &[R0, R1]))));
    let unsynced =
        |replica| Fetch { leader_epoch: LeaderEpoch(2), durable_end: Offset(0), ..fetch(replica, 1, 2) };

    // Both are to reach 2, where the epoch begins, and have fetched all below it.
    assert_eq!(leader.take(from(R1, Message::Fetch(unsynced(R1)))), []);
    assert_eq!(leader.take(from(R2, Message::Fetch(unsynced(R2)))), []);
    assert!(!leader.replica.is_caught_up(R2));
    let Fetch { leader_epoch, broker_epoch, request_id, .. } = unsynced(R2);
    let synced = Progress { leader_epoch, broker_epoch, request_id, durable_end: Offset(2) };
    leader.take(from(R2, Message::Progress(synced)));
    assert!(leader.replica.is_caught_up(R2));
}

#[test]
fn a_member_that_holds_all_by_a_new_policy_is_not_dropped() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(0), ..fetch(R1, 1, 2) })));
    leader.take(Input::Expired(Timer::Lag(R1)));
    assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Open(RequestId(1))));

    leader.take(Input::View(view(2, R0, 1, &[R0, R1])));
    assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Free));
    assert_eq!(leader.replica.high_watermark(), Offset(2));
}

/// A leader under `flush=commit` whose follower has fetched two records and synced none, and was dropped for that.
fn late_to_sync(bug: Option<Bug>) -> Subject {
    let mut leader = Subject::new(R0, bug);
    leader.take(Input::View(PartitionView { min_isr: 1, ..under_commit(view(1, R0, 1, &[R0, R1])) }));
    leader.append(2);
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(unsynced(1, 2))));
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader
}

/// A fetch of a follower that has synced nothing.
fn unsynced(request: u64, offset: u64) -> Fetch {
    Fetch { durable_end: Offset(0), ..fetch(R1, request, offset) }
}

fn isr_without_r1() -> Input {
    Input::View(PartitionView { min_isr: 1, ..under_commit(view(2, R0, 1, &[R0])) })
}

#[test]
fn a_fetch_that_is_repeated_says_nothing_new_of_who_is_caught_up() {
    for (bug, caught_up) in [(None, false), (Some(Bug::UnsyncedComesBack), true)] {
        let mut leader = late_to_sync(bug);
        let before = leader.replica.clone();
        leader.take(from(R1, Message::Fetch(unsynced(1, 2))));

        assert_eq!(leader.replica.is_caught_up(R1), caught_up);
        assert_eq!(leader.replica == before, !caught_up);
    }
}

#[test]
fn a_repeated_fetch_does_not_start_the_timer_of_one_that_is_caught_up_anew() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    leader.take(produce(Acks::None, 9, plain(2)));

    assert_eq!(leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0)))), []);
}

#[test]
fn a_sync_that_is_told_by_a_repeated_fetch_brings_a_dropped_member_back() {
    let mut leader = late_to_sync(None);
    leader.take(isr_without_r1());
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(1), ..fetch(R1, 1, 2) })));
    assert!(!leader.replica.is_changing_isr());

    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 2))));
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn a_follower_whose_syncs_never_end_holds_up_no_watermark_however_much_it_fetches() {
    for (bug, expected) in [(None, 6), (Some(Bug::UnsyncedComesBack), 4)] {
        let mut leader = late_to_sync(bug);
        leader.take(isr_without_r1());
        assert_eq!(leader.replica.readable_end().expect("it leads").offset(), Offset(2));
        for request in 2..4 {
            leader.append(2);
            leader.take(leader.flushed());
            leader.take(from(R1, Message::Fetch(unsynced(request, 2 * request))));
        }

        assert!(!leader.replica.is_changing_isr());
        assert_eq!(leader.replica.readable_end().expect("it leads").offset(), Offset(expected));
    }
}

#[test]
fn the_goal_of_one_that_has_fetched_all_stays_until_what_it_has_synced_reaches_it() {
    let mut leader = late_to_sync(None);
    leader.take(isr_without_r1());
    leader.append(2);
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(1), ..fetch(R1, 2, 4) })));
    assert!(!leader.replica.is_caught_up(R1));

    leader.append(2);
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(2), ..fetch(R1, 3, 6) })));
    assert!(leader.replica.is_caught_up(R1));
}

#[test]
fn the_goal_of_one_that_is_behind_moves_with_each_fetch_from_below_it() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(2);
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(Input::View(view(2, R0, 1, &[R0])));
    leader.append(2);
    let mut caught_up = |request, offset| {
        leader.take(from(R1, Message::Fetch(fetch(R1, request, offset))));
        leader.replica.is_caught_up(R1)
    };

    // It was to reach 2, where the log ended when it was dropped; its first fetch is from below, when the log ends at 4.
    assert_eq!(
        [(1, 0), (2, 2), (3, 4)].map(|(request, offset)| caught_up(request, offset)),
        [false, false, true]
    );
}
