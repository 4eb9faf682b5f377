//! Produces, completions and acknowledgements.

use super::*;

fn appended(request: u64, base: u64, end: u64) -> Effect {
    Effect::AppendLocal {
        request_id: RequestId(request),
        base_offset: Offset(base),
        end: Offset(end),
        leader_epoch: LeaderEpoch(1),
        generation: LogGeneration::default(),
    }
}

fn sync(up_to: u64) -> Effect {
    Effect::Sync { up_to: Offset(up_to), generation: LogGeneration::default() }
}

#[test]
fn acks_of_the_leader_wait_for_its_write_under_os() {
    let mut leader = leader(&[R0, R1, R2], None);

    assert_eq!(leader.take(produce(Acks::Leader, 1, plain(2))), [appended(1, 0, 2)]);
    assert_eq!(leader.take(leader.written()), [acknowledged(1, 0)]);
}

#[test]
fn acks_of_the_leader_wait_for_its_sync_under_commit() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1, R2]))));

    assert_eq!(leader.take(produce(Acks::Leader, 1, plain(2))), [appended(1, 0, 2)]);
    assert_eq!(leader.take(leader.written()), [sync(2)]);
    assert_eq!(leader.take(leader.flushed()), [acknowledged(1, 0)]);
}

#[test]
fn one_sync_covers_what_was_written_while_another_ran() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1, R2]))));
    leader.append(1);
    leader.append(1);
    leader.append(1);

    let generation = LogGeneration::default();
    assert_eq!(leader.take(Input::Flushed { end: Offset(1), generation }), [sync(3)]);
    assert_eq!(leader.take(Input::Flushed { end: Offset(3), generation }), []);
}

#[test]
fn acks_of_all_are_refused_before_anything_is_written_when_too_few_are_in_sync() {
    let mut leader = leader(&[R0], None);

    let missing = [R1, R2].into_iter().collect();
    let refusal = Refusal::NotEnoughReplicas { isr: IsrSet::only(R0), min_isr: 2, missing };
    assert_eq!(leader.refuse(produce(Acks::All, 1, plain(1))), refusal);
    assert_eq!(refusal.code(), crate::error_code::ErrorCode::NotEnoughReplicas);
    assert_eq!(leader.take(produce(Acks::Leader, 2, plain(1))).first(), Some(&appended(2, 0, 1)));
}

#[test]
fn a_batch_whose_sequences_do_not_fit_its_count_is_refused() {
    let mut leader = leader(&[R0, R1, R2], None);
    let mut batch = sequenced(1, 0, 0, 3);
    batch.count = 2;

    assert_eq!(leader.refuse(produce(Acks::All, 1, batch)), Refusal::MalformedBatch);
    assert_eq!(leader.refuse(produce(Acks::All, 1, plain(0))), Refusal::MalformedBatch);
}

#[test]
fn an_expired_request_says_who_is_missing() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.append(3);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 3))));
    leader.take(produce(Acks::All, 7, plain(1)));
    leader.take(leader.written());

    let missing = [R1, R2].into_iter().collect();
    let refusal = Refusal::TimedOut { high_watermark: Offset(0), needed: Offset(4), missing };
    let expired = Input::RequestExpired { request_id: RequestId(7) };
    assert_eq!(leader.take(expired.clone()), [Effect::Refuse { request_id: RequestId(7), refusal }]);
    assert_eq!(leader.refuse(expired), Refusal::NoSuchRequest);
}

#[test]
fn a_completion_of_another_generation_counts_for_nothing() {
    let mut leader = leader(&[R0, R1, R2], None);
    leader.take(produce(Acks::Leader, 1, plain(1)));

    let stale = Input::Written { end: Offset(1), generation: LogGeneration(9) };
    assert_eq!(leader.refuse(stale), Refusal::StaleCompletion);
    let beyond = Input::Flushed { end: Offset(8), generation: LogGeneration::default() };
    assert_eq!(leader.refuse(beyond), Refusal::StaleCompletion);
}

#[test]
fn a_log_start_rises_up_to_what_is_committed_and_synced() {
    let mut leader = leader(&[R0, R1], None);
    leader.append(4);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 3))));
    let refused = Refusal::LogStartOutOfRange { given: Offset(2), start: Offset(0), limit: Offset(0) };
    assert_eq!(leader.refuse(Input::RaiseLogStart { to: Offset(2) }), refused);

    leader.take(leader.flushed());
    assert_eq!(leader.take(Input::RaiseLogStart { to: Offset(9) }), [Effect::TrimLog { to: Offset(3) }]);
}

#[test]
fn planted_an_acknowledgement_leaves_at_the_leaders_append() {
    let mut leader = leader(&[R0, R1, R2], Some(Bug::AckAtLeaderAppend));

    assert_eq!(leader.take(produce(Acks::All, 1, plain(1)))[..2], [appended(1, 0, 1), acknowledged(1, 0)]);
}

#[test]
fn a_request_that_expired_is_answered_no_more_and_the_others_wait_on() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::Leader, 1, plain(1)));
    leader.take(produce(Acks::Leader, 2, plain(1)));
    leader.take(Input::EndRead { request_id: RequestId(3) });
    leader.take(Input::EndRead { request_id: RequestId(4) });
    for expired in [2, 4] {
        leader.take(Input::RequestExpired { request_id: RequestId(expired) });
    }

    assert_eq!(leader.refuse(Input::RequestExpired { request_id: RequestId(4) }), Refusal::NoSuchRequest);
    let written = leader.take(leader.written());
    assert_eq!(written[0], acknowledged(1, 0));
    assert!(!written[1..].iter().any(|effect| matches!(effect, Effect::Acknowledge(_))), "{written:?}");
    let echo = Fetch { round: ReadRound(2), ..fetch(R1, 1, 2) };
    let effects = leader.take(from(R1, Message::Fetch(echo)));
    let ends: Vec<&EndOfLog> = effects
        .iter()
        .filter_map(|effect| if let Effect::EndKnown(end) = effect { Some(end) } else { None })
        .collect();
    let [end] = ends[..] else { panic!("{ends:?} is not the answer to one read") };
    assert_eq!(
        (end.request_id(), end.offset(), end.leader_epoch()),
        (RequestId(3), Offset(2), LeaderEpoch(1))
    );
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Acknowledge(_))));
}

#[test]
fn a_log_takes_what_fits_below_the_last_offset() {
    let mut subject = Subject::new(R1, None);
    subject.take(Input::View(view(1, R0, 1, &[R0, R1])));
    let told = FetchAnswer { log_start: Offset(OFFSET_MAX.0 - 2), ..answer(R1, 1, 0, FetchBody::OutOfRange) };
    subject.take(from(R0, Message::FetchAnswer(told)));
    subject.take(Input::View(view(2, R1, 2, &[R0, R1])));

    assert_eq!(subject.refuse(produce(Acks::Leader, 1, plain(3))), Refusal::MalformedBatch);
    subject.take(produce(Acks::Leader, 1, plain(2)));
    assert_eq!(subject.replica.log().end(), OFFSET_MAX);
    assert_eq!(subject.refuse(produce(Acks::Leader, 1, plain(1))), Refusal::MalformedBatch);
}
