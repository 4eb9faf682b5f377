//! Snapshots.

use super::*;

fn snapshot(end: u64, epoch: u32) -> SnapshotId {
    SnapshotId { end: Offset(end), quorum_epoch: QuorumEpoch(epoch) }
}

/// Replica 1 leads alone, with snapshots up to 1 and 2, and a log from the first one on.
fn trimmed() -> Replica {
    let mut replica = Replica::leading(&[1]);
    replica.does(Input::Propose { id: ProposalId(1), quorum_epoch: QuorumEpoch(1), count: 2 });
    replica.does(written(3));
    replica.does(flushed(3));
    assert_eq!(replica.takes(Input::SnapshotTaken { id: snapshot(1, 1) }), vec![]);
    let effects = replica.takes(Input::SnapshotTaken { id: snapshot(2, 1) });
    assert_eq!(effects, vec![Effect::TrimLog { start: Offset(1) }]);
    replica
}

#[test]
fn a_replica_that_has_just_begun_from_the_snapshot_before_the_latest_finds_the_log_from_there() {
    let mut replica = trimmed();
    assert_eq!(replica.core.oldest_snapshot(), Some(snapshot(1, 1)));

    let fetched = replica.takes(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));

    let sent = fetched.iter().any(|effect| matches!(effect, Effect::SendRecords { from: Offset(1), .. }));
    assert!(sent, "{fetched:?}");
}

#[test]
fn an_empty_replica_is_spared_the_log_that_a_snapshot_stands_for() {
    let mut replica = Replica::leading(&[1]);
    replica.does(written(1));
    replica.does(flushed(1));
    replica.does(Input::SnapshotTaken { id: snapshot(1, 1) });

    let effects = replica.takes(received(2, 1, Body::Fetch(fetch(1, 0, None))));

    let told =
        Body::FetchAnswer(FetchAnswer { asked: asked(2, 1), fetched: Fetched::Snapshot(snapshot(1, 1)) });
    assert!(effects.contains(&send(1, 1, 2, told)), "{effects:?}");
    assert_eq!(replica.core.log().start(), Offset(0));
}

#[test]
fn a_replica_below_the_log_start_is_sent_to_the_snapshot() {
    let mut replica = trimmed();

    let fetched = Fetched::Snapshot(snapshot(2, 1));
    let told = Body::FetchAnswer(FetchAnswer { asked: asked(2, 1), fetched });
    assert_eq!(
        replica.takes(received(2, 1, Body::Fetch(fetch(1, 0, None)))),
        vec![Effect::Arm(Timer::CheckQuorum), send(1, 1, 2, told)]
    );
}

/// Replica 1 leads alone in epoch 5, with a snapshot up to 4 in epoch 2 and one up to 2 in epoch 1, where its log begins.
fn two_snapshots() -> Replica {
    let mut epochs = EpochHistory::default();
    epochs.assign(QuorumEpoch(2), Offset(2));
    epochs.assign(QuorumEpoch(3), Offset(4));
    let shape = LogShape::recovered(Offset(2), Offset(5), Offset(5), epochs);
    let mut found = recovered(&[1], vote(4, None), shape);
    (found.snapshot, found.older) = (Some((snapshot(4, 2), set(&[1]))), Some(snapshot(2, 1)));
    let mut replica = Replica::planted(Sound, 1, found);
    replica.does(Input::VoteStored(vote(5, Some(1))));
    replica.does(written(6));
    assert!(replica.core.is_leader());
    assert_eq!(replica.core.snapshot(), Some(snapshot(4, 2)));
    replica
}

#[test]
fn only_a_log_that_ends_before_what_is_here_or_parts_there_is_sent_to_the_snapshot() {
    let answered = |offset, last_epoch| {
        let mut replica = two_snapshots();
        let fetch = Fetch { high_watermark: Some(Offset(4)), ..fetch(1, offset, Some(last_epoch)) };
        replica.takes(received(2, 5, Body::Fetch(fetch))).pop().expect("an answer")
    };
    let sent = |effect: Effect| {
        if let Effect::SendRecords { from, end, .. } = effect {
            return Ok((from, end));
        }
        if let Effect::Send { message: Message { body: Body::FetchAnswer(answer), .. }, .. } = effect {
            return Err(Some(answer.fetched));
        }
        Err(None)
    };

    let latest = Err(Some(Fetched::Snapshot(snapshot(4, 2))));
    assert_eq!(sent(answered(1, 1)), latest);
    assert_eq!(sent(answered(2, 0)), latest);
    assert_eq!(sent(answered(2, 1)), Ok((Offset(2), Offset(6))));
    assert_eq!(sent(answered(2, 2)), latest, "before the log's start is a record of epoch 1");
    assert_eq!(sent(answered(4, 2)), Ok((Offset(4), Offset(6))));
    assert_eq!(sent(answered(5, 3)), Ok((Offset(5), Offset(6))));
}

#[test]
fn a_snapshot_takes_the_voters_below_it_out_of_the_log() {
    let mut replica = Replica::leading(&[1]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    let add = VoterChange::Add(key(2));
    replica.takes(Input::ChangeVoters { id: ProposalId(5), change: add });
    replica.does(flushed(2));
    replica.does(received(2, 1, Body::Fetch(fetch(2, 2, Some(1)))));
    assert_eq!(replica.core.voters().records().len(), 1);

    replica.takes(Input::SnapshotTaken { id: snapshot(2, 1) });
    assert_eq!(replica.core.voters(), &VoterHistory::new(set(&[1, 2])));
}

#[test]
fn only_a_committed_prefix_of_this_log_is_a_snapshot() {
    let mut replica = trimmed();

    for id in [snapshot(2, 1), snapshot(4, 1), snapshot(3, 0)] {
        let (log_start, high_watermark) = (Offset(1), Some(Offset(3)));
        let refusal = replica.refuses(Input::SnapshotTaken { id });
        assert_eq!(refusal, Refusal::BadSnapshot { id, log_start, high_watermark });
    }
}

#[test]
fn an_installed_snapshot_begins_the_log_anew_with_its_voters() {
    let mut replica = Replica::following(log(&[]));
    let id = snapshot(5, 1);
    let fetched = Fetched::Snapshot(id);
    let offered = Body::FetchAnswer(FetchAnswer { asked: asked(1, 2), fetched });
    assert_eq!(
        replica.takes(received(2, 1, offered)),
        vec![
            Effect::Disarm(Timer::FetchRetry),
            Effect::Disarm(Timer::FetchTimeout),
            Effect::FetchSnapshot { from: NodeId(2), id },
        ]
    );

    let next = Fetch { high_watermark: Some(Offset(5)), ..fetch(3, 5, Some(1)) };
    assert_eq!(
        replica.takes(Input::SnapshotInstalled { id, voters: set(&[1, 2]) }),
        vec![
            Effect::Arm(Timer::FetchTimeout),
            Effect::RestartLog { start: Offset(5), generation: LogGeneration(1) },
            committed(5),
            send(1, 1, 2, Body::Fetch(next)),
            Effect::Arm(Timer::FetchRetry),
        ]
    );
    assert_eq!(replica.core.voters().latest(), &set(&[1, 2]));
}

#[test]
fn a_snapshot_is_given_up_when_the_leader_changes() {
    let mut replica = Replica::following(log(&[]));
    let id = snapshot(5, 1);
    let offered = FetchAnswer { asked: asked(1, 2), fetched: Fetched::Snapshot(id) };
    replica.does(received(2, 1, Body::FetchAnswer(offered)));

    let effects = replica.takes(received(3, 2, Body::BeginQuorum));

    assert!(effects.contains(&Effect::AbandonSnapshot { id }));
    let refusal = Refusal::BadSnapshot { id, log_start: Offset(0), high_watermark: None };
    assert_eq!(replica.refuses(Input::SnapshotInstalled { id, voters: set(&[1]) }), refusal);
}

/// Replica 1 follows replica 2, and is to begin from this snapshot.
fn offered(replica: &Replica, id: SnapshotId) -> Input {
    let request = replica.core.last_request.0;
    let fetched = Fetched::Snapshot(id);
    received(2, 1, Body::FetchAnswer(FetchAnswer { asked: asked(1, request), fetched }))
}

#[test]
fn a_snapshot_that_was_not_to_be_had_is_asked_for_again() {
    let mut replica = Replica::following(log(&[]));
    let id = snapshot(5, 1);
    let offer = offered(&replica, id);
    replica.does(offer);
    assert_eq!(
        replica.refuses(Input::Expired(Timer::FetchRetry)),
        Refusal::NotArmed { timer: Timer::FetchRetry }
    );

    let again = vec![Effect::Arm(Timer::FetchTimeout), Effect::Arm(Timer::FetchRetry)];
    assert_eq!(replica.takes(Input::SnapshotFailed { id }), again);
    let refusal = Refusal::BadSnapshot { id, log_start: Offset(0), high_watermark: None };
    assert_eq!(replica.refuses(Input::SnapshotFailed { id }), refusal);
    assert_eq!(replica.takes(Input::Expired(Timer::FetchRetry)).len(), 2);
}

#[test]
fn a_snapshot_of_less_than_is_here_or_of_a_later_epoch_is_not_begun_from() {
    let offer = |id| {
        let mut replica = Replica::following(log(&[(1, 3)]));
        replica.does(received(2, 1, records(1, 2, Some(3), vec![])));
        let offer = offered(&replica, id);
        let mut effects = Effects::new();
        replica.core.step(&replica.tenure, offer, &mut effects).is_ok()
    };

    assert!(offer(snapshot(3, 1)));
    assert!(offer(snapshot(4, 1)));
    assert!(offer(snapshot(4, 0)));
    assert!(!offer(snapshot(0, 1)));
    assert!(!offer(snapshot(2, 1)));
    assert!(!offer(snapshot(4, 2)));
}

#[test]
fn a_snapshot_that_is_here_is_not_begun_from_again() {
    let mut replica = Replica::following(log(&[(1, 3)]));
    replica.does(received(2, 1, records(1, 2, Some(3), vec![])));
    replica.does(Input::SnapshotTaken { id: snapshot(3, 1) });

    let offer = offered(&replica, snapshot(3, 1));
    let (log_start, high_watermark) = (Offset(0), Some(Offset(3)));
    let refusal = Refusal::BadSnapshot { id: snapshot(3, 1), log_start, high_watermark };
    assert_eq!(replica.refuses(offer), refusal);
}

#[test]
fn a_log_that_begins_at_the_snapshot_before_the_latest_is_not_trimmed_again() {
    let mut replica = Replica::following(log(&[]));
    let offer = offered(&replica, snapshot(5, 1));
    replica.does(offer);
    replica.does(Input::SnapshotInstalled { id: snapshot(5, 1), voters: set(&[1, 2, 3]) });
    let request = replica.core.last_request.0;
    replica.takes(received(2, 1, records(1, request, Some(6), vec![data(5, 1, 1)])));
    replica.takes(Input::Flushed { end: Offset(6), generation: LogGeneration(1) });

    assert_eq!(replica.takes(Input::SnapshotTaken { id: snapshot(6, 1) }), vec![]);
}

#[test]
fn a_replica_that_reads_a_snapshot_lives() {
    let mut replica = Replica::leading(&[1, 2, 3, 4, 5]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.does(received(3, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    assert_eq!(replica.core.heard_voters(&replica.tenure), Some(1));

    assert_eq!(replica.takes(Input::SnapshotServed { to: key(2) }), vec![]);
    assert_eq!(replica.core.heard_voters(&replica.tenure), Some(2));
    assert_eq!(replica.takes(Input::SnapshotServed { to: key(3) }), vec![Effect::Arm(Timer::CheckQuorum)]);
    let mut follower = Replica::following(log(&[]));
    let refusal = follower.refuses(Input::SnapshotServed { to: key(2) });
    assert_eq!(refusal, Refusal::NotLeader { leader: Some(key(2)), quorum_epoch: QuorumEpoch(1) });
}

#[test]
fn a_log_that_begins_anew_has_no_snapshot_before_its_own() {
    let mut replica = Replica::following(log(&[(1, 3)]));
    replica.does(received(2, 1, records(1, 2, Some(3), vec![])));
    replica.does(Input::SnapshotTaken { id: snapshot(1, 1) });
    replica.does(Input::SnapshotTaken { id: snapshot(2, 1) });
    assert_eq!(replica.core.oldest_snapshot(), Some(snapshot(1, 1)));
    let id = snapshot(9, 1);
    let offer = offered(&replica, id);
    replica.does(offer);
    replica.does(Input::SnapshotInstalled { id, voters: set(&[1, 2, 3]) });

    assert_eq!(replica.core.oldest_snapshot(), Some(id));
}
