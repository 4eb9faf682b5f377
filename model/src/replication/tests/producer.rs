//! Idempotent producers: new, duplicate, out of order, cut away.

use super::*;

fn base(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| {
        if let Effect::AppendLocal { base_offset, .. } = effect { Some(base_offset.0) } else { None }
    })
}

#[test]
fn a_repeated_batch_is_not_appended_and_waits_for_the_watermark_like_the_first() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0, 2)));
    leader.take(leader.written());

    assert_eq!(leader.take(produce(Acks::All, 2, sequenced(5, 0, 0, 2))), []);
    let effects = leader.take(from(R1, Message::Fetch(fetch(R1, 1, 2))));
    assert_eq!(effects[..3], [visible(2, 1), acknowledged(1, 0), acknowledged(2, 0)]);
    assert_eq!(leader.take(produce(Acks::All, 3, sequenced(5, 0, 0, 2))), [acknowledged(3, 0)]);
}

#[test]
fn a_leader_that_deletes_records_still_knows_their_producers() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0, 2)));
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 2))));
    assert_eq!(leader.take(Input::RaiseLogStart { to: Offset(2) }), [Effect::TrimLog { to: Offset(2) }]);

    assert_eq!(leader.take(produce(Acks::All, 2, sequenced(5, 0, 0, 2))), [acknowledged(2, 0)]);
}

#[test]
fn planted_a_repeated_batch_is_acknowledged_at_once() {
    let mut leader = leader(&[R0, R1], Some(Bug::DuplicateAckedEarly));
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0, 2)));

    assert_eq!(leader.take(produce(Acks::All, 2, sequenced(5, 0, 0, 2))), [acknowledged(2, 0)]);
}

#[test]
fn a_gap_and_an_older_epoch_are_refused_and_a_new_epoch_starts_at_zero() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, sequenced(5, 1, 7, 2)));

    let gap = leader.refuse(produce(Acks::All, 2, sequenced(5, 1, 10, 1)));
    assert_eq!(gap, Refusal::OutOfOrderSequence { given: Sequence(10), expected: Sequence(9) });
    let fenced = leader.refuse(produce(Acks::All, 3, sequenced(5, 0, 9, 1)));
    assert_eq!(fenced, Refusal::FencedProducer { given: ProducerEpoch(0), known: ProducerEpoch(1) });
    let late = leader.refuse(produce(Acks::All, 4, sequenced(5, 2, 9, 1)));
    assert_eq!(late, Refusal::OutOfOrderSequence { given: Sequence(9), expected: Sequence(0) });
    assert_eq!(base(&leader.take(produce(Acks::All, 5, sequenced(5, 2, 0, 1)))), Some(2));
}

#[test]
fn sequences_wrap_and_only_the_last_five_batches_are_recognised() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0x7fff_ffff, 2)));
    for sequence in 1..6 {
        leader.take(produce(Acks::All, 2, sequenced(5, 0, sequence, 1)));
    }

    let old = leader.refuse(produce(Acks::All, 9, sequenced(5, 0, 0x7fff_ffff, 2)));
    assert_eq!(old, Refusal::OutOfOrderSequence { given: Sequence(0x7fff_ffff), expected: Sequence(6) });
    assert_eq!(leader.take(produce(Acks::All, 9, sequenced(5, 0, 1, 1))), []);
}

#[test]
fn planted_without_a_window_a_repeated_batch_is_written_twice() {
    let mut leader = leader(&[R0, R1], Some(Bug::NoProducerWindow));
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0, 2)));

    assert_eq!(base(&leader.take(produce(Acks::All, 2, sequenced(5, 0, 0, 2)))), Some(2));
}

#[test]
fn a_forgotten_producer_may_begin_anywhere() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0, 2)));
    leader.take(Input::ForgetProducer { producer_id: ProducerId(5) });

    assert_eq!(base(&leader.take(produce(Acks::All, 2, sequenced(5, 0, 40, 1)))), Some(2));
}

/// A follower in leader epoch 1 with these batches of producer 5; it then leads in epoch 2.
fn promoted(bug: Option<Bug>, batches: &[BatchSummary]) -> Subject {
    let mut subject = Subject::new(R1, bug);
    subject.take(Input::View(view(1, R0, 1, &[R0, R1])));
    let mut base_offset = Offset::ZERO;
    let mut stamped = Batches::new();
    for batch in batches {
        stamped.push(BatchSummary { base_offset, leader_epoch: LeaderEpoch(1), ..*batch });
        base_offset = base_offset.after(u64::from(batch.count));
    }
    let message = Message::FetchAnswer(records(R1, 1, (0, base_offset.0), 0));
    subject.take(Input::Message { from: R0, message, batches: stamped });
    subject.take(subject.written());
    subject.take(Input::View(view(2, R1, 2, &[R0, R1])));
    subject
}

#[test]
fn a_new_leader_recognises_what_it_replicated() {
    let repeated = produce(Acks::All, 1, sequenced(5, 0, 0, 2));
    assert_eq!(base(&promoted(None, &[sequenced(5, 0, 0, 2)]).take(repeated.clone())), None);

    let bug = Some(Bug::ProducersNotReplicated);
    assert_eq!(base(&promoted(bug, &[sequenced(5, 0, 0, 2)]).take(repeated)), Some(2));
}

#[test]
fn a_cut_forgets_the_batches_that_it_removes_and_no_other() {
    let cut = |bug| {
        let batches: Vec<BatchSummary> = (0..8).map(|sequence| sequenced(5, 0, sequence, 1)).collect();
        let mut subject = promoted(bug, &batches);
        subject.take(Input::View(view(3, R0, 3, &[R0, R1])));
        let end = crate::log::EpochEnd { epoch: LeaderEpoch(1), end: Offset(2) };
        let body = FetchBody::Diverging(end);
        let told = FetchAnswer { leader_epoch: LeaderEpoch(3), ..answer(R1, 1, 0, body) };
        subject.take(from(R0, Message::FetchAnswer(told)));
        subject.take(Input::View(view(4, R1, 4, &[R0, R1])));
        subject
    };
    // Eight batches were remembered, for none was committed: so two are still known.
    assert_eq!(base(&cut(None).take(produce(Acks::All, 1, sequenced(5, 0, 2, 1)))), Some(2));
    assert_eq!(base(&cut(None).take(produce(Acks::All, 1, sequenced(5, 0, 1, 1)))), None);
    let gap = Refusal::OutOfOrderSequence { given: Sequence(3), expected: Sequence(2) };
    assert_eq!(cut(None).refuse(produce(Acks::All, 1, sequenced(5, 0, 3, 1))), gap);
    let planted = cut(Some(Bug::ProducersNotTruncated)).take(produce(Acks::All, 1, sequenced(5, 0, 7, 1)));
    assert_eq!(base(&planted), None);
}

#[test]
fn the_same_sequences_in_another_producer_epoch_or_of_another_length_are_another_batch() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(produce(Acks::All, 1, sequenced(5, 0, 0, 2)));

    let longer = Refusal::OutOfOrderSequence { given: Sequence(0), expected: Sequence(2) };
    assert_eq!(leader.refuse(produce(Acks::All, 2, sequenced(5, 0, 0, 3))), longer);
    let shorter = Refusal::OutOfOrderSequence { given: Sequence(1), expected: Sequence(2) };
    assert_eq!(leader.refuse(produce(Acks::All, 2, sequenced(5, 0, 1, 1))), shorter);
    assert_eq!(base(&leader.take(produce(Acks::All, 2, sequenced(5, 1, 0, 2)))), Some(2));
}

#[test]
fn no_more_batches_are_kept_than_are_recognised_or_not_yet_committed() {
    let mut leader = leader(&[R0, R1], None);
    let mut committed = leader.clone();
    for sequence in 0..8 {
        for subject in [&mut leader, &mut committed] {
            subject.take(produce(Acks::All, 1, sequenced(5, 0, sequence, 1)));
            subject.take(subject.written());
        }
        let end = u64::from(sequence) + 1;
        committed.take(from(R1, Message::Fetch(fetch(R1, end, end))));
    }

    assert_eq!(leader.replica.producers.remembered(), 8);
    // The last is noted before it is committed.
    assert_eq!(committed.replica.producers.remembered(), 6);
}
