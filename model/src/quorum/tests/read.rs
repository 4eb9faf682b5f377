//! Linearizable reads.

use super::*;

fn ready(id: u64, offset: u64) -> Effect {
    Effect::ReadReady(ReadPoint { id: ReadId(id), offset: Offset(offset) })
}

/// Replica 1 leads, has committed its first record with replica 2, whose next fetch is request 2.
fn established<F: Faults>(faults: F) -> Replica<F> {
    let mut replica = Replica::planted(faults, 1, recovered(&[1, 2, 3], vote(0, None), log(&[])));
    replica.does(Input::Expired(Timer::Election));
    replica.does(received(2, 0, granted(1, 2, true)));
    replica.does(Input::VoteStored(vote(1, Some(1))));
    replica.does(received(2, 1, granted(1, 3, false)));
    replica.does(written(1));
    replica.does(flushed(1));
    replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
    replica
}

#[test]
fn a_read_waits_for_a_fetch_that_echoes_a_later_round() {
    let mut replica = established(Sound);
    replica.takes(Input::Read { id: ReadId(9) });
    let next = Fetch { high_watermark: Some(Offset(1)), ..fetch(2, 1, Some(1)) };

    let earlier = replica.takes(received(2, 1, Body::Fetch(next.clone())));
    let echo = Fetch { request: RequestId(3), round: 1, ..next };
    let later = replica.takes(received(2, 1, Body::Fetch(echo)));

    assert!(!earlier.contains(&ready(9, 1)));
    assert_eq!(later, vec![Effect::Arm(Timer::CheckQuorum), ready(9, 1)]);
}

#[test]
fn any_later_fetch_confirms_a_read_when_that_bug_is_planted() {
    let mut replica = established(Planted(Some(Bug::AnyFetchConfirms)));
    replica.takes(Input::Read { id: ReadId(9) });

    let effects = replica.takes(received(2, 1, Body::Fetch(fetch(2, 1, Some(1)))));

    assert!(effects.contains(&ready(9, 1)));
}

#[test]
fn a_single_voter_reads_at_once() {
    let mut replica = Replica::leading(&[1]);

    assert_eq!(replica.takes(Input::Read { id: ReadId(1) }), vec![ready(1, 1)]);
}

#[test]
fn no_read_is_served_before_the_high_watermark_is_known() {
    let mut replica = Replica::leading(&[1, 2, 3]);

    let refusal = replica.refuses(Input::Read { id: ReadId(1) });

    assert_eq!(refusal, Refusal::NotEstablished { quorum_epoch: QuorumEpoch(1) });
}

#[test]
fn a_read_tells_a_waiting_follower_of_its_round_at_once() {
    let mut replica = established(Sound);
    let next = Fetch { high_watermark: Some(Offset(1)), ..fetch(2, 1, Some(1)) };
    replica.does(received(2, 1, Body::Fetch(next)));

    let fetched = Fetched::Records { high_watermark: Some(Offset(1)), round: 1, batches: vec![] };
    let told = Body::FetchAnswer(FetchAnswer { asked: asked(2, 2), fetched });
    assert_eq!(replica.takes(Input::Read { id: ReadId(9) }), vec![send(1, 1, 2, told)]);
}

#[test]
fn a_read_is_answered_when_a_change_leaves_nobody_to_wait_for() {
    let two = |faults| {
        let mut replica = Replica::planted(faults, 1, recovered(&[1, 2], vote(0, None), log(&[])));
        replica.does(Input::Expired(Timer::Election));
        replica.does(received(2, 0, granted(1, 2, true)));
        replica.does(Input::VoteStored(vote(1, Some(1))));
        replica.does(received(2, 1, granted(1, 3, false)));
        replica.does(written(1));
        replica.does(flushed(1));
        replica.does(received(2, 1, Body::Fetch(fetch(1, 1, Some(1)))));
        replica.takes(Input::Read { id: ReadId(9) });
        let change = VoterChange::Remove(key(2));
        replica.takes(Input::ChangeVoters { id: ProposalId(5), change })
    };

    assert_eq!(two(Planted(None)).last(), Some(&ready(9, 1)));
    assert!(!two(Planted(Some(Bug::ReadsOutlastChange))).contains(&ready(9, 1)));
}
