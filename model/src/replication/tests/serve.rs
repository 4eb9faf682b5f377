//! Serving fetches: fences, divergence, parking.

use super::*;
use crate::log::EpochEnd;

#[test]
fn a_fetch_with_nothing_to_send_is_parked_until_there_is() {
    let mut leader = leader(&[R0, R1, R2], None);

    assert_eq!(leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0)))), [disarm(Timer::Lag(R1))]);
    assert_eq!(leader.take(produce(Acks::None, 9, plain(2))).last(), Some(&arm(Timer::Lag(R1))));
    assert_eq!(leader.take(leader.written()), [answered(R1, records(R1, 1, (0, 2), 0))]);
}

#[test]
fn a_repeated_fetch_is_answered_again_and_an_overtaken_one_is_not() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(2);
    let first = from(R1, Message::Fetch(fetch(R1, 5, 0)));

    let answer = answered(R1, records(R1, 5, (0, 2), 0));
    assert!(leader.take(first.clone()).contains(&answer));
    assert!(leader.take(first.clone()).contains(&answer));
    leader.take(from(R1, Message::Fetch(fetch(R1, 6, 2))));
    assert_eq!(leader.refuse(first), Refusal::StaleRequest { given: RequestId(5), known: RequestId(6) });
}

#[test]
fn fences_come_before_anything_else() {
    let mut leader = leader(&[R0, R1, R2], None);
    let ask = |change: fn(&mut Fetch)| {
        let mut asked = fetch(R1, 1, 0);
        change(&mut asked);
        from(R1, Message::Fetch(asked))
    };

    let (given, known) = (LeaderEpoch(0), LeaderEpoch(1));
    let older = leader.refuse(ask(|fetch| fetch.leader_epoch = LeaderEpoch(0)));
    assert_eq!(older, Refusal::FencedLeaderEpoch { given, known });
    let newer = leader.refuse(ask(|fetch| fetch.leader_epoch = LeaderEpoch(2)));
    assert_eq!(newer, Refusal::UnknownLeaderEpoch { given: LeaderEpoch(2), known });
    let before = leader.refuse(ask(|fetch| fetch.broker_epoch = BrokerEpoch(3)));
    assert_eq!(before, Refusal::StaleBrokerEpoch { given: BrokerEpoch(3), known: registration(R1) });
    let claims = leader.refuse(ask(|fetch| fetch.durable_end = Offset(1)));
    assert_eq!(claims, Refusal::MalformedMessage);
    let own = leader.refuse(from(R0, Message::Fetch(fetch(R0, 1, 0))));
    assert_eq!(own, Refusal::NotAReplica { given: R0, replicas: 3 });
}

#[test]
fn progress_of_an_earlier_incarnation_never_replaces_that_of_a_later_one() {
    let later = Fetch { broker_epoch: BrokerEpoch(50), ..fetch(R1, 1, 1) };
    let earlier = from(R1, Message::Fetch(fetch(R1, 9, 2)));
    let mut sound = leader(&[R0, R1], None);
    sound.append(2);
    sound.take(from(R1, Message::Fetch(later)));

    let refusal = Refusal::StaleBrokerEpoch { given: registration(R1), known: BrokerEpoch(50) };
    assert_eq!(sound.refuse(earlier.clone()), refusal);

    let mut planted = leader(&[R0, R1], Some(Bug::StaleRequestProgress));
    planted.append(2);
    planted.take(from(R1, Message::Fetch(later)));
    assert_eq!(planted.take(earlier).first(), Some(&visible(2, 1)));
}

/// A leader in leader epoch 3 over records of epochs 1 (up to 2) and 3 (up to 3).
fn leader_after_another(bug: Option<Bug>) -> Subject {
    let mut leader = leader(&[R0, R1], bug);
    leader.append(2);
    leader.take(Input::View(view(2, R0, 3, &[R0, R1])));
    leader.append(1);
    leader
}

fn diverged() -> Fetch {
    Fetch { leader_epoch: LeaderEpoch(3), last_epoch: Some(LeaderEpoch(2)), ..fetch(R1, 1, 3) }
}

#[test]
fn a_log_that_parts_is_told_where_and_counts_for_nothing() {
    let mut leader = leader_after_another(None);

    let body = FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(1), end: Offset(2) });
    let told = FetchAnswer { leader_epoch: LeaderEpoch(3), ..answer(R1, 1, 0, body) };
    assert_eq!(leader.take(from(R1, Message::Fetch(diverged()))), [answered(R1, told)]);
    assert_eq!(leader.replica.high_watermark(), Offset(0));
}

#[test]
fn planted_a_log_that_parts_counts() {
    let mut nack = leader_after_another(Some(Bug::DivergingCounts));
    nack.take(from(R1, Message::Fetch(diverged())));
    assert_eq!(nack.replica.high_watermark(), Offset(3));

    let mut untested = leader_after_another(Some(Bug::SkipDivergenceTest));
    untested.take(from(R1, Message::Fetch(diverged())));
    assert_eq!(untested.replica.high_watermark(), Offset(3));
}

#[test]
fn a_fetch_below_the_log_start_is_out_of_range() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(4);
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 4))));
    leader.take(Input::RaiseLogStart { to: Offset(3) });

    let told = FetchAnswer { log_start: Offset(3), ..answer(R2, 1, 4, FetchBody::OutOfRange) };
    assert!(leader.take(from(R2, Message::Fetch(fetch(R2, 1, 2)))).contains(&answered(R2, told)));
}

/// A leader of `R1` whose log is of epoch 1 up to 2 and of epoch 3 up to 3, all of it committed.
fn leader_of_two_epochs(bug: Option<Bug>) -> Subject {
    let mut leader = leader_after_another(bug);
    leader.take(leader.flushed());
    let at_end = Fetch { last_epoch: Some(LeaderEpoch(3)), ..in_epoch_3(R1, 1, 3) };
    leader.take(from(R1, Message::Fetch(at_end)));
    leader
}

fn in_epoch_3(replica: ReplicaIdx, request: u64, offset: u64) -> Fetch {
    Fetch { leader_epoch: LeaderEpoch(3), ..fetch(replica, request, offset) }
}

/// What it says to a fetch from 2 by a log that ends there in this epoch.
fn told_at_log_start(leader: &mut Subject, replica: ReplicaIdx, last_epoch: Option<u32>) -> FetchBody {
    told(leader, replica, Fetch { last_epoch: last_epoch.map(LeaderEpoch), ..in_epoch_3(replica, 2, 2) })
}

/// What it says to this fetch.
fn told(leader: &mut Subject, replica: ReplicaIdx, fetch: Fetch) -> FetchBody {
    let effects = leader.take(from(replica, Message::Fetch(fetch)));
    let answer = effects.into_iter().find_map(|effect| {
        let Effect::Send { message: Message::FetchAnswer(answer), .. } = effect else { return None };
        Some(answer.body)
    });
    answer.expect("it answers")
}

const RECORDS_FROM_2: FetchBody = FetchBody::Records { from: Offset(2), end: Offset(3) };

#[test]
fn a_log_that_lies_below_and_ends_in_an_epoch_that_is_no_more_known_begins_again() {
    let told = |last_epoch, bug| {
        let mut leader = leader_of_two_epochs(bug);
        leader.take(Input::RaiseLogStart { to: Offset(2) });
        told_at_log_start(&mut leader, R2, last_epoch)
    };

    for last_epoch in [1, 2] {
        assert_eq!(told(Some(last_epoch), None), FetchBody::OutOfRange);
        assert_eq!(told(Some(last_epoch), Some(Bug::PastUntested)), RECORDS_FROM_2);
    }
    assert_eq!(told(None, None), RECORDS_FROM_2, "it has just begun again");
    assert_eq!(told(Some(3), None), RECORDS_FROM_2, "its epoch is known");
}

#[test]
fn an_empty_log_and_one_that_reaches_further_are_compared_as_ever() {
    let asked = |change: fn(Fetch) -> Fetch| {
        let mut leader = leader_of_two_epochs(None);
        leader.take(Input::RaiseLogStart { to: Offset(2) });
        let before = Fetch { last_epoch: Some(LeaderEpoch(1)), ..in_epoch_3(R2, 2, 2) };
        told(&mut leader, R2, change(before))
    };

    assert_eq!(asked(|fetch| Fetch { log_start: Offset(2), ..fetch }), RECORDS_FROM_2);
    let further = asked(|fetch| Fetch { fetch_offset: Offset(3), durable_end: Offset(3), ..fetch });
    assert!(matches!(further, FetchBody::Diverging(_)), "{further:?}");
}

#[test]
fn one_that_was_valid_elsewhere_or_as_another_incarnation_begins_again() {
    let mut elsewhere = leader_of_two_epochs(None);
    elsewhere
        .take(from(R2, Message::Fetch(Fetch { last_epoch: Some(LeaderEpoch(3)), ..in_epoch_3(R2, 1, 3) })));
    elsewhere.take(Input::RaiseLogStart { to: Offset(2) });
    assert_eq!(told_at_log_start(&mut elsewhere, R2, Some(1)), FetchBody::OutOfRange);

    let mut another = leader_of_two_epochs(None);
    assert_eq!(told_at_log_start(&mut another, R2, Some(1)), RECORDS_FROM_2);
    another.take(Input::RaiseLogStart { to: Offset(2) });
    let broker_epoch = BrokerEpoch(registration(R2).0 + 1);
    let anew = Fetch { last_epoch: Some(LeaderEpoch(1)), broker_epoch, ..in_epoch_3(R2, 1, 2) };
    assert_eq!(told(&mut another, R2, anew), FetchBody::OutOfRange);
}

#[test]
fn a_member_and_one_that_was_valid_there_before_need_not_begin_again() {
    let mut leader = leader_of_two_epochs(None);
    assert_eq!(told_at_log_start(&mut leader, R2, Some(1)), RECORDS_FROM_2);
    leader.take(Input::RaiseLogStart { to: Offset(2) });

    let repeated = Fetch { last_epoch: Some(LeaderEpoch(1)), ..in_epoch_3(R2, 3, 2) };
    let told = leader.take(from(R2, Message::Fetch(repeated)));
    assert!(!told.iter().any(is_out_of_range), "{told:?}");
    assert_eq!(told_at_log_start(&mut leader, R1, Some(1)), RECORDS_FROM_2);
}

fn is_out_of_range(effect: &Effect) -> bool {
    matches!(effect, Effect::Send { message: Message::FetchAnswer(answer), .. } if answer.body == FetchBody::OutOfRange)
}

#[test]
fn an_empty_log_that_has_heard_of_an_earlier_epoch_need_not_begin_again() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(view(2, R0, 3, &[R0, R1])));

    let empty = Fetch { leader_epoch: LeaderEpoch(3), last_epoch: Some(LeaderEpoch(1)), ..fetch(R1, 1, 0) };
    leader.take(from(R1, Message::Fetch(empty)));

    assert!(leader.replica.parked_fetch(R1).is_some());
}

#[test]
fn progress_amends_the_fetch_that_it_names_and_no_other() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(4);
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(1), ..fetch(R1, 3, 3) })));
    assert_eq!(leader.replica.high_watermark(), Offset(1));

    let progress = |request_id, durable_end| {
        let (leader_epoch, broker_epoch) = (LeaderEpoch(1), registration(R1));
        let (request_id, durable_end) = (RequestId(request_id), Offset(durable_end));
        from(R1, Message::Progress(Progress { leader_epoch, broker_epoch, request_id, durable_end }))
    };
    let stale = Refusal::StaleRequest { given: RequestId(4), known: RequestId(3) };
    assert_eq!(leader.refuse(progress(4, 4)), stale);
    // What it claims beyond its fetch was not tested for divergence.
    assert_eq!(leader.take(progress(3, 9))[0], visible(3, 1));
}

#[test]
fn progress_is_fenced_like_a_fetch() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    leader.take(leader.flushed());
    leader.take(Input::View(under_commit(view(2, R0, 2, &[R0, R1]))));
    let now = Fetch { leader_epoch: LeaderEpoch(2), durable_end: Offset(0), ..fetch(R1, 1, 2) };
    leader.take(from(R1, Message::Fetch(now)));

    // Request ids begin anew in each leader epoch: what this one tells is of a log that may have been cut since.
    let (leader_epoch, broker_epoch) = (LeaderEpoch(1), registration(R1));
    let late = Progress { leader_epoch, broker_epoch, request_id: RequestId(1), durable_end: Offset(2) };
    let refusal = Refusal::FencedLeaderEpoch { given: LeaderEpoch(1), known: LeaderEpoch(2) };
    assert_eq!(leader.refuse(from(R1, Message::Progress(late))), refusal);
}

#[test]
fn a_repeated_fetch_takes_back_nothing_that_progress_has_told_and_a_new_one_says_what_holds() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(2);
    let asked = |request, broker_epoch| {
        let broker_epoch = BrokerEpoch(broker_epoch);
        from(R1, Message::Fetch(Fetch { durable_end: Offset(0), broker_epoch, ..fetch(R1, request, 2) }))
    };
    let incarnation = registration(R1).0;
    leader.take(asked(1, incarnation));
    let (leader_epoch, broker_epoch) = (LeaderEpoch(1), registration(R1));
    let progress = Progress { leader_epoch, broker_epoch, request_id: RequestId(1), durable_end: Offset(2) };
    leader.take(from(R1, Message::Progress(progress)));

    let told = |leader: &Subject| leader.replica.follower_durable_end(R1);
    leader.take(asked(1, incarnation));
    assert_eq!(told(&leader), Some(Offset(2)));
    let mut another = leader.clone();
    another.take(asked(2, incarnation));
    assert_eq!(told(&another), Some(Offset(0)));
    leader.take(asked(1, incarnation + 1));
    assert_eq!(told(&leader), Some(Offset(0)));
}

#[test]
fn a_replica_that_the_assignment_does_not_have_is_not_served() {
    let mut leader = leader(&[R0, R1, R2], None);
    let stranger = ReplicaIdx(3);

    let refusal = Refusal::NotAReplica { given: stranger, replicas: 3 };
    assert_eq!(leader.refuse(from(stranger, Message::Fetch(fetch(stranger, 1, 0)))), refusal);
}
