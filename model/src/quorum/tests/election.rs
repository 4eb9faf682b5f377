//! Votes, pre-votes and winning.

use super::*;

fn ask(request: u64, pre_vote: bool, last_epoch: Option<u32>, log_end: u64) -> Body {
    Body::Vote(VoteRequest {
        request: RequestId(request),
        pre_vote,
        voter: key(1),
        last_epoch: last_epoch.map(QuorumEpoch),
        log_end: Offset(log_end),
    })
}

fn answer(to: u32, request: u64, pre_vote: bool, granted: bool) -> Body {
    Body::VoteAnswer(VoteAnswer { asked: asked(to, request), pre_vote, granted, leader: None })
}

fn canvass(epoch: u32, request: u64, pre_vote: bool, to: u32) -> Effect {
    let request = VoteRequest {
        request: RequestId(request),
        pre_vote,
        voter: key(to),
        last_epoch: None,
        log_end: Offset(0),
    };
    send(1, epoch, to, Body::Vote(request))
}

#[test]
fn an_election_timeout_asks_for_pre_votes_and_stores_nothing() {
    let mut replica = Replica::fresh();

    assert_eq!(
        replica.takes(Input::Expired(Timer::Election)),
        vec![
            Effect::Disarm(Timer::Probe),
            Effect::Arm(Timer::Election),
            canvass(0, 2, true, 2),
            canvass(0, 2, true, 3),
        ]
    );
    assert_eq!(replica.role(), RoleName::Prospective);
}

#[test]
fn a_candidate_asks_for_votes_only_once_its_own_is_stored() {
    let mut replica = Replica::fresh();
    replica.does(Input::Expired(Timer::Election));

    assert_eq!(
        replica.takes(received(2, 0, granted(1, 2, true))),
        vec![
            Effect::StoreVote(vote(1, Some(1))),
            Effect::Arm(Timer::Election),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(1), leader: None },
        ]
    );
    assert_eq!(
        replica.takes(Input::VoteStored(vote(1, Some(1)))),
        vec![canvass(1, 3, false, 2), canvass(1, 3, false, 3)]
    );
}

#[test]
fn a_majority_makes_a_leader_that_writes_a_record_of_its_epoch_at_once() {
    let mut replica = Replica::fresh();
    replica.does(Input::Expired(Timer::Election));
    replica.does(received(2, 0, granted(1, 2, true)));
    replica.does(Input::VoteStored(vote(1, Some(1))));

    let generation = LogGeneration(0);
    let batch = Batch { kind: BatchKind::LeaderChange, ..data(0, 1, 1) };
    assert_eq!(
        replica.takes(received(3, 1, granted(1, 3, false))),
        vec![
            Effect::Disarm(Timer::Election),
            Effect::Arm(Timer::CheckQuorum),
            Effect::Arm(Timer::LongPoll),
            Effect::Arm(Timer::Announce),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(1), leader: Some(NodeId(1)) },
            Effect::BecameLeader { quorum_epoch: QuorumEpoch(1) },
            Effect::Append { batches: vec![batch], origin: Origin::Control, generation },
            Effect::Sync { end: Offset(1), generation },
            send(1, 1, 2, Body::BeginQuorum),
            send(1, 1, 3, Body::BeginQuorum),
        ]
    );
}

#[test]
fn a_vote_leaves_only_once_it_is_stored() {
    let mut replica = Replica::fresh();

    assert_eq!(
        replica.takes(received(2, 4, ask(7, false, None, 0))),
        vec![
            Effect::StoreVote(vote(4, Some(2))),
            Effect::Arm(Timer::Election),
            Effect::Arm(Timer::Probe),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(4), leader: None },
        ]
    );
    assert_eq!(
        replica.takes(Input::VoteStored(vote(4, Some(2)))),
        vec![send(1, 4, 2, answer(2, 7, false, true))]
    );
}

#[test]
fn a_second_candidate_of_an_epoch_gets_no_vote_and_the_first_gets_it_again() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, Some(2)), log(&[]));

    let to_third = replica.takes(received(3, 4, ask(1, false, None, 0)));
    let to_second = replica.takes(received(2, 4, ask(8, false, None, 0)));

    assert_eq!(to_third, vec![send(1, 4, 3, answer(3, 1, false, false))]);
    assert_eq!(to_second, vec![send(1, 4, 2, answer(2, 8, false, true))]);
}

#[test]
fn logs_are_compared_by_last_epoch_first_and_then_by_length() {
    let asks = |last_epoch, log_end, bug| {
        let found = recovered(&[1, 2, 3], vote(5, None), log(&[(1, 1), (3, 2)]));
        let mut replica = Replica::planted(Planted(bug), 1, found);
        replica.does(received(2, 6, ask(1, false, Some(last_epoch), log_end)));
        replica.core.vote().voted_for.is_some()
    };

    assert!(asks(3, 3, None));
    assert!(asks(4, 1, None));
    assert!(!asks(3, 2, None));
    assert!(!asks(2, 9, None));
    assert!(asks(2, 9, Some(Bug::LogOrderByLength)));
}

#[test]
fn a_follower_of_a_live_leader_grants_no_pre_vote() {
    let mut replica = Replica::following(log(&[]));
    let refused = VoteAnswer { asked: asked(3, 1), pre_vote: true, granted: false, leader: Some(key(2)) };

    let before = replica.takes(received(3, 1, ask(1, true, None, 0)));
    replica.does(received(2, 1, records(1, 2, None, vec![])));
    let after = replica.takes(received(3, 1, ask(1, true, None, 0)));

    assert_eq!(after, vec![send(1, 1, 3, Body::VoteAnswer(refused.clone()))]);
    let unsure = VoteAnswer { granted: true, ..refused };
    assert_eq!(before, vec![send(1, 1, 3, Body::VoteAnswer(unsure))]);
}

#[test]
fn a_pre_vote_sets_no_vote() {
    let mut replica = Replica::fresh();

    let effects = replica.takes(received(2, 0, ask(1, true, None, 0)));

    assert_eq!(effects, vec![send(1, 0, 2, answer(2, 1, true, true))]);
    assert_eq!(replica.core.vote(), vote(0, None));
}

#[test]
fn a_reply_to_an_earlier_candidacy_is_not_counted() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, Some(1)), log(&[]));
    replica.does(Input::Expired(Timer::Election));
    replica.does(received(2, 1, granted(1, 1, true)));
    replica.does(Input::VoteStored(vote(2, Some(1))));

    let stale = replica.refuses(received(3, 1, granted(1, 1, false)));
    let other_round = replica.refuses(received(3, 2, granted(1, 1, false)));

    assert_eq!(stale, Refusal::StaleEpoch { theirs: QuorumEpoch(1), ours: QuorumEpoch(2) });
    assert_eq!(other_round, Refusal::NotAsked { request: RequestId(1) });
}

#[test]
fn a_request_to_another_disk_of_this_node_is_refused() {
    let mut replica = Replica::fresh();
    let other = VoterKey { id: NodeId(1), directory: DirectoryId(9) };
    let request = VoteRequest {
        request: RequestId(1),
        pre_vote: false,
        voter: other,
        last_epoch: None,
        log_end: Offset(0),
    };

    let refusal = replica.refuses(received(2, 1, Body::Vote(request)));

    assert_eq!(refusal, Refusal::NotAddressed { addressed: other, ours: key(1) });
}

#[test]
fn a_vote_request_with_a_record_of_its_own_epoch_is_malformed() {
    let mut replica = Replica::fresh();

    let refusal = replica.refuses(received(2, 3, ask(1, false, Some(3), 1)));

    let (quorum_epoch, last_epoch) = (QuorumEpoch(3), QuorumEpoch(3));
    assert_eq!(refusal, Refusal::MalformedVote { quorum_epoch, last_epoch });
}

#[test]
fn a_prospective_that_hears_of_a_leader_follows_it() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, None), log(&[]));
    replica.does(Input::Expired(Timer::Election));
    let request = replica.core.last_request.0;
    let refusal =
        VoteAnswer { asked: asked(1, request), pre_vote: true, granted: false, leader: Some(key(2)) };

    let effects = replica.takes(received(3, 1, Body::VoteAnswer(refusal)));

    assert_eq!(
        effects,
        vec![
            Effect::Disarm(Timer::Election),
            Effect::Arm(Timer::FetchTimeout),
            Effect::LeaderChanged { quorum_epoch: QuorumEpoch(1), leader: Some(NodeId(2)) },
            send(1, 1, 2, Body::Fetch(fetch(request + 1, 0, None))),
            Effect::Arm(Timer::FetchRetry),
        ]
    );
}

#[test]
fn a_single_voter_elects_itself_without_waiting() {
    let mut replica = Replica::of(1, &[1], vote(3, Some(1)), log(&[(3, 2)]));

    assert_eq!(replica.core.vote(), vote(4, Some(1)));
    replica.does(Input::VoteStored(vote(4, Some(1))));
    assert_eq!(replica.role(), RoleName::Leader);
}

#[test]
fn nothing_leaves_for_a_vote_that_was_overtaken_before_it_was_stored() {
    let mut replica = Replica::fresh();
    replica.does(received(2, 4, ask(7, false, None, 0)));
    replica.does(received(3, 5, ask(8, false, None, 0)));

    assert_eq!(replica.takes(Input::VoteStored(vote(4, Some(2)))), vec![]);
    let granted = send(1, 5, 3, answer(3, 8, false, true));
    assert_eq!(replica.takes(Input::VoteStored(vote(5, Some(3)))), vec![granted]);
    let (completed, stored) = (QuorumEpoch(4), QuorumEpoch(5));
    let refusal = replica.refuses(Input::VoteStored(vote(4, Some(2))));
    assert_eq!(refusal, Refusal::StaleVote { completed, stored });
}

#[test]
fn a_refusal_never_takes_the_place_of_a_vote_that_is_owed() {
    let mut replica = Replica::fresh();
    replica.does(received(2, 4, ask(7, false, None, 0)));
    replica.does(received(3, 4, ask(8, false, None, 0)));

    let granted = send(1, 4, 2, answer(2, 7, false, true));
    assert_eq!(replica.takes(Input::VoteStored(vote(4, Some(2)))), vec![granted]);
}

#[test]
fn a_refusal_is_owed_where_nothing_else_is() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, None), log(&[(1, 2)]));
    replica.does(received(2, 4, ask(7, false, None, 0)));

    let refused = send(1, 4, 2, answer(2, 7, false, false));
    assert_eq!(replica.takes(Input::VoteStored(vote(4, None))), vec![refused]);
}

#[test]
fn a_vote_of_an_earlier_epoch_binds_nobody_in_a_later_one() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, Some(3)), log(&[]));
    replica.does(received(3, 4, Body::BeginQuorum));
    replica.does(received(2, 5, ask(7, false, None, 0)));

    assert_eq!(replica.core.vote(), vote(5, Some(2)));
}

#[test]
fn a_pre_vote_of_a_later_epoch_moves_the_epoch_and_an_earlier_one_is_refused() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[]));

    let refused = replica.takes(received(2, 3, ask(7, true, None, 0)));
    assert_eq!(refused, vec![send(1, 4, 2, answer(2, 7, true, false))]);
    replica.does(received(2, 6, ask(8, true, None, 0)));
    assert_eq!(replica.core.vote(), vote(6, None));
    let granted = send(1, 6, 2, answer(2, 8, true, true));
    assert_eq!(replica.takes(Input::VoteStored(vote(6, None))), vec![granted]);
}

#[test]
fn a_vote_request_with_a_record_of_a_later_epoch_is_malformed() {
    let mut replica = Replica::fresh();
    let malformed = |quorum_epoch, last_epoch| Refusal::MalformedVote {
        quorum_epoch: QuorumEpoch(quorum_epoch),
        last_epoch: QuorumEpoch(last_epoch),
    };

    assert_eq!(replica.refuses(received(2, 3, ask(1, true, Some(4), 1))), malformed(3, 4));
    assert_eq!(replica.refuses(received(2, 3, ask(1, false, Some(4), 1))), malformed(3, 4));
    // Whoever asks before it stands is still in the epoch of its last record.
    assert!(!replica.takes(received(2, 3, ask(1, true, Some(3), 1))).is_empty());
}

#[test]
fn a_repeated_answer_counts_once() {
    let mut replica = Replica::of(1, &[1, 2, 3, 4, 5], vote(0, None), log(&[]));
    replica.does(Input::Expired(Timer::Election));
    let request = replica.core.last_request.0;
    for _ in 0..2 {
        replica.does(received(2, 0, answer(1, request, true, false)));
    }
    for _ in 0..2 {
        replica.does(received(3, 0, granted(1, request, true)));
    }
    assert_eq!(replica.role(), RoleName::Prospective);
    replica.does(received(4, 0, granted(1, request, true)));
    assert_eq!(replica.role(), RoleName::Candidate);
    replica.does(Input::VoteStored(vote(1, Some(1))));
    let request = replica.core.last_request.0;
    for _ in 0..2 {
        replica.does(received(2, 1, granted(1, request, false)));
    }
    assert_eq!(replica.role(), RoleName::Candidate);
    replica.does(received(3, 1, granted(1, request, false)));
    assert_eq!(replica.role(), RoleName::Leader);
}

#[test]
fn a_pre_vote_that_a_majority_refuses_is_over() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(1, None), log(&[]));
    replica.does(Input::Expired(Timer::Election));
    let request = replica.core.last_request.0;
    replica.does(received(2, 1, answer(1, request, true, false)));
    assert_eq!(replica.role(), RoleName::Prospective);

    replica.does(received(3, 1, answer(1, request, true, false)));
    assert_eq!(replica.role(), RoleName::Unattached);
}

#[test]
fn a_follower_whose_pre_vote_is_refused_goes_back_to_its_leader() {
    let mut replica = Replica::following(log(&[]));
    replica.does(Input::Expired(Timer::FetchTimeout));
    assert_eq!(replica.role(), RoleName::Prospective);
    let request = replica.core.last_request.0;
    replica.does(received(2, 1, answer(1, request, true, false)));
    replica.does(received(3, 1, answer(1, request, true, false)));

    assert_eq!(replica.role(), RoleName::Follower);
    assert_eq!(replica.core.leader(&replica.tenure), Some(key(2)));
}

#[test]
fn a_refusal_of_a_candidacy_changes_nothing() {
    let mut replica = Replica::fresh();
    replica.does(Input::Expired(Timer::Election));
    replica.does(received(2, 0, granted(1, 2, true)));
    replica.does(Input::VoteStored(vote(1, Some(1))));
    let before = replica.core.clone();

    assert_eq!(replica.takes(received(2, 1, answer(1, 3, false, false))), vec![]);
    assert_eq!(replica.takes(received(3, 1, answer(1, 3, false, false))), vec![]);
    assert_eq!(replica.core, before);
}

#[test]
fn an_answer_that_is_owed_is_given_in_its_epoch_and_in_no_later_one() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(3, None), log(&[]));
    replica.takes(received(2, 4, ask(7, false, None, 0)));
    let mut later = replica.clone();

    replica.takes(received(3, 4, Body::BeginQuorum));
    let asked = asked(2, 7);
    let given = VoteAnswer { asked, pre_vote: false, granted: true, leader: Some(key(3)) };
    let effects = replica.takes(Input::VoteStored(vote(4, Some(2))));
    assert_eq!(effects.first(), Some(&send(1, 4, 2, Body::VoteAnswer(given))));

    later.takes(received(3, 5, Body::EndQuorum { successors: vec![] }));
    assert_eq!(later.takes(Input::VoteStored(vote(5, None))), vec![]);
}

#[test]
fn an_answer_of_a_later_epoch_tells_of_it_and_of_its_leader() {
    let told = |leader| {
        let mut replica = Replica::fresh();
        replica.does(Input::Expired(Timer::Election));
        let answer = VoteAnswer { asked: asked(1, 2), pre_vote: true, granted: false, leader };
        replica.takes(received(2, 4, Body::VoteAnswer(answer)));
        (replica.core.quorum_epoch(), replica.core.leader(&replica.tenure))
    };

    assert_eq!(told(None), (QuorumEpoch(4), None));
    assert_eq!(told(Some(key(3))), (QuorumEpoch(4), Some(key(3))));
}

#[test]
fn an_answer_of_another_kind_or_to_another_run_is_not_counted() {
    let mut replica = Replica::fresh();
    replica.does(Input::Expired(Timer::Election));
    let unasked = Refusal::NotAsked { request: RequestId(2) };

    assert_eq!(replica.refuses(received(2, 0, granted(1, 2, false))), unasked);
    let asked = Asked { incarnation: IncarnationId(9), request: RequestId(2) };
    let of_before = VoteAnswer { asked, pre_vote: true, granted: true, leader: None };
    assert_eq!(replica.refuses(received(2, 0, Body::VoteAnswer(of_before))), unasked);
}

#[test]
fn a_vote_in_an_epoch_that_is_stored_is_stored_too() {
    let mut replica = Replica::of(1, &[1, 2, 3], vote(4, None), log(&[]));
    replica.does(received(2, 4, ask(7, false, None, 0)));

    let granted = send(1, 4, 2, answer(2, 7, false, true));
    assert_eq!(replica.takes(Input::VoteStored(vote(4, Some(2)))), vec![granted]);
}

#[test]
fn pre_votes_are_asked_for_once_the_epoch_is_stored() {
    let mut replica = Replica::fresh();
    replica.does(received(2, 3, Body::BeginQuorum));
    let silent = replica.takes(Input::Expired(Timer::FetchTimeout));
    assert!(!silent.iter().any(|effect| matches!(effect, Effect::Send { .. })), "{silent:?}");
    let request = replica.core.last_request.0;

    let asked = vec![canvass(3, request, true, 2), canvass(3, request, true, 3)];
    assert_eq!(replica.takes(Input::VoteStored(vote(3, None))), asked);
}

#[test]
fn a_voter_that_refuses_twice_has_refused_once() {
    let mut replica = Replica::of(1, &[1, 2, 3, 4, 5], vote(1, None), log(&[]));
    replica.does(Input::Expired(Timer::Election));
    let request = replica.core.last_request.0;
    for from in [2, 2, 3, 4] {
        assert_eq!(replica.role(), RoleName::Prospective);
        replica.does(received(from, 1, answer(1, request, true, false)));
    }

    assert_eq!(replica.role(), RoleName::Unattached);
}
