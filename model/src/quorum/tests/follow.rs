//! Following: fetching, believing, truncating.

use super::*;
use crate::log::EpochEnd;

fn diverging(to: u32, request: u64, epoch: u32, end: u64) -> Body {
    let fetched = Fetched::Diverging(EpochEnd { epoch: QuorumEpoch(epoch), end: Offset(end) });
    Body::FetchAnswer(FetchAnswer { asked: asked(to, request), fetched })
}

#[test]
fn a_new_leader_is_followed_and_asked_at_once() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, None), log(&[(1, 2)]));

    assert_eq!(
        replica.takes(received(2, 1, Body::BeginQuorum)),
        vec![
            Effect::Disarm(Timer::Election),
            Effect::Disarm(Timer::Probe),
            Effect::Arm(Timer::FetchTimeout),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(1), leader: Some(NodeId(2)) },
            send(1, 1, 2, Body::Fetch(fetch(2, 2, Some(1)))),
            Effect::Arm(Timer::FetchRetry),
        ]
    );
}

#[test]
fn a_leader_of_a_later_epoch_is_asked_only_once_that_epoch_is_stored() {
    let mut replica = Replica::following(log(&[]));

    let effects = replica.takes(received(3, 2, Body::BeginQuorum));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. })));

    assert_eq!(
        replica.takes(Input::VoteStored(vote(2, None))),
        vec![send(1, 2, 3, Body::Fetch(fetch(3, 0, None))), Effect::Arm(Timer::FetchRetry)]
    );
}

#[test]
fn records_are_appended_synced_and_acknowledged_by_the_next_fetch_once_flushed() {
    let mut replica = Replica::following(log(&[]));

    let generation = LogGeneration(0);
    assert_eq!(
        replica.takes(received(2, 1, records(1, 2, Some(1), vec![data(0, 1, 1), data(1, 2, 1)]))),
        vec![
            Effect::Disarm(Timer::FetchRetry),
            Effect::Arm(Timer::FetchTimeout),
            Effect::Append {
                batches: vec![data(0, 1, 1), data(1, 2, 1)],
                origin: Origin::Message,
                generation,
            },
            Effect::Sync { end: Offset(3), generation },
            committed(1),
        ]
    );
    let next = Fetch { high_watermark: Some(Offset(1)), ..fetch(3, 3, Some(1)) };
    assert_eq!(
        replica.takes(flushed(3)),
        vec![send(1, 1, 2, Body::Fetch(next)), Effect::Arm(Timer::FetchRetry)]
    );
}

#[test]
fn an_answer_to_an_earlier_request_or_run_is_not_believed() {
    let mut replica = Replica::following(log(&[]));
    replica.does(Input::Expired(Timer::FetchRetry));

    let late = replica.refuses(received(2, 1, records(1, 2, None, vec![data(0, 1, 1)])));
    let other_run = replica.refuses(received(2, 1, records(9, 3, None, vec![data(0, 1, 1)])));

    assert_eq!(late, Refusal::NotAsked { request: RequestId(2) });
    assert_eq!(other_run, Refusal::NotAsked { request: RequestId(3) });
}

#[test]
fn batches_with_a_gap_or_of_an_impossible_epoch_are_refused() {
    let mut replica = Replica::following(log(&[(1, 2)]));

    let refusal = |at| Refusal::Discontinuous { at: Offset(at), log_end: Offset(2) };
    let gap = replica.refuses(received(2, 1, records(1, 2, None, vec![data(2, 1, 1), data(4, 1, 1)])));
    assert_eq!(gap, refusal(4));
    let future = replica.refuses(received(2, 1, records(1, 2, None, vec![data(2, 1, 2)])));
    assert_eq!(future, refusal(2));
    let empty = replica.refuses(received(2, 1, records(1, 2, None, vec![data(2, 0, 1)])));
    assert_eq!(empty, refusal(2));
}

#[test]
fn a_diverging_log_is_cut_to_what_may_be_shared_before_anything_else() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[(1, 2), (3, 2)]));
    replica.does(received(2, 4, Body::BeginQuorum));

    assert_eq!(
        replica.takes(received(2, 4, diverging(1, 2, 2, 3))),
        vec![
            Effect::Disarm(Timer::FetchRetry),
            Effect::Arm(Timer::FetchTimeout),
            Effect::Truncate { end: Offset(2), generation: LogGeneration(1) },
            send(1, 4, 2, Body::Fetch(fetch(3, 2, Some(1)))),
            Effect::Arm(Timer::FetchRetry),
        ]
    );
}

#[test]
fn nothing_below_the_high_watermark_is_ever_cut() {
    let mut replica = Replica::following(log(&[(1, 3)]));
    replica.does(received(2, 1, records(1, 2, Some(3), vec![])));

    let refusal = replica.refuses(received(2, 1, diverging(1, 3, 1, 2)));

    let (end, high_watermark) = (Offset(2), Offset(3));
    assert_eq!(refusal, Refusal::TruncationBelowHighWatermark { end, high_watermark });
}

#[test]
fn a_completed_sync_of_the_log_before_a_cut_counts_for_nothing() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, None), log(&[(1, 1)]));
    replica.does(received(2, 1, Body::BeginQuorum));
    replica.does(received(2, 1, records(1, 2, None, vec![data(1, 1, 1)])));
    replica.does(received(3, 2, Body::BeginQuorum));
    replica.does(Input::VoteStored(vote(2, None)));
    replica.does(flushed(2));
    replica.does(received(3, 2, diverging(1, 3, 1, 1)));

    assert_eq!(replica.refuses(flushed(2)), Refusal::StaleCompletion { end: Offset(2) });
}

#[test]
fn a_follower_without_an_answer_asks_whether_it_would_be_elected() {
    let mut replica = Replica::following(log(&[]));

    replica.takes(Input::Expired(Timer::FetchTimeout));
    assert_eq!(replica.role(), RoleName::Prospective);
    assert_eq!(replica.core.leader(&replica.tenure), Some(key(2)));

    replica.takes(Input::Expired(Timer::Election));
    assert_eq!(replica.role(), RoleName::Follower);
}

#[test]
fn the_first_successor_of_a_leader_that_resigns_stands_at_once() {
    let mut replica = Replica::following(log(&[]));
    let mut other = replica.clone();

    replica.takes(received(2, 1, Body::EndQuorum { successors: vec![key(1), key(3)] }));
    other.takes(received(2, 1, Body::EndQuorum { successors: vec![key(3), key(1)] }));

    assert_eq!(replica.role(), RoleName::Prospective);
    assert_eq!(other.role(), RoleName::Unattached);
}

#[test]
fn an_observer_looks_for_the_leader_and_never_stands() {
    let mut replica = Replica::of(4, &[1, 2, 3], vote(1, None), log(&[]));
    assert_eq!(replica.role(), RoleName::Observer);

    let probe = Fetch { request: RequestId(2), ..fetch(2, 0, None) };
    assert_eq!(
        replica.takes(Input::Expired(Timer::Probe)),
        vec![Effect::Arm(Timer::Probe), send(4, 1, 3, Body::Fetch(probe))]
    );
    assert_eq!(
        replica.refuses(Input::Expired(Timer::Election)),
        Refusal::NotArmed { timer: Timer::Election }
    );

    let leader = Some(key(1));
    let told = Body::FetchAnswer(FetchAnswer { asked: asked(4, 2), fetched: Fetched::Refused { leader } });
    replica.takes(received(3, 1, told));
    assert_eq!(replica.core.leader(&replica.tenure), leader);
}

fn begins(from: u32, epoch: u32) -> Input {
    received(from, epoch, Body::BeginQuorum)
}

#[test]
fn a_leader_of_an_earlier_epoch_and_a_second_one_of_this_are_refused() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[]));
    let stale = Refusal::StaleEpoch { theirs: QuorumEpoch(3), ours: QuorumEpoch(4) };
    assert_eq!(replica.refuses(begins(2, 3)), stale);
    replica.does(begins(2, 4));

    let quorum_epoch = QuorumEpoch(4);
    let (known, claimant) = (key(2), key(3));
    assert_eq!(replica.refuses(begins(3, 4)), Refusal::TwoLeaders { quorum_epoch, known, claimant });
    assert_eq!(replica.takes(begins(2, 4)), vec![]);
}

#[test]
fn only_the_leader_that_is_followed_ends_its_epoch() {
    let mut replica = Replica::following(log(&[]));
    let ends = |from, epoch| received(from, epoch, Body::EndQuorum { successors: vec![key(1)] });

    assert_eq!(replica.refuses(ends(3, 1)), Refusal::NotFollowing { from: key(3) });
    let stale = Refusal::StaleEpoch { theirs: QuorumEpoch(0), ours: QuorumEpoch(1) };
    assert_eq!(replica.refuses(ends(2, 0)), stale);
    replica.does(ends(2, 1));
    assert_ne!(replica.role(), RoleName::Follower);
}

#[test]
fn an_answer_of_an_earlier_epoch_is_refused_and_one_of_a_later_moves_the_epoch() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[]));
    replica.does(begins(2, 4));
    let request = replica.core.last_request.0;
    let refused = |leader| {
        let fetched = Fetched::Refused { leader };
        Body::FetchAnswer(FetchAnswer { asked: asked(1, request), fetched })
    };

    let stale = Refusal::StaleEpoch { theirs: QuorumEpoch(3), ours: QuorumEpoch(4) };
    assert_eq!(replica.refuses(received(2, 3, refused(None))), stale);
    let mut without = replica.clone();
    without.takes(received(2, 5, refused(None)));
    assert_eq!((without.core.vote(), without.role()), (vote(5, None), RoleName::Unattached));
    replica.takes(received(2, 5, refused(Some(key(3)))));
    assert_eq!((replica.core.vote(), replica.core.leader(&replica.tenure)), (vote(5, None), Some(key(3))));
}

#[test]
fn a_leader_that_refuses_is_followed_no_more() {
    let mut replica = Replica::following(log(&[]));
    let fetched = Fetched::Refused { leader: None };
    replica.does(received(2, 1, Body::FetchAnswer(FetchAnswer { asked: asked(1, 2), fetched })));

    assert_eq!(replica.role(), RoleName::Unattached);
}

#[test]
fn a_lost_fetch_is_sent_anew_and_its_answer_is_believed_no_more() {
    let mut replica = Replica::following(log(&[]));

    let again = vec![send(1, 1, 2, Body::Fetch(fetch(3, 0, None))), Effect::Arm(Timer::FetchRetry)];
    assert_eq!(replica.takes(Input::Expired(Timer::FetchRetry)), again);
    let late = replica.refuses(received(2, 1, records(1, 2, None, vec![])));
    assert_eq!(late, Refusal::NotAsked { request: RequestId(2) });
}

#[test]
fn an_observer_that_hears_nothing_looks_for_another_leader() {
    let mut replica = Replica::of(4, &[1, 2, 3], vote(1, None), log(&[]));
    replica.does(begins(2, 1));
    assert_eq!(replica.role(), RoleName::Observer);

    let effects = replica.takes(Input::Expired(Timer::FetchTimeout));
    assert_eq!(replica.core.leader(&replica.tenure), None);
    let probes = |effect: &Effect| matches!(effect, Effect::Send { message, .. } if matches!(message.body, Body::Fetch(_)));
    assert!(effects.iter().any(probes), "{effects:?}");
}

#[test]
fn voters_that_are_fetched_count_from_then_on_until_they_are_cut_away() {
    let mut replica = Replica::following(log(&[(1, 1)]));
    let batch = Batch { kind: BatchKind::Voters(set(&[1, 2, 3, 4])), ..data(1, 1, 1) };
    replica.does(received(2, 1, records(1, 2, Some(1), vec![batch])));
    assert_eq!(replica.core.voters().latest(), &set(&[1, 2, 3, 4]));
    replica.does(flushed(2));
    replica.does(begins(3, 2));
    replica.does(Input::VoteStored(vote(2, None)));
    let request = replica.core.last_request.0;

    let effects = replica.takes(received(3, 2, diverging(1, request, 1, 1)));
    assert_eq!(replica.core.voters().latest(), &set(&[1, 2, 3]));
    assert!(effects.contains(&Effect::Truncate { end: Offset(1), generation: LogGeneration(1) }));
}

#[test]
fn what_is_left_after_a_cut_is_synced_again_where_no_sync_covers_it() {
    let mut replica = Replica::following(log(&[]));
    replica.does(received(2, 1, records(1, 2, None, vec![data(0, 1, 1), data(1, 2, 1)])));
    replica.does(begins(3, 2));
    replica.does(Input::VoteStored(vote(2, None)));

    let mut effects = Effects::new();
    replica.core.truncate(Offset(1), &mut effects);
    let generation = LogGeneration(1);
    let (cut, sync) =
        (Effect::Truncate { end: Offset(1), generation }, Effect::Sync { end: Offset(1), generation });
    assert_eq!(effects, vec![cut, sync]);
    replica.does(Input::Flushed { end: Offset(1), generation });
    let mut effects = Effects::new();
    replica.core.truncate(Offset(1), &mut effects);
    assert_eq!(effects.len(), 1);
}

#[test]
fn the_round_of_the_leader_is_echoed_and_kept_through_a_cut() {
    let mut replica = Replica::following(log(&[(1, 2)]));
    let fetched = Fetched::Records { high_watermark: None, round: 3, batches: vec![] };
    let answer = Body::FetchAnswer(FetchAnswer { asked: asked(1, 2), fetched });
    let round_of = |effect: &Effect| {
        let Effect::Send { message, .. } = effect else { return None };
        let Body::Fetch(fetch) = &message.body else { return None };
        Some(fetch.round)
    };
    let echoed = |effects: Vec<Effect>| effects.iter().find_map(round_of);

    assert_eq!(echoed(replica.takes(received(2, 1, answer))), Some(3));
    assert_eq!(echoed(replica.takes(received(2, 1, diverging(1, 3, 0, 0)))), Some(3));
}

#[test]
fn a_vote_that_is_owed_in_an_epoch_that_is_over_is_owed_no_more() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, None), log(&[]));
    let request = VoteRequest {
        request: RequestId(7),
        pre_vote: false,
        voter: key(1),
        last_epoch: None,
        log_end: Offset(0),
    };
    replica.does(received(2, 4, Body::Vote(request)));
    replica.does(begins(3, 5));

    let asked_now = |effect: &Effect| matches!(effect, Effect::Send { message, .. } if matches!(message.body, Body::Fetch(_)));
    let effects = replica.takes(Input::VoteStored(vote(5, None)));
    assert!(matches!(&effects[..], [sent, Effect::Arm(Timer::FetchRetry)] if asked_now(sent)), "{effects:?}");
}

#[test]
fn a_replica_that_is_told_that_it_leads_knows_better() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[]));
    let request = replica.core.last_request.0;
    let fetched = Fetched::Refused { leader: Some(key(1)) };
    let answer = FetchAnswer { asked: asked(1, request), fetched };
    replica.takes(received(2, 4, Body::FetchAnswer(answer)));

    assert_eq!(replica.core.leader(&replica.tenure), None);
    assert_eq!(replica.role(), RoleName::Unattached);
}

#[test]
fn what_is_committed_is_told_once() {
    let mut replica = Replica::following(log(&[(1, 1)]));
    assert!(replica.takes(received(2, 1, records(1, 2, Some(1), vec![]))).contains(&committed(1)));

    assert!(!replica.takes(received(2, 1, records(1, 3, Some(1), vec![]))).contains(&committed(1)));
}

#[test]
fn the_retry_of_a_fetch_ends_with_the_reign_of_whom_it_asked() {
    let mut replica = Replica::following(log(&[]));

    assert!(replica.takes(begins(3, 2)).contains(&Effect::Disarm(Timer::FetchRetry)));
    assert!(!replica.core.hears_leader());
}

#[test]
fn one_fetch_is_under_way_at_a_time() {
    let mut replica = Replica::following(log(&[]));

    assert_eq!(replica.takes(Input::VoteStored(vote(1, None))), vec![]);
}

#[test]
fn a_probe_is_answered_once() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[]));
    let request = replica.core.last_request;
    let answer = || {
        let fetched = Fetched::Refused { leader: None };
        received(2, 4, Body::FetchAnswer(FetchAnswer { asked: asked(1, request.0), fetched }))
    };
    replica.takes(answer());

    assert_eq!(replica.refuses(answer()), Refusal::NotAsked { request });
}
