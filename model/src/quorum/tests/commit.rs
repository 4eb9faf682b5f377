//! Counting, and telling what is committed.

use super::*;

fn propose(id: u64, epoch: u32, count: u32) -> Input {
    Input::Propose { id: ProposalId(id), quorum_epoch: QuorumEpoch(epoch), count }
}

fn acknowledged(id: u64, base: u64, end: u64) -> Effect {
    Effect::ProposalCommitted(Commitment { id: ProposalId(id), base_offset: Offset(base), end: Offset(end) })
}

#[test]
fn a_single_voter_commits_what_it_has_flushed_and_not_before() {
    let mut replica = Replica::of(1, &[1], vote(0, None), log(&[]));
    replica.does(Input::VoteStored(vote(1, Some(1))));

    assert_eq!(replica.takes(written(1)), vec![]);
    let established = Effect::LeadershipEstablished { quorum_epoch: QuorumEpoch(1) };
    assert_eq!(replica.takes(flushed(1)), vec![committed(1), established]);

    let generation = LogGeneration(0);
    assert_eq!(
        replica.takes(propose(7, 1, 2)),
        vec![
            Effect::Append {
                batches: vec![data(1, 2, 1)],
                origin: Origin::Proposal(ProposalId(7)),
                generation
            },
            Effect::Sync { end: Offset(3), generation },
        ]
    );
    assert_eq!(replica.takes(flushed(3)), vec![committed(3), acknowledged(7, 1, 3)]);
}

#[test]
fn a_leader_commits_what_a_majority_has_fetched_past() {
    let mut replica = Replica::leading(&[1, 2, 3]);

    let effects = replica.takes(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));

    assert_eq!(
        effects,
        vec![
            Effect::Arm(Timer::CheckQuorum),
            committed(1),
            Effect::LeadershipEstablished { quorum_epoch: QuorumEpoch(1) },
            send(1, 1, 2, records(2, 1, Some(1), vec![])),
        ]
    );
}

#[test]
fn records_of_an_earlier_epoch_alone_commit_nothing() {
    let counts = |bug| {
        let found = recovered(&[1, 2, 3], vote(2, None), log(&[(1, 1), (2, 1)]));
        let mut replica = Replica::planted(Planted(bug), 1, found);
        replica.does(Input::Expired(Timer::Election));
        let request = replica.core.last_request.0;
        replica.does(received(2, 2, granted(1, request, true)));
        replica.does(Input::VoteStored(vote(3, Some(1))));
        replica.does(received(2, 3, granted(1, request + 1, false)));
        replica.does(flushed(3));
        replica.does(received(2, 3, Body::Fetch(fetch(1, 2, Some(2)))));
        replica.core.high_watermark()
    };

    assert_eq!(counts(None), None);
    assert_eq!(counts(Some(Bug::CommitOldEpoch)), Some(Offset(2)));
}

#[test]
fn a_sync_that_commits_is_told_to_the_fetches_that_wait() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.does(propose(1, 1, 1));
    replica.does(written(2));
    let knows = Fetch { high_watermark: Some(Offset(1)), ..fetch(2, 2, Some(1)) };
    assert_eq!(replica.takes(received(2, 1, Body::Fetch(knows))), vec![Effect::Arm(Timer::CheckQuorum)]);

    let told = send(1, 1, 2, records(2, 2, Some(2), vec![]));
    assert_eq!(replica.takes(flushed(2)), vec![committed(2), acknowledged(1, 1, 2), told]);
}

#[test]
fn a_leader_counts_itself_only_up_to_its_flushed_end() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.does(propose(1, 1, 1));
    replica.does(written(2));

    replica.does(received(2, 1, Body::Fetch(fetch(2, 2, Some(1)))));
    assert_eq!(replica.core.high_watermark(), Some(Offset(1)));
    replica.does(flushed(2));
    assert_eq!(replica.core.high_watermark(), Some(Offset(2)));
}

#[test]
fn nothing_is_decided_before_a_record_of_the_own_epoch_is_committed() {
    let mut replica = Replica::leading(&[1, 2, 3]);

    let refusal = replica.refuses(propose(1, 1, 1));

    assert_eq!(refusal, Refusal::NotEstablished { quorum_epoch: QuorumEpoch(1) });
}

#[test]
fn a_decision_of_another_epoch_is_refused() {
    let mut replica = Replica::leading(&[1]);

    let refusal = replica.refuses(propose(1, 2, 1));

    assert_eq!(refusal, Refusal::WrongEpoch { theirs: QuorumEpoch(2), ours: QuorumEpoch(1) });
}

#[test]
fn an_observer_that_fetches_commits_nothing() {
    let reaches = |bug| {
        let mut replica = Replica::planted(Planted(bug), 1, recovered(&[1, 2, 3], vote(0, None), log(&[])));
        replica.does(Input::Expired(Timer::Election));
        replica.does(received(2, 0, granted(1, 2, true)));
        replica.does(Input::VoteStored(vote(1, Some(1))));
        replica.does(received(2, 1, granted(1, 3, false)));
        replica.does(written(1));
        replica.does(flushed(1));
        replica.does(received(4, 1, Body::Fetch(fetch(1, 1, Some(1)))));
        replica.core.high_watermark()
    };

    assert_eq!(reaches(None), None);
    assert_eq!(reaches(Some(Bug::ObserversCount)), Some(Offset(1)));
}

#[test]
fn a_proposal_without_a_record_is_refused() {
    let mut replica = Replica::leading(&[1]);

    assert_eq!(replica.refuses(propose(1, 1, 0)), Refusal::EmptyProposal);
}

#[test]
fn a_completion_of_another_log_counts_for_nothing() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    let (end, generation) = (Offset(1), LogGeneration(7));

    assert_eq!(replica.refuses(Input::Written { end, generation }), Refusal::StaleCompletion { end });
    assert_eq!(replica.refuses(Input::Flushed { end, generation }), Refusal::StaleCompletion { end });
}

#[test]
fn a_leader_serves_what_is_written_before_it_is_synced() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    let next = Fetch { high_watermark: Some(Offset(1)), ..fetch(2, 1, Some(1)) };
    replica.does(received(2, 1, Body::Fetch(next)));
    replica.does(propose(1, 1, 1));

    let message = message(1, 1, records(2, 2, Some(1), vec![]));
    let served = Effect::SendRecords { to: NodeId(2), message, from: Offset(1), end: Offset(2) };
    assert_eq!(replica.takes(written(2)), vec![served]);
}

#[test]
fn so_many_wait_and_no_more() {
    let mut replica = Replica::leading(&[1]);
    let (base_offset, end) = (Offset(1), Offset(1));
    let fill = |replica: &mut Replica, count: u32| {
        if let Role::Leader(leadership) = &mut replica.core.role {
            let waiting = state::Waiting { id: ProposalId(1), base_offset, end };
            leadership.proposals.clear();
            leadership.proposals.extend((0..count).map(|_| waiting.clone()));
        }
    };
    let most = super::super::commit::WAITING_MAX;
    fill(&mut replica, most);
    let overloaded = Refusal::Overloaded { waiting: most };
    assert_eq!(replica.refuses(propose(7, 1, 1)), overloaded);
    assert_eq!(replica.refuses(Input::Read { id: ReadId(7) }), overloaded);
    let change = VoterChange::Remove(key(1));
    assert_eq!(replica.refuses(Input::ChangeVoters { id: ProposalId(7), change }), overloaded);

    fill(&mut replica, most - 1);
    assert!(!replica.takes(propose(7, 1, 1)).is_empty());
}

#[test]
fn what_is_synced_is_served_though_nobody_said_that_it_is_written() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    let next = Fetch { high_watermark: Some(Offset(1)), ..fetch(2, 1, Some(1)) };
    replica.does(received(2, 1, Body::Fetch(next)));
    replica.does(propose(1, 1, 1));

    let message = message(1, 1, records(2, 2, Some(1), vec![]));
    let served = Effect::SendRecords { to: NodeId(2), message, from: Offset(1), end: Offset(2) };
    assert_eq!(replica.takes(flushed(2)), vec![served]);
}
