//! Changing the voters.

use super::*;

fn change(id: u64, change: VoterChange) -> Input {
    Input::ChangeVoters { id: ProposalId(id), change }
}

/// Replica 1 leads alone, and replica 2 observes at its log's end.
fn observed() -> Replica {
    let mut replica = Replica::leading(&[1]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica
}

#[test]
fn an_added_voter_counts_from_the_append_and_its_change_commits_under_the_new_set() {
    let mut replica = observed();

    let generation = LogGeneration(0);
    let batch = Batch { kind: BatchKind::Voters(set(&[1, 2])), ..data(1, 1, 1) };
    let added = replica.takes(change(5, VoterChange::Add(key(2))));
    assert_eq!(
        added,
        vec![
            Effect::Append { batches: vec![batch], origin: Origin::Control, generation },
            Effect::Sync { end: Offset(2), generation },
        ]
    );
    replica.does(written(2));
    assert_eq!(replica.takes(flushed(2)), vec![]);

    let effects = replica.takes(received(2, 1, Body::Fetch(fetch(2, 2, Some(1)))));

    let done = Commitment { id: ProposalId(5), base_offset: Offset(1), end: Offset(2) };
    assert!(effects.contains(&Effect::ProposalCommitted(done)));
}

#[test]
fn one_change_at_a_time() {
    let mut replica = observed();
    replica.does(received(3, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.does(received(3, 1, Body::Fetch(fetch(2, 1, Some(1)))));
    replica.takes(change(5, VoterChange::Add(key(2))));

    let refusal = replica.refuses(change(6, VoterChange::Add(key(3))));

    let (offset, high_watermark) = (Offset(1), Offset(1));
    assert_eq!(refusal, Refusal::ChangeInProgress { offset, high_watermark });
}

#[test]
fn a_change_waits_for_a_committed_record_of_the_leaders_epoch() {
    let mut replica = Replica::leading(&[1, 2, 3]);

    let refusal = replica.refuses(change(5, VoterChange::Remove(key(2))));

    assert_eq!(refusal, Refusal::NotEstablished { quorum_epoch: QuorumEpoch(1) });
}

#[test]
fn an_observer_that_has_not_caught_up_is_not_made_a_voter() {
    let mut replica = Replica::leading(&[1]);

    let refusal = replica.refuses(change(5, VoterChange::Add(key(2))));

    let (reached, high_watermark) = (None, Offset(1));
    assert_eq!(refusal, Refusal::NotCaughtUp { key: key(2), reached, high_watermark });
    assert_eq!(replica.refuses(change(5, VoterChange::Add(key(1)))), Refusal::AlreadyVoter { voter: key(1) });
    assert_eq!(replica.refuses(change(5, VoterChange::Remove(key(1)))), Refusal::LastVoter { voter: key(1) });
    assert_eq!(replica.refuses(change(5, VoterChange::Remove(key(3)))), Refusal::NotVoter { key: key(3) });
}

#[test]
fn a_leader_that_removes_itself_leads_until_that_is_committed() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.takes(change(5, VoterChange::Remove(key(1))));
    replica.does(written(2));
    replica.does(flushed(2));
    replica.does(received(2, 1, Body::Fetch(fetch(2, 2, Some(1)))));
    assert_eq!(replica.role(), RoleName::Leader);

    let effects = replica.takes(received(3, 1, Body::Fetch(fetch(1, 2, Some(1)))));

    let done = Commitment { id: ProposalId(5), base_offset: Offset(1), end: Offset(2) };
    assert!(effects.contains(&Effect::ProposalCommitted(done)));
    assert!(effects.contains(&Effect::LostLeadership { quorum_epoch: QuorumEpoch(1) }));
    assert_eq!(replica.role(), RoleName::Observer);
}

/// Replica 1, removed by its own record at offset 1, which replica 2 does not have.
fn removed<F: Faults>(faults: F) -> Replica<F> {
    let voters = vec![VoterRecord { offset: Offset(1), voters: set(&[2]) }];
    let found = Recovered { voters, ..recovered(&[1, 2], vote(2, None), log(&[(1, 2)])) };
    Replica::planted(faults, 1, found)
}

#[test]
fn a_replica_that_was_removed_stands_until_that_is_committed_and_does_not_count_itself() {
    let mut replica = removed(Sound);
    assert_eq!(replica.role(), RoleName::Unattached);

    replica.does(Input::Expired(Timer::Election));
    replica.does(received(2, 2, granted(1, 2, true)));
    replica.does(Input::VoteStored(vote(3, Some(1))));
    assert_eq!(replica.role(), RoleName::Candidate);
    replica.does(received(2, 3, granted(1, 3, false)));

    assert!(replica.core.is_leader());
    let mut planted = removed(Planted(Some(Bug::RemovedWaits)));
    assert_eq!(planted.role(), RoleName::Observer);
    assert_eq!(
        planted.refuses(Input::Expired(Timer::Election)),
        Refusal::NotArmed { timer: Timer::Election }
    );
}

#[test]
fn a_replica_that_knows_its_removal_to_be_committed_stands_no_more() {
    let mut replica = removed(Sound);
    replica.does(received(2, 2, Body::BeginQuorum));
    let request = replica.core.waits_for().expect("a fetch").0;
    replica.does(received(2, 2, records(1, request, Some(2), vec![])));

    assert_eq!(replica.role(), RoleName::Observer);
    replica.does(Input::Expired(Timer::FetchTimeout));
    assert_eq!(replica.role(), RoleName::Observer);
}

#[test]
fn a_removal_is_open_while_what_is_committed_ends_before_it() {
    let mut replica = removed(Sound);
    replica.does(received(2, 2, Body::BeginQuorum));
    let request = replica.core.waits_for().expect("a fetch").0;
    replica.does(received(2, 2, records(1, request, Some(1), vec![])));
    assert_eq!(replica.role(), RoleName::Follower);

    replica.does(Input::Expired(Timer::FetchTimeout));
    assert_eq!(replica.role(), RoleName::Prospective);
}

#[test]
fn a_truncated_voters_record_reverts_the_set() {
    let mut history = VoterHistory::new(set(&[1]));
    history.append(Offset(3), set(&[1, 2]));
    assert_eq!(history.latest(), &set(&[1, 2]));
    history.append(Offset(6), set(&[1, 2, 3]));

    history.truncate(Offset(6));
    assert_eq!(history.latest(), &set(&[1, 2]));
    history.truncate(Offset(3));

    assert_eq!(history.latest(), &set(&[1]));
}

#[test]
fn a_set_has_each_node_once_and_so_many_at_most() {
    let of = |ids: &mut dyn Iterator<Item = u32>| VoterSet::new(ids.map(key)).map(|set| set.size());
    assert_eq!(of(&mut (1..=32)), Ok(32));
    assert_eq!(of(&mut (1..=33)), Err(Refusal::BadVoterSet { size: 33 }));
    assert_eq!(of(&mut [1, 2, 1].into_iter()), Err(Refusal::BadVoterSet { size: 3 }));

    let keys = smallvec::SmallVec::from_iter([key(3), key(1)]);
    let read = VoterSet::try_from(keys).unwrap();
    assert_eq!(read.keys(), [key(1), key(3)]);
    let twice = smallvec::SmallVec::from_iter([key(3), key(3)]);
    assert_eq!(VoterSet::try_from(twice), Err(Refusal::BadVoterSet { size: 2 }));
}

#[test]
fn what_a_snapshot_covers_is_the_base_of_the_sets_above_it() {
    let mut history = VoterHistory::new(set(&[1]));
    history.append(Offset(2), set(&[1, 2]));
    history.append(Offset(5), set(&[1, 2, 3]));

    history.trim(Offset(2));
    assert_eq!((history.base(), history.records().len()), (&set(&[1]), 2));
    history.trim(Offset(3));
    assert_eq!((history.base(), history.records().len()), (&set(&[1, 2]), 1));
    assert_eq!(history.at(Offset(5)), &set(&[1, 2]));
    assert_eq!(history.at(Offset(6)), &set(&[1, 2, 3]));
}

#[test]
fn fewer_voters_commit_what_they_hold_at_once() {
    let mut replica = observed();
    replica.takes(change(5, VoterChange::Add(key(2))));
    replica.does(written(2));
    replica.does(flushed(2));
    replica.does(received(2, 1, Body::Fetch(fetch(2, 2, Some(1)))));
    replica.does(Input::Propose { id: ProposalId(6), quorum_epoch: QuorumEpoch(1), count: 1 });
    replica.does(written(3));
    replica.does(flushed(3));
    assert_eq!(replica.core.high_watermark(), Some(Offset(2)));

    assert!(replica.takes(change(7, VoterChange::Remove(key(2)))).contains(&committed(3)));
}

#[test]
fn a_leader_that_removed_itself_leads_until_that_is_committed() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    let asks = |from: u32, request, offset| received(from, 1, Body::Fetch(fetch(request, offset, Some(1))));
    replica.does(asks(2, 1, 1));
    replica.does(Input::Propose { id: ProposalId(6), quorum_epoch: QuorumEpoch(1), count: 1 });
    replica.takes(change(5, VoterChange::Remove(key(1))));
    replica.does(written(3));
    replica.does(flushed(3));
    replica.does(asks(2, 2, 2));
    replica.does(asks(3, 1, 2));
    assert_eq!((replica.core.high_watermark(), replica.core.is_leader()), (Some(Offset(2)), true));

    replica.does(asks(2, 3, 3));
    replica.does(asks(3, 2, 3));
    assert_eq!((replica.core.high_watermark(), replica.core.is_leader()), (Some(Offset(3)), false));
}
