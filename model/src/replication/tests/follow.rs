//! Fetching, appending, cutting.

use super::*;
use crate::log::EpochEnd;

fn batch(base: u64, count: u32, leader_epoch: u32) -> BatchSummary {
    BatchSummary { base_offset: Offset(base), leader_epoch: LeaderEpoch(leader_epoch), ..plain(count) }
}

fn come(answer: FetchAnswer, batches: &[BatchSummary]) -> Input {
    Input::Message { from: R0, message: Message::FetchAnswer(answer), batches: batches.into() }
}

/// The fetch of replica 1 in leader epoch 1 as it sends it.
fn asked(request: u64, offset: u64, durable: u64) -> [Effect; 2] {
    let fetch = Fetch { durable_end: Offset(durable), ..fetch(R1, request, offset) };
    [sent(R0, Message::Fetch(fetch)), arm(Timer::FetchRetry)]
}

fn follower(bug: Option<Bug>) -> Subject {
    let mut follower = Subject::new(R1, bug);
    assert_eq!(follower.take(Input::View(view(1, R0, 1, &[R0, R1]))), asked(1, 0, 0));
    follower
}

/// A follower of leader epoch 3 with records of epochs 1 (up to 2) and 2 (up to 4), its first fetch sent; high
/// watermark 1.
fn of_two_epochs(bug: Option<Bug>) -> Subject {
    let mut follower = follower(bug);
    follower.take(come(records(R1, 1, (0, 2), 1), &[batch(0, 2, 1)]));
    follower.take(follower.written());
    follower.take(Input::View(view(2, R1, 2, &[R0, R1])));
    follower.append(2);
    follower.take(Input::View(view(3, R0, 3, &[R0, R1])));
    follower
}

fn diverging(epoch: u32, end: u64) -> FetchAnswer {
    let body = FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) });
    FetchAnswer { leader_epoch: LeaderEpoch(3), ..answer(R1, 1, 4, body) }
}

#[test]
fn records_are_appended_and_the_next_fetch_waits_for_their_write() {
    let mut follower = follower(None);
    let batches: Batches = [batch(0, 2, 1), batch(2, 1, 1)].into_iter().collect();

    let effects = follower.take(come(records(R1, 1, (0, 5), 2), &batches));
    let generation = LogGeneration::default();
    let appended = Effect::AppendFetched { batches, end: Offset(3), generation };
    assert_eq!(effects, [appended, Effect::FollowerHighWatermark(Offset(2))]);
    assert_eq!(follower.take(follower.written()), asked(4, 3, 0));
}

#[test]
fn a_finished_sync_is_told_while_the_fetch_is_parked() {
    let mut follower = Subject::new(R1, None);
    follower.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    follower.take(come(records(R1, 1, (0, 2), 0), &[batch(0, 2, 1)]));
    let written = follower.take(follower.written());
    let sync = Effect::Sync { up_to: Offset(2), generation: LogGeneration::default() };
    assert_eq!(written[0], sync);
    assert_eq!(written[1..], asked(3, 2, 0));

    let (leader_epoch, broker_epoch) = (LeaderEpoch(1), registration(R1));
    let progress = Progress { leader_epoch, broker_epoch, request_id: RequestId(3), durable_end: Offset(2) };
    assert_eq!(follower.take(follower.flushed()), [sent(R0, Message::Progress(progress))]);
    assert_eq!(follower.take(Input::Expired(Timer::FetchRetry)), asked(3, 2, 2));
}

#[test]
fn planted_a_follower_tells_what_it_has_not_synced() {
    let mut follower = Subject::new(R1, Some(Bug::FollowerCountsUnsynced));
    follower.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    follower.take(come(records(R1, 1, (0, 2), 0), &[batch(0, 2, 1)]));

    assert_eq!(follower.take(follower.written())[1..], asked(3, 2, 2));
}

#[test]
fn an_answer_that_is_not_waited_for_changes_nothing() {
    let mut follower = follower(None);
    let told = records(R1, 1, (0, 1), 0);
    let mut refuse = |answer: FetchAnswer| follower.refuse(come(answer, &[batch(0, 1, 1)]));

    let (given, known) = (LeaderEpoch(0), LeaderEpoch(1));
    let older = FetchAnswer { leader_epoch: given, ..told };
    assert_eq!(refuse(older), Refusal::FencedLeaderEpoch { given, known });
    let answered = Answered { broker_epoch: BrokerEpoch(3), ..told.answered };
    let of_before = Refusal::StaleBrokerEpoch { given: BrokerEpoch(3), known: registration(R1) };
    assert_eq!(refuse(FetchAnswer { answered, ..told }), of_before);
    let answered = Answered { request_id: RequestId(8), ..told.answered };
    assert_eq!(refuse(FetchAnswer { answered, ..told }), Refusal::StaleAnswer);
    let answered = Answered { generation: LogGeneration(1), ..told.answered };
    assert_eq!(refuse(FetchAnswer { answered, ..told }), Refusal::StaleAnswer);
    assert_eq!(refuse(records(R1, 1, (1, 2), 0)), Refusal::StaleAnswer);
}

#[test]
fn planted_an_answer_to_an_earlier_incarnation_is_taken() {
    let mut follower = follower(Some(Bug::StaleResponse));
    let mut told = records(R1, 1, (0, 1), 0);
    told.answered.broker_epoch = BrokerEpoch(3);

    follower.take(come(told, &[batch(0, 1, 1)]));
    assert_eq!(follower.replica.log().end(), Offset(1));
}

#[test]
fn batches_that_do_not_continue_one_another_are_refused() {
    let mut follower = follower(None);
    let told = records(R1, 1, (0, 9), 0);
    for batches in [
        [batch(1, 1, 1), batch(2, 1, 1)],
        [batch(0, 1, 1), batch(2, 1, 1)],
        [batch(0, 1, 1), batch(1, 1, 0)],
        [batch(0, 1, 1), batch(1, 1, 2)],
        [batch(0, 1, 1), batch(1, 0, 1)],
        [batch(0, 1, 1), batch(1, 9, 1)],
    ] {
        assert_eq!(follower.refuse(come(told, &batches)), Refusal::MalformedMessage);
    }
}

#[test]
fn a_diverging_log_is_cut_where_both_are_known_to_agree() {
    let mut follower = of_two_epochs(None);

    let effects = follower.take(Input::Message {
        from: R0,
        message: Message::FetchAnswer(diverging(1, 3)),
        batches: Batches::new(),
    });
    assert_eq!(effects[0], Effect::Truncate { to: Offset(2), generation: LogGeneration(1) });
    let mut next = fetch(R1, 2, 2);
    next.leader_epoch = LeaderEpoch(3);
    next.generation = LogGeneration(1);
    next.durable_end = Offset(0);
    assert_eq!(effects[1..], [sent(R0, Message::Fetch(next)), arm(Timer::FetchRetry)]);
}

#[test]
fn planted_cuts_go_wrong() {
    let mut at_leaders_end = of_two_epochs(Some(Bug::TruncateToLeaderEnd));
    at_leaders_end.take(come(diverging(1, 3), &[]));
    assert_eq!(at_leaders_end.replica.log().end(), Offset(3));

    let mut at_watermark = leader(&[R0, R1], Some(Bug::TruncateToHighWatermark));
    at_watermark.append(2);
    at_watermark.take(Input::View(view(2, R1, 2, &[R0, R1])));
    assert_eq!(at_watermark.replica.log().end(), Offset(0));

    let mut exposed = of_two_epochs(Some(Bug::WatermarkFromDiverging));
    let effects = exposed.take(come(diverging(1, 3), &[]));
    assert_eq!(effects[0], Effect::FollowerHighWatermark(Offset(4)));
}

#[test]
fn a_cut_that_removes_no_record_still_drops_an_epoch_without_one() {
    let cut = |bug| {
        let mut follower = Subject::new(R1, bug);
        follower.take(Input::View(view(1, R1, 2, &[R0, R1])));
        follower.take(Input::View(view(2, R0, 3, &[R0, R1])));
        let body = FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(1), end: Offset(0) });
        let told = FetchAnswer { leader_epoch: LeaderEpoch(3), ..answer(R1, 1, 0, body) };
        follower.take(come(told, &[]));
        follower.replica.log().last_epoch()
    };
    assert_eq!(cut(None), None);
    assert_eq!(cut(Some(Bug::EpochSurvivesNoopTruncation)), Some(LeaderEpoch(2)));
}

#[test]
fn a_log_below_the_leaders_start_begins_again_there() {
    let mut follower = follower(None);
    let told = FetchAnswer { log_start: Offset(7), ..answer(R1, 1, 9, FetchBody::OutOfRange) };

    let effects = follower.take(come(told, &[]));
    let restarted = Effect::RestartLog { at: Offset(7), generation: LogGeneration(1) };
    assert_eq!(effects[..2], [restarted, Effect::FollowerHighWatermark(Offset(7))]);
    assert_eq!(follower.replica.log().end(), Offset(7));
    let again = FetchAnswer { log_start: Offset(3), ..told };
    assert_eq!(follower.refuse(come(again, &[])), Refusal::StaleAnswer);
}

#[test]
fn planted_a_restarted_log_keeps_a_watermark_below_its_start() {
    let mut follower = follower(Some(Bug::WatermarkBelowLogStart));
    let told = FetchAnswer { log_start: Offset(7), ..answer(R1, 1, 9, FetchBody::OutOfRange) };
    follower.take(come(told, &[]));
    assert_eq!(follower.replica.log().start(), Offset(7));
    assert_eq!(follower.replica.high_watermark(), Offset(0));
}

#[test]
fn planted_a_sync_of_the_log_before_a_cut_counts() {
    for (bug, expected) in [(None, 0), (Some(Bug::FlushIgnoresGeneration), 2)] {
        let mut follower = of_two_epochs(bug);
        follower.take(come(diverging(1, 3), &[]));
        let late = Input::Flushed { end: Offset(2), generation: LogGeneration(0) };
        let _ = follower.replica.step(&follower.tenure, late, &mut Vec::new());
        assert_eq!(follower.replica.log().flushed(), Offset(expected));
    }
}

#[test]
fn a_follower_raises_its_log_start_with_the_leaders() {
    let mut follower = follower(None);
    follower.take(come(records(R1, 1, (0, 2), 2), &[batch(0, 2, 1)]));
    follower.take(follower.written());
    follower.take(follower.flushed());

    let told = FetchAnswer { log_start: Offset(1), ..records(R1, 3, (2, 3), 2) };
    assert!(follower.take(come(told, &[batch(2, 1, 1)])).contains(&Effect::TrimLog { to: Offset(1) }));
    assert_eq!(follower.replica.log().start(), Offset(1));
}

#[test]
fn an_answer_of_a_leader_epoch_that_is_not_known_yet_is_refused() {
    let mut follower = follower(None);
    let newer = FetchAnswer { leader_epoch: LeaderEpoch(2), ..records(R1, 1, (0, 1), 0) };

    let refusal = Refusal::UnknownLeaderEpoch { given: LeaderEpoch(2), known: LeaderEpoch(1) };
    assert_eq!(follower.refuse(come(newer, &[batch(0, 1, 1)])), refusal);
}

#[test]
fn a_cut_below_the_watermark_takes_it_along() {
    let mut follower = follower(None);
    follower.take(come(records(R1, 1, (0, 2), 2), &[batch(0, 2, 1)]));
    follower.take(follower.written());
    follower.take(Input::View(view(2, R0, 2, &[R0, R1])));
    let body = FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(1), end: Offset(1) });
    let told = FetchAnswer { leader_epoch: LeaderEpoch(2), ..answer(R1, 1, 0, body) };

    let effects = follower.take(come(told, &[]));
    let cut = Effect::Truncate { to: Offset(1), generation: LogGeneration(1) };
    assert_eq!(effects[..2], [cut, Effect::FollowerHighWatermark(Offset(1))]);
}

/// A follower of two records, written, that is told that the leader's log starts at `at`.
fn restarted(at: u64) -> Result<Vec<Effect>, Refusal> {
    let mut follower = follower(None);
    follower.take(come(records(R1, 1, (0, 2), 0), &[batch(0, 2, 1)]));
    follower.take(follower.written());
    let told = FetchAnswer { log_start: Offset(at), ..answer(R1, 3, 0, FetchBody::OutOfRange) };
    let mut effects = Vec::new();
    follower.replica.step(&follower.tenure, come(told, &[]), &mut effects).map(|()| effects)
}

#[test]
fn a_log_begins_again_only_past_what_it_holds_and_below_the_last_offset() {
    assert_eq!(restarted(1), Err(Refusal::MalformedMessage));
    assert!(restarted(2).is_ok(), "all that it holds is below");
    assert!(restarted(3).is_ok());
    assert!(restarted(OFFSET_MAX.0).is_ok());
    assert_eq!(restarted(OFFSET_MAX.0 + 1), Err(Refusal::MalformedMessage));

    let mut empty = follower(None);
    let told = |at, request, generation| {
        let mut told = FetchAnswer { log_start: Offset(at), ..answer(R1, request, 0, FetchBody::OutOfRange) };
        told.answered.generation = LogGeneration(generation);
        come(told, &[])
    };
    assert_eq!(empty.refuse(told(0, 1, 0)), Refusal::MalformedMessage);
    empty.take(told(7, 1, 0));
    // There is nothing at 7 that could be lost.
    empty.take(told(3, 8, 1));
    assert_eq!(empty.replica.log().end(), Offset(3));
}

#[test]
fn a_log_that_begins_again_knows_no_producer_and_syncs_anew() {
    let mut follower = Subject::new(R1, None);
    follower.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    let known = BatchSummary { leader_epoch: LeaderEpoch(1), ..sequenced(5, 0, 0, 2) };
    follower.take(come(records(R1, 1, (0, 2), 0), &[known]));
    follower.take(follower.written());
    let told = FetchAnswer { log_start: Offset(7), ..answer(R1, 3, 7, FetchBody::OutOfRange) };
    follower.take(come(told, &[]));

    follower.take(Input::View(under_commit(view(2, R1, 2, &[R0, R1]))));
    let repeated = follower.take(produce(Acks::Leader, 1, sequenced(5, 0, 0, 2)));
    assert!(matches!(repeated[..], [Effect::AppendLocal { base_offset: Offset(7), .. }, ..]));
    let sync = Effect::Sync { up_to: Offset(9), generation: LogGeneration(1) };
    assert!(follower.take(follower.written()).contains(&sync));
}

#[test]
fn a_cut_while_a_sync_is_under_way_lets_the_next_one_begin() {
    let mut follower = Subject::new(R1, None);
    follower.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    follower.take(come(records(R1, 1, (0, 2), 0), &[batch(0, 2, 1)]));
    follower.take(follower.written());
    follower.take(Input::View(under_commit(view(2, R0, 2, &[R0, R1]))));
    let body = FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(1), end: Offset(1) });
    let told = FetchAnswer { leader_epoch: LeaderEpoch(2), ..answer(R1, 1, 0, body) };

    let sync = Effect::Sync { up_to: Offset(1), generation: LogGeneration(1) };
    assert!(follower.take(come(told, &[])).contains(&sync));
}

#[test]
fn what_is_synced_is_told_once() {
    let mut follower = Subject::new(R1, None);
    follower.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    follower.take(come(records(R1, 1, (0, 2), 0), &[batch(0, 2, 1)]));
    follower.take(follower.written());
    assert_eq!(follower.take(follower.flushed()).len(), 1);
    let newer = |offset, leader_epoch| {
        let mut newer = under_commit(view(2, R0, leader_epoch, &[R0, R1]));
        newer.metadata_offset = Offset(offset);
        Input::View(newer)
    };
    assert_eq!(follower.take(newer(300, 1)), []);

    // The first fetch in a new leader epoch tells it too, and nothing else has to.
    follower.take(newer(301, 2));
    assert_eq!(follower.take(newer(302, 2)), []);
}

#[test]
fn an_open_fetch_is_not_repeated_for_a_leader_that_is_no_more() {
    let mut follower = follower(None);

    let effects = follower.take(Input::View(view(2, R2, 2, &[R1, R2])));
    assert_eq!(effects[0], disarm(Timer::FetchRetry));
}
