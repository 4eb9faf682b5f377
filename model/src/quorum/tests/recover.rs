//! Coming back.

use super::*;

fn comes_back<F: Faults>(faults: F, found: Recovered) -> (Replica<F>, Vec<Effect>) {
    let tenure = Tenure { key: key(1), incarnation: IncarnationId(1) };
    let mut effects = Effects::new();
    let core = Quorum::recover(&tenure, faults, found, &mut effects);
    (Replica { tenure, core }, effects)
}

#[test]
fn a_leader_comes_back_resigned_in_its_epoch() {
    let (replica, effects) = comes_back(Sound, recovered(&[1, 2, 3], vote(4, Some(1)), log(&[(4, 1)])));

    assert_eq!(replica.role(), RoleName::Resigned);
    assert_eq!(effects, vec![Effect::Disarm(Timer::Probe), Effect::Arm(Timer::Election)]);
}

#[test]
fn a_voter_comes_back_with_its_vote_and_asks_who_leads() {
    let (replica, effects) = comes_back(Sound, recovered(&[1, 2, 3], vote(4, Some(2)), log(&[])));

    assert_eq!(replica.core.vote(), vote(4, Some(2)));
    assert_eq!(
        effects,
        vec![
            Effect::Arm(Timer::Election),
            Effect::Arm(Timer::Probe),
            Effect::Arm(Timer::Probe),
            send(1, 4, 2, Body::Fetch(fetch(1, 0, None))),
        ]
    );
}

#[test]
fn an_unflushed_tail_is_synced_before_it_is_acknowledged() {
    let mut epochs = EpochHistory::default();
    epochs.assign(QuorumEpoch(1), Offset(0));
    let tail = LogShape::recovered(Offset(0), Offset(1), Offset(2), epochs);
    let (_, effects) = comes_back(Sound, recovered(&[1, 2, 3], vote(1, None), tail));

    assert_eq!(
        effects,
        vec![
            Effect::Sync { end: Offset(2), generation: LogGeneration(0) },
            Effect::Arm(Timer::Election),
            Effect::Arm(Timer::Probe),
            Effect::Arm(Timer::Probe),
        ]
    );
}

#[test]
fn a_log_that_its_snapshot_overtook_begins_anew() {
    let id = SnapshotId { end: Offset(7), quorum_epoch: QuorumEpoch(2) };
    let mut found = recovered(&[1, 2, 3], vote(2, None), log(&[(1, 3)]));
    found.snapshot = Some((id, set(&[1, 2])));
    let (replica, effects) = comes_back(Sound, found);

    assert_eq!((replica.core.log().start(), replica.core.log().end()), (Offset(7), Offset(7)));
    assert_eq!(replica.core.voters().latest(), &set(&[1, 2]));
    let restart = Effect::RestartLog { start: Offset(7), generation: LogGeneration(1) };
    assert_eq!(effects.first(), Some(&restart));
    assert_eq!(effects.get(1), Some(&committed(7)));
}

#[test]
fn a_log_comes_back_from_the_snapshot_before_the_latest_on_as_far_as_both_are_there() {
    let snapshot = |end, epoch| SnapshotId { end: Offset(end), quorum_epoch: QuorumEpoch(epoch) };
    let start_of = |begin: u64, older| {
        let mut epochs = EpochHistory::default();
        epochs.assign(QuorumEpoch(2), Offset(begin));
        let mut found = recovered(&[1, 2, 3], vote(3, None), LogShape::default());
        found.log = LogShape::recovered(Offset(begin), Offset(9), Offset(9), epochs);
        (found.snapshot, found.older) = (Some((snapshot(7, 2), set(&[1, 2, 3]))), older);
        let core = comes_back(Sound, found).0.core;
        (core.log().start(), core.oldest_snapshot())
    };

    let (latest, older) = (snapshot(7, 2), snapshot(5, 2));
    assert_eq!(start_of(3, Some(older)), (Offset(5), Some(older)));
    assert_eq!(start_of(3, Some(snapshot(5, 1))), (Offset(7), Some(latest)));
    assert_eq!(start_of(3, None), (Offset(7), Some(latest)));
    assert_eq!(start_of(6, Some(older)), (Offset(7), Some(latest)));
    assert_eq!(start_of(0, None), (Offset(0), Some(latest)));
    assert_eq!(start_of(0, Some(latest)), (Offset(0), Some(latest)));
}

#[test]
fn what_is_in_a_snapshot_is_committed_when_the_log_goes_on_from_it_too() {
    let mut found = recovered(&[1, 2, 3], vote(2, None), log(&[(1, 3)]));
    found.snapshot = Some((SnapshotId { end: Offset(2), quorum_epoch: QuorumEpoch(1) }, set(&[1, 2, 3])));
    let (replica, effects) = comes_back(Sound, found);

    assert_eq!(replica.core.high_watermark(), Some(Offset(2)));
    assert_eq!(effects.first(), Some(&committed(2)));
}

#[test]
fn a_tail_of_an_older_epoch_that_begins_where_the_snapshot_ends_is_no_continuation_of_it() {
    let tail_of = |epoch: u32| {
        let mut epochs = EpochHistory::default();
        epochs.assign(QuorumEpoch(epoch), Offset(7));
        let mut found = recovered(&[1, 2, 3], vote(3, None), LogShape::default());
        found.log = LogShape::recovered(Offset(7), Offset(9), Offset(9), epochs);
        found.snapshot = Some((SnapshotId { end: Offset(7), quorum_epoch: QuorumEpoch(2) }, set(&[1, 2, 3])));
        comes_back(Sound, found).0.core.log().end()
    };

    assert_eq!([1, 2, 3].map(tail_of), [Offset(7), Offset(9), Offset(9)]);
}

#[test]
fn what_a_planted_bug_forgets_is_forgotten() {
    let found = || recovered(&[1, 2, 3], vote(4, Some(2)), log(&[(3, 1)]));
    let vote_after = |bug| comes_back(Planted(Some(bug)), found()).0.core.vote();

    assert_eq!(vote_after(Bug::VoteForgotten), vote(4, None));
    assert_eq!(vote_after(Bug::EpochForgotten), vote(3, None));
}

#[test]
fn voters_in_the_log_count_and_those_below_the_snapshot_are_its_base() {
    let mut found = recovered(&[1, 2, 3], vote(2, None), log(&[(1, 9)]));
    let record = |offset, ids: &[u32]| VoterRecord { offset: Offset(offset), voters: set(ids) };
    found.voters = vec![record(2, &[1, 2]), record(5, &[1, 2, 4])];
    let history = |found| comes_back(Sound, found).0.core.voters().clone();
    assert_eq!(history(found.clone()).latest(), &set(&[1, 2, 4]));
    assert_eq!(history(found.clone()).records().len(), 2);

    found.snapshot = Some((SnapshotId { end: Offset(4), quorum_epoch: QuorumEpoch(1) }, set(&[1, 2])));
    let trimmed = history(found);
    assert_eq!((trimmed.base(), trimmed.records().len()), (&set(&[1, 2]), 1));
}

#[test]
fn a_disk_that_lacks_what_was_durable_is_no_replica_any_more() {
    assert!(Quorum::may_start(Sound, false));
    assert!(!Quorum::may_start(Sound, true));
}

#[test]
fn what_is_told_of_a_replica_is_what_it_has() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    assert_eq!(replica.core.stored(), vote(1, Some(1)));
    assert!(!replica.core.is_established());
    let told = replica.takes(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    assert!(replica.core.is_established());
    let ends: Vec<Offset> = told
        .iter()
        .filter_map(
            |effect| if let Effect::Committed(end) = effect { Some(end.high_watermark()) } else { None },
        )
        .collect();
    assert_eq!(ends, [Offset(1)]);
}

#[test]
fn a_token_tells_what_is_committed_and_from_where_a_read_is_good() {
    let proposed = Commitment { id: ProposalId(7), base_offset: Offset(3), end: Offset(5) };
    assert_eq!(
        (proposed.id(), proposed.base_offset(), proposed.end()),
        (ProposalId(7), Offset(3), Offset(5))
    );
    let read = ReadPoint { id: ReadId(2), offset: Offset(4) };
    assert_eq!((read.id(), read.offset()), (ReadId(2), Offset(4)));
}
