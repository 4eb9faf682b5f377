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
