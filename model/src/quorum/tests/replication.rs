//! A leader's answers to fetches.

use super::*;
use crate::log::EpochEnd;

#[test]
fn a_fetch_that_ends_where_the_log_ends_waits_for_news() {
    let mut replica = Replica::leading(&[1, 2, 3, 4, 5]);

    assert_eq!(replica.takes(received(2, 1, Body::Fetch(fetch(1, 1, Some(1))))), vec![]);
    let idle = replica.takes(Input::Expired(Timer::LongPoll));

    assert_eq!(idle, vec![send(1, 1, 2, records(2, 1, None, vec![])), Effect::Arm(Timer::LongPoll)]);
}

#[test]
fn a_fetch_behind_the_log_gets_what_is_written() {
    let mut replica = Replica::leading(&[1, 2, 3, 4, 5]);

    let message = message(1, 1, records(2, 1, None, vec![]));
    assert_eq!(
        replica.takes(received(2, 1, Body::Fetch(fetch(1, 0, None)))),
        vec![Effect::SendRecords { to: NodeId(2), message, from: Offset(0), end: Offset(1) }]
    );
}

#[test]
fn a_diverging_fetch_is_told_where_and_acknowledges_nothing() {
    let parts = |bug| {
        let found = recovered(&[1, 2, 3], vote(3, None), log(&[(1, 2), (3, 1)]));
        let mut replica = Replica::planted(Planted(bug), 1, found);
        replica.does(Input::Expired(Timer::Election));
        let request = replica.core.last_request.0;
        replica.does(received(2, 3, granted(1, request, true)));
        replica.does(Input::VoteStored(vote(4, Some(1))));
        replica.does(received(2, 4, granted(1, request + 1, false)));
        replica.does(written(4));
        let effects = replica.takes(received(2, 4, Body::Fetch(fetch(1, 4, Some(2)))));
        (effects, replica.core.progress().next().and_then(|progress| progress.reached))
    };
    let fetched = Fetched::Diverging(EpochEnd { epoch: QuorumEpoch(1), end: Offset(2) });
    let told = Body::FetchAnswer(FetchAnswer { asked: asked(2, 1), fetched });

    assert_eq!(parts(None), (vec![Effect::Arm(Timer::CheckQuorum), send(1, 4, 2, told)], None));
    assert_eq!(parts(Some(Bug::DivergingCounts)).1, Some(Offset(4)));
}

#[test]
fn a_fetch_of_another_epoch_is_told_the_leader_and_changes_nothing() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    let before = replica.core.clone();

    let fetched = Fetched::Refused { leader: Some(key(1)) };
    let told = Body::FetchAnswer(FetchAnswer { asked: asked(2, 1), fetched });
    assert_eq!(replica.takes(received(2, 0, Body::Fetch(fetch(1, 1, None)))), vec![send(1, 1, 2, told)]);
    assert_eq!(replica.core, before);
}

#[test]
fn a_fetch_of_a_later_epoch_ends_leadership() {
    let mut replica = Replica::leading(&[1, 2, 3]);

    assert_eq!(
        replica.takes(received(2, 2, Body::Fetch(fetch(1, 1, Some(1))))),
        vec![
            Effect::StoreVote(vote(2, None)),
            Effect::LostLeadership { quorum_epoch: QuorumEpoch(1) },
            Effect::Disarm(Timer::CheckQuorum),
            Effect::Disarm(Timer::LongPoll),
            Effect::Disarm(Timer::Announce),
            Effect::Arm(Timer::Election),
            Effect::Arm(Timer::Probe),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(2), leader: None },
        ]
    );
}

#[test]
fn an_overtaken_fetch_is_refused() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(5, 1, Some(1)))));

    let refusal = replica.refuses(received(2, 1, Body::Fetch(fetch(4, 0, None))));

    assert_eq!(refusal, Refusal::StaleRequest { request: RequestId(4) });
}

#[test]
fn a_leader_that_no_majority_fetches_from_resigns() {
    let mut replica = Replica::leading(&[1, 2, 3]);

    assert_eq!(
        replica.takes(Input::Expired(Timer::CheckQuorum)),
        vec![
            Effect::LostLeadership { quorum_epoch: QuorumEpoch(1) },
            Effect::Disarm(Timer::CheckQuorum),
            Effect::Disarm(Timer::LongPoll),
            Effect::Disarm(Timer::Announce),
            Effect::Arm(Timer::Election),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(1), leader: None },
            send(1, 1, 2, Body::EndQuorum { successors: vec![key(2), key(3)] }),
            send(1, 1, 3, Body::EndQuorum { successors: vec![key(2), key(3)] }),
        ]
    );
    assert_eq!(replica.role(), RoleName::Resigned);
}

#[test]
fn a_single_voter_needs_nobody_to_fetch() {
    let mut replica = Replica::leading(&[1]);

    let effects = replica.takes(Input::Expired(Timer::CheckQuorum));

    assert_eq!(effects, vec![Effect::Arm(Timer::CheckQuorum)]);
}

/// Replica 1 of three leads; its first record is committed with replica 2, whose next fetch is request 2.
fn established() -> Replica {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica
}

/// A fetch of a replica that knows the high watermark 1.
fn knowing(request: u64, offset: u64) -> Body {
    Body::Fetch(Fetch { high_watermark: Some(Offset(1)), ..fetch(request, offset, Some(1)) })
}

#[test]
fn a_repeated_and_an_overtaken_fetch_are_refused() {
    let mut replica = established();
    replica.does(received(2, 1, knowing(2, 1)));

    for request in [1, 2] {
        let stale = Refusal::StaleRequest { request: RequestId(request) };
        assert_eq!(replica.refuses(received(2, 1, knowing(request, 1))), stale);
    }
}

#[test]
fn a_fetch_that_parts_ends_the_one_that_waited() {
    let mut replica = established();
    replica.does(received(2, 1, knowing(2, 1)));
    replica.does(received(2, 1, Body::Fetch(fetch(3, 1, Some(0)))));

    assert_eq!(replica.takes(Input::Expired(Timer::LongPoll)), vec![Effect::Arm(Timer::LongPoll)]);
}

#[test]
fn who_was_heard_is_counted_anew_in_each_interval() {
    let mut replica = established();
    assert_eq!(replica.core.heard_voters(&replica.tenure), Some(1));

    replica.does(Input::Expired(Timer::CheckQuorum));
    assert_ne!(replica.role(), RoleName::Leader);
}

/// Replica 1 of four, in an epoch in which 2 and 3 have fetched its record, and 2 once more since its timer was armed, then
/// removes 4: with 2 it is a majority now.
fn heard_before_a_removal<F: Faults>(faults: F) -> Replica<F> {
    let mut replica = Replica::leads(faults, &[1, 2, 3, 4]);
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.does(received(3, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica.does(received(2, 1, knowing(2, 1)));
    replica.does(Input::ChangeVoters { id: ProposalId(1), change: VoterChange::Remove(key(4)) });
    replica
}

#[test]
fn who_was_heard_before_the_timer_was_armed_again_counts_no_more_when_fewer_are_a_majority() {
    let mut replica = heard_before_a_removal(Sound);

    let effects = replica.takes(Input::Expired(Timer::CheckQuorum));
    assert_eq!(effects, vec![Effect::Arm(Timer::CheckQuorum)]);
    replica.does(Input::Expired(Timer::CheckQuorum));
    assert_eq!(replica.role(), RoleName::Resigned);
}

#[test]
fn a_planted_leader_that_counts_for_good_whom_it_heard_once_never_resigns() {
    let mut replica = heard_before_a_removal(Planted(Some(Bug::HeardForGood)));

    for _ in 0..3 {
        let effects = replica.takes(Input::Expired(Timer::CheckQuorum));
        assert_eq!(effects, vec![Effect::Arm(Timer::CheckQuorum)]);
    }
}

#[test]
fn a_replica_has_caught_up_once_it_reached_the_watermark_of_this_epoch_and_stays_so() {
    let add = |fetches: &[u64]| {
        let mut replica = established();
        for (request, offset) in (1..).zip(fetches) {
            let last_epoch = (*offset > 0).then_some(1);
            replica.does(received(4, 1, Body::Fetch(fetch(request, *offset, last_epoch))));
        }
        let change = VoterChange::Add(key(4));
        let mut effects = Effects::new();
        replica.core.step(&replica.tenure, Input::ChangeVoters { id: ProposalId(1), change }, &mut effects)
    };
    let behind = |reached: Option<u64>| {
        let reached = reached.map(Offset);
        Err(Refusal::NotCaughtUp { key: key(4), reached, high_watermark: Offset(1) })
    };

    assert_eq!(add(&[]), behind(None));
    assert_eq!(add(&[0]), behind(Some(0)));
    assert_eq!(add(&[1]), Ok(()));
    assert_eq!(add(&[1, 1]), Ok(()));
    assert_eq!(add(&[1, 0]), Ok(()));
}

#[test]
fn a_fetch_before_the_leader_is_established_shows_no_catching_up() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(4, 1, Body::Fetch(fetch(1, 0, None))));
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));

    let change = VoterChange::Add(key(4));
    let refusal = replica.refuses(Input::ChangeVoters { id: ProposalId(1), change });
    let (reached, high_watermark) = (Some(Offset(0)), Offset(1));
    assert_eq!(refusal, Refusal::NotCaughtUp { key: key(4), reached, high_watermark });
}

#[test]
fn a_leader_keeps_count_of_so_many_replicas_and_no_more() {
    let mut replica = established();
    let most = super::super::replication::REPLICAS_MAX;
    let known = replica.core.progress().count();
    if let Role::Leader(leadership) = &mut replica.core.role {
        let first = leadership.replicas.first().expect("a replica has fetched").clone();
        let others = (10..).take(usize::try_from(most).unwrap() - known - 1);
        leadership.replicas.extend(others.map(|id| state::Progress { key: key(id), ..first.clone() }));
    }
    replica.takes(received(4, 1, Body::Fetch(fetch(1, 1, Some(1)))));

    let overloaded = Refusal::Overloaded { waiting: most };
    assert_eq!(replica.refuses(received(5, 1, Body::Fetch(fetch(1, 1, Some(1))))), overloaded);
    replica.takes(received(2, 1, knowing(2, 1)));
}

#[test]
fn a_leader_tells_voters_that_do_not_fetch_again_and_again() {
    let mut replica = established();
    replica.does(received(2, 1, knowing(2, 1)));

    let told = vec![send(1, 1, 3, Body::BeginQuorum), Effect::Arm(Timer::Announce)];
    assert_eq!(replica.takes(Input::Expired(Timer::Announce)), told);
}

#[test]
fn a_leader_that_resigns_names_the_voter_that_has_most_first() {
    let mut replica = Replica::leading(&[1, 2, 3]);
    replica.does(received(3, 1, Body::Fetch(fetch(1, 1, Some(1)))));

    let successors = vec![key(3), key(2)];
    let told = Body::EndQuorum { successors };
    let effects = replica.takes(Input::Resign);
    assert_eq!(effects[effects.len() - 2..], [send(1, 1, 3, told.clone()), send(1, 1, 2, told)]);
    assert_eq!(replica.role(), RoleName::Resigned);
    let not_leader = Refusal::NotLeader { leader: None, quorum_epoch: QuorumEpoch(1) };
    assert_eq!(replica.refuses(Input::Resign), not_leader);
}
