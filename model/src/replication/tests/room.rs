//! Writes that find no room.

use super::*;

fn failed(end: u64, generation: u32) -> Input {
    Input::WriteFailed { end: Offset(end), generation: LogGeneration(generation) }
}

fn no_room(request: u64, log_end: u64) -> Effect {
    let refusal = Refusal::NoRoom { log_end: Offset(log_end) };
    Effect::Refuse { request_id: RequestId(request), refusal }
}

/// A follower of `R1` that has fetched two records and not yet written them.
fn writing_follower(bug: Option<Bug>) -> Subject {
    let mut follower = Subject::new(R0, bug);
    follower.take(Input::View(view(1, R1, 1, &[R0, R1, R2])));
    let batch = BatchSummary { leader_epoch: LeaderEpoch(1), ..plain(2) };
    let message = Message::FetchAnswer(records(R0, 1, (0, 2), 0));
    follower.take(Input::Message { from: R1, message, batches: smallvec![batch] });
    follower
}

#[test]
fn a_leader_refuses_what_found_no_room_and_takes_it_when_there_is_some() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(1);
    leader.take(produce(Acks::All, 1, sequenced(7, 0, 0, 2)));
    leader.take(produce(Acks::Leader, 2, plain(1)));
    // It repeats the first, and waits with it.
    leader.take(produce(Acks::All, 3, sequenced(7, 0, 0, 2)));

    assert_eq!(leader.take(failed(1, 0)), [no_room(2, 1), no_room(1, 1), no_room(3, 1)]);
    assert_eq!((leader.replica.log().end(), leader.replica.log().written()), (Offset(1), Offset(1)));
    assert_eq!(leader.refuse(failed(1, 0)), Refusal::StaleCompletion);
    assert_eq!(
        leader.refuse(Input::Written { end: Offset(1), generation: LogGeneration(0) }),
        Refusal::StaleCompletion
    );
    let (leader_epoch, generation) = (LeaderEpoch(1), LogGeneration(1));
    let (request_id, base_offset, end) = (RequestId(4), Offset(1), Offset(3));
    let append = Effect::AppendLocal { request_id, base_offset, end, leader_epoch, generation };
    assert_eq!(leader.take(produce(Acks::All, 4, sequenced(7, 0, 0, 2))), [append]);
}

#[test]
fn what_was_written_before_a_write_that_found_no_room_is_served_and_acknowledged() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, plain(1)));
    leader.take(produce(Acks::All, 2, plain(1)));
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));

    // The write of the first had ended, though nobody had said so yet.
    let answer = answered(R1, records(R1, 1, (0, 1), 0));
    assert_eq!(leader.take(failed(1, 0)), [no_room(2, 1), answer]);
    let told = leader.take(from(R1, Message::Fetch(fetch(R1, 2, 1))));
    assert_eq!(told, [visible(1, 1), acknowledged(1, 0), disarm(Timer::Lag(R1))]);
}

#[test]
fn the_epoch_of_a_leader_that_never_wrote_what_it_had_fetched_begins_where_its_log_ends() {
    let mut leader = writing_follower(None);
    leader.take(Input::View(view(2, R0, 2, &[R0, R1, R2])));
    let fetch = Fetch { leader_epoch: LeaderEpoch(2), ..fetch(R2, 1, 2) };
    leader.take(from(R2, Message::Fetch(fetch)));
    assert_eq!(leader.replica.follower_end(R2), Some(Offset(2)));

    leader.take(failed(0, 0));

    assert_eq!(leader.replica.leader_epoch_start(), Some(Offset(0)));
    assert_eq!(leader.replica.log().last_epoch(), Some(LeaderEpoch(2)));
    assert_eq!((leader.replica.follower_end(R2), leader.replica.parked_fetch(R2)), (None, None));
    let end = crate::log::EpochEnd { epoch: LeaderEpoch(1), end: Offset(0) };
    let diverging = answer(R2, 1, 0, FetchBody::Diverging(end));
    let diverging = FetchAnswer { leader_epoch: LeaderEpoch(2), ..diverging };
    assert_eq!(leader.take(from(R2, Message::Fetch(fetch))), [answered(R2, diverging)]);
}

#[test]
fn a_leader_that_has_forgotten_a_follower_heeds_an_earlier_request_of_it_again() {
    let mut leader = writing_follower(None);
    leader.take(Input::View(view(2, R0, 2, &[R0, R1, R2])));
    let of_epoch = |fetch| Fetch { leader_epoch: LeaderEpoch(2), ..fetch };
    leader.take(from(R2, Message::Fetch(of_epoch(fetch(R2, 2, 2)))));
    let earlier = of_epoch(fetch(R2, 1, 0));
    let overtaken = Refusal::StaleRequest { given: RequestId(1), known: RequestId(2) };
    assert_eq!(leader.refuse(from(R2, Message::Fetch(earlier))), overtaken);

    leader.take(failed(0, 0));
    leader.take(from(R2, Message::Fetch(earlier)));
    assert_eq!(leader.replica.follower_end(R2), Some(Offset(0)));
}

#[test]
fn a_follower_without_room_fetches_again_after_a_while() {
    let mut follower = writing_follower(None);

    assert_eq!(follower.take(failed(0, 0)), [arm(Timer::Room)]);
    assert_eq!(follower.refuse(Input::Expired(Timer::FetchRetry)), Refusal::NotArmed);
    let again = Fetch { generation: LogGeneration(1), ..fetch(R0, 3, 0) };
    let asked = [sent(R1, Message::Fetch(again)), arm(Timer::FetchRetry)];
    assert_eq!(follower.take(Input::Expired(Timer::Room)), asked);
    assert_eq!(follower.refuse(Input::Expired(Timer::Room)), Refusal::NotArmed);
}

#[test]
fn a_follower_without_room_asks_a_new_leader_at_once() {
    let mut follower = writing_follower(None);
    follower.take(failed(0, 0));

    let fetch = Fetch { leader_epoch: LeaderEpoch(2), generation: LogGeneration(1), ..fetch(R0, 1, 0) };
    let asked = [disarm(Timer::Room), sent(R2, Message::Fetch(fetch)), arm(Timer::FetchRetry)];
    assert_eq!(follower.take(Input::View(view(2, R2, 2, &[R1, R2]))), asked);
}

#[test]
fn planted_a_follower_that_seemed_to_hold_the_tail_goes_on_counting() {
    let mut leader = writing_follower(Some(Bug::ProgressOutlivesTail));
    leader.take(Input::View(view(2, R0, 2, &[R0, R1, R2])));
    let fetch = Fetch { leader_epoch: LeaderEpoch(2), ..fetch(R2, 1, 2) };
    leader.take(from(R2, Message::Fetch(fetch)));

    leader.take(failed(0, 0));
    assert_eq!(leader.replica.follower_end(R2), Some(Offset(2)));
}

#[test]
fn a_write_that_is_said_to_have_failed_at_the_end_of_the_log_did_not() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::Leader, 1, plain(1)));

    assert_eq!(leader.refuse(failed(1, 0)), Refusal::StaleCompletion);
    assert_eq!(leader.refuse(failed(2, 0)), Refusal::StaleCompletion);
}

#[test]
fn what_a_follower_has_of_the_log_that_stands_goes_on_counting() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(1);
    leader.take(produce(Acks::Leader, 1, plain(1)));
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    leader.take(from(R1, Message::Fetch(fetch(R1, 2, 1))));
    leader.take(failed(1, 0));
    assert_eq!(leader.replica.follower_end(R1), Some(Offset(1)));

    // Its goal is not what the log has lost.
    leader.append(1);
    let effects = leader.take(from(R1, Message::Fetch(fetch(R1, 3, 1))));
    assert!(effects.contains(&arm(Timer::Lag(R1))), "{effects:?}");
}

#[test]
fn a_dropped_member_that_lacks_only_what_found_no_room_comes_back() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    leader.take(produce(Acks::None, 1, plain(1)));
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(Input::View(view(2, R0, 1, &[R0])));

    leader.take(failed(0, 0));

    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}
