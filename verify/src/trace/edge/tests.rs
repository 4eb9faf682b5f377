//! Acts that a driver owes, and those that it must not do.

use highwater_model::id::{BrokerEpoch, IncarnationId, LeaderEpoch, PartitionEpoch, QuorumEpoch};
use highwater_model::quorum::{Asked, Batch, BatchKind, Body, FetchAnswer, Fetched, Message, VoterKey};
use highwater_model::replication::{AlterPartitionOutcome, Timer};
use highwater_model::trace::{How, READS_MAX};

use super::*;
use crate::trace::encoded;
use crate::trace::quorum::OfQuorum;
use crate::trace::replica::OfReplicas;

type OfReplica = Book<OfReplicas>;

/// The rule that is broken, if one is.
fn broken(result: Result<(), Wrong>) -> Option<&'static str> {
    result.err().map(|wrong| wrong.rule)
}

fn proposal(request: u64) -> AlterPartition {
    AlterPartition {
        request_id: RequestId(request),
        broker_epoch: BrokerEpoch(1),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(1),
        members: Default::default(),
    }
}

fn answer(request: u64) -> AlterPartitionAnswer {
    AlterPartitionAnswer { request_id: RequestId(request), outcome: AlterPartitionOutcome::NotApplied }
}

fn reading(to: u32, body: &[u8]) -> Reading {
    Reading { to: NodeId(to), from: Offset(0), end: Offset(9), body: body.to_vec(), is_void: false }
}

fn read<T>(to: u32) -> Act<T> {
    Act::Reading { to: NodeId(to), from: Offset(0), end: Offset(9) }
}

fn sent<T>(to: u32, body: &[u8]) -> Act<T> {
    let carried = Carried { count: 1, digest: 7 };
    Act::Sent { to: NodeId(to), body: body.to_vec(), carried, has_link: true }
}

/// A book with messages to these nodes that wait for their records.
fn waiting(to: &[u32]) -> OfReplica {
    let mut book = OfReplica::new();
    for to in to {
        book.owe(Owed::Read(reading(*to, b"m")));
        assert_eq!(book.act(&read(*to)), Ok(()));
    }
    book
}

#[test]
fn a_proposal_is_handed_over_before_the_core_goes_on() {
    let mut book = OfReplica::new();
    book.owe(Owed::Propose(proposal(4)));
    assert_eq!(broken(book.step(&Cause::Free, &"an input")), Some(EACH_EFFECT));

    assert_eq!(broken(book.act(&Act::Proposed(proposal(5)))), Some(EACH_EFFECT));
    assert_eq!(book.act(&Act::Proposed(proposal(4))), Ok(()));
    assert_eq!(book.step(&Cause::Free, &"an input"), Ok(()));
    assert_eq!(broken(book.act(&Act::Proposed(proposal(4)))), Some(EACH_ACT));
}

#[test]
fn messages_that_wait_for_records_come_to_an_end_each() {
    let mut book = waiting(&[1, 2]);
    assert_eq!(book.act(&sent(2, b"m")), Ok(()), "another node's does not hold it up");
    assert_eq!(broken(book.act(&sent(2, b"m"))), Some(EACH_ACT), "it is sent once");
    assert_eq!(broken(book.act(&Act::NotSent { to: NodeId(2) })), Some(EACH_ACT));
    assert_eq!(book.act(&Act::NotSent { to: NodeId(1) }), Ok(()));
    assert_eq!(broken(book.act(&Act::NotSent { to: NodeId(1) })), Some(EACH_ACT));

    assert_eq!(broken(waiting(&[1]).end()), Some(EACH_EFFECT));
    assert_eq!(broken(waiting(&[1]).act(&Act::Offline)), Some(EACH_EFFECT));
}

#[test]
fn so_many_messages_wait_for_one_node_and_no_more() {
    let mut book = waiting(&[1; READS_MAX - 1]);
    let unread = Act::Unread { to: NodeId(1), from: Offset(0), end: Offset(9) };
    book.owe(Owed::Read(reading(1, b"m")));
    assert_eq!(broken(book.act(&unread)), Some(EACH_ACT), "there is room for it");
    assert_eq!(book.act(&read(1)), Ok(()));

    book.owe(Owed::Read(reading(1, b"m")));
    assert_eq!(broken(book.act(&read(1))), Some(EACH_EFFECT), "those before it have been dropped");
    assert_eq!(book.act(&unread), Ok(()));
    book.owe(Owed::Read(reading(2, b"m")));
    assert_eq!(book.act(&read(2)), Ok(()), "another node's wait for themselves");
}

#[test]
fn no_member_of_the_quorum_sends_what_was_read_before_its_log_was_cut() {
    let message = |batches| {
        let key = VoterKey { id: NodeId(1), directory: Default::default() };
        let asked = Asked { incarnation: IncarnationId(1), request: RequestId(1) };
        let fetched = Fetched::Records { high_watermark: None, round: 0, batches };
        let body = Body::FetchAnswer(FetchAnswer { asked, fetched });
        encoded(&Message { from: key, incarnation: IncarnationId(1), quorum_epoch: QuorumEpoch(1), body })
    };
    let batch =
        Batch { base_offset: Offset(0), count: 9, quorum_epoch: QuorumEpoch(1), kind: BatchKind::Data };
    let (empty, filled) = (message(Vec::new()), message(vec![batch]));
    for is_cut in [false, true] {
        let mut book: Book<OfQuorum> = Book::new();
        book.owe(Owed::Read(reading(2, &empty)));
        assert_eq!(book.act(&read(2)), Ok(()));
        if is_cut {
            book.owe(Owed::Cut(Offset(3)));
            assert_eq!(book.act(&Act::Cut(How::Done(Offset(3)))), Ok(()));
        }
        assert_eq!(broken(book.act(&sent(2, &filled))), is_cut.then_some(GENERATION));
    }
}

#[test]
fn a_driver_gives_up_when_storage_has_failed() {
    let cut = |book: &mut OfReplica| {
        book.owe(Owed::Cut(Offset(3)));
        assert_eq!(book.act(&Act::Cut(How::Failed)), Ok(()));
    };
    let write = |book: &mut OfReplica| {
        let carried = Carried::default();
        book.owe(Owed::Write {
            from: Offset(0),
            end: Offset(1),
            generation: LogGeneration(0),
            carried: None,
        });
        assert_eq!(book.act(&Act::Write { from: Offset(0), end: Offset(1), carried }), Ok(()));
        assert_eq!(book.act(&Act::WriteEnded(How::Failed)), Ok(()));
    };
    let sync = |book: &mut OfReplica| {
        book.owe(Owed::Sync { generation: LogGeneration(0) });
        assert_eq!(book.act(&Act::Sync(Offset(0))), Ok(()));
        assert_eq!(book.act(&Act::SyncEnded(How::NoRoom)), Ok(()));
    };
    for fail in [&cut as &dyn Fn(&mut OfReplica), &write, &sync] {
        let failed = || {
            let mut book = OfReplica::new();
            fail(&mut book);
            book
        };
        assert_eq!(broken(failed().step(&Cause::Free, &"an input")), Some(GIVE_UP));
        assert_eq!(broken(failed().act(&Act::Armed(Timer::Room))), Some(GIVE_UP));
        assert_eq!(broken(failed().end()), Some(GIVE_UP));

        let mut book = failed();
        assert_eq!(book.act(&Act::Offline), Ok(()));
        assert_eq!(book.act(&Act::Replied { request: 1, told: Told::Refused }), Ok(()));
        assert_eq!(broken(book.act(&sent(1, b"m"))), Some(GIVE_UP));
        assert_eq!(book.end(), Ok(()));
    }
}

/// A book from the midst of a life, after the step that showed it.
fn shown(under_way: &UnderWay) -> OfReplica {
    let mut book = OfReplica::partial(under_way).expect("a list of timers");
    assert_eq!(book.step(&Cause::Free, &"the input that it was shown with"), Ok(()));
    book
}

#[test]
fn a_core_that_is_shown_has_the_timers_that_it_is_shown_with() {
    let under_way = UnderWay { armed: encoded(&vec![Timer::FetchRetry]), ..UnderWay::default() };
    assert_eq!(shown(&under_way).act(&Act::Expired(Timer::FetchRetry)), Ok(()));
    assert_eq!(broken(shown(&under_way).act(&Act::Expired(Timer::Room))), Some(EACH_ACT));

    let malformed = UnderWay { armed: vec![0xff; 9], ..UnderWay::default() };
    assert!(OfReplica::partial(&malformed).is_err());

    for count in 0..3 {
        let most = |kind| if kind == count { u32::MAX } else { 0 };
        let armed = encoded::<[Timer]>(&[]);
        let (writes, syncs, stores) = (most(0), most(1), most(2));
        let impossible = UnderWay { writes, syncs, stores, armed, ..UnderWay::default() };
        assert!(OfReplica::partial(&impossible).is_err(), "nobody would write it, and it takes no memory");
    }
}

fn taken(request: u64) -> Cause<Timer> {
    Cause::ProposalAnswered(answer(request))
}

#[test]
fn a_proposal_is_answered_as_often_as_it_is_made() {
    let mut book = OfReplica::new();
    for _ in 0..2 {
        book.owe(Owed::Propose(proposal(1)));
        assert_eq!(book.act(&Act::Proposed(proposal(1))), Ok(()));
    }
    assert_eq!(broken(book.act(&Act::ProposalAnswered(answer(0)))), Some(EACH_END));

    for _ in 0..2 {
        assert_eq!(book.act(&Act::ProposalAnswered(answer(1))), Ok(()));
        assert_eq!(book.step(&taken(1), &"its answer"), Ok(()));
    }
    assert_eq!(broken(book.step(&taken(1), &"another")), Some(EACH_INPUT));
    assert_eq!(broken(book.late(&Act::ProposalAnswered(answer(1)))), Some(EACH_END));
}

#[test]
fn a_proposal_that_was_made_before_a_core_was_shown_is_answered_as_often_as_that_may_be() {
    let none = UnderWay { armed: encoded::<[Timer]>(&[]), ..UnderWay::default() };
    let mut book = shown(&none);
    assert_eq!(broken(book.act(&Act::Proposed(proposal(3)))), Some(EACH_ACT), "it was not asked to");

    // It was made twice; and two answers had come that the core had not been given.
    book.opened_before(Some(RequestId(3)));
    for _ in 0..2 {
        assert_eq!(book.step(&taken(3), &"an answer that came before"), Ok(()));
        assert_eq!(book.act(&Act::ProposalAnswered(answer(3))), Ok(()));
    }
    // It is made again before the last answer is given that had come before.
    book.owe(Owed::Propose(proposal(3)));
    assert_eq!(book.act(&Act::Proposed(proposal(3))), Ok(()));
    for _ in 0..3 {
        assert_eq!(book.step(&taken(3), &"an answer"), Ok(()));
    }

    book.owe(Owed::Propose(proposal(4)));
    assert_eq!(book.act(&Act::Proposed(proposal(4))), Ok(()));
    assert_eq!(broken(book.step(&taken(4), &"an answer that did not come")), Some(EACH_INPUT));
    assert_eq!(book.act(&Act::ProposalAnswered(answer(4))), Ok(()));
    assert_eq!(broken(book.act(&Act::ProposalAnswered(answer(4)))), Some(EACH_END), "it was made once");
    assert_eq!(broken(book.act(&Act::ProposalAnswered(answer(5)))), Some(EACH_END), "it was not made yet");
    assert_eq!(broken(book.step(&taken(5), &"an answer to nothing")), Some(EACH_INPUT));
    assert_eq!(book.act(&Act::ProposalAnswered(answer(2))), Ok(()), "a late one to an older proposal");
}

#[test]
fn a_proposal_that_was_not_open_when_a_core_was_shown_is_a_new_one() {
    let none = UnderWay { armed: encoded::<[Timer]>(&[]), ..UnderWay::default() };
    let mut book = shown(&none);
    book.owe(Owed::Propose(proposal(3)));
    assert_eq!(book.act(&Act::Proposed(proposal(3))), Ok(()));
    assert_eq!(broken(book.step(&taken(3), &"an answer that did not come")), Some(EACH_INPUT));
}

#[test]
fn a_request_of_before_a_lifecycle_was_shown_comes_to_one_end() {
    let under_way = UnderWay { armed: encoded::<[Timer]>(&[]), ..UnderWay::default() };
    let mut book = shown(&under_way);
    let heard = |request| Act::Heard { request: RequestId(request), answer: None };
    assert_eq!(book.act(&heard(3)), Ok(()));
    assert_eq!(broken(book.act(&heard(3))), Some(EACH_END));
}
