//! Every anomaly by hand, each beside a history that is like it and valid, and the order of appends beside brute force.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::ends::{Append, Ends, misplaced};
use super::{Anomaly, Checker, Promises};
use crate::history::{
    Acks, Actor, Assign, AssignFrom, Drained, EndRead, Operation, Phase, Polled, SeenRecord, Send,
    SentRecord, What,
};
use crate::verdict::{Validity, Verdict};

/// Operations one after the other, each of two events.
#[derive(Default)]
struct History {
    operations: Vec<Operation>,
}

impl History {
    fn add(mut self, process: u32, outcome: Phase, what: What) -> Self {
        let invoked = self.operations.len() as u64 * 2;
        self.operations.push(operation(process, (invoked, invoked + 1), outcome, what));
        self
    }

    /// An operation that began with the event of this index.
    fn begun(mut self, invoked: u64) -> Self {
        self.operations.last_mut().unwrap().invoked = invoked;
        self
    }

    /// Records sent by one process to log 0, with the offsets that were acknowledged.
    fn sends(self, process: u32, outcome: Phase, records: &[(u64, Option<u64>)]) -> Self {
        self.sends_at(process, outcome, (Acks::All, true), records)
    }

    fn sends_at(
        self,
        process: u32,
        outcome: Phase,
        (acks, idempotent): (Acks, bool),
        records: &[(u64, Option<u64>)],
    ) -> Self {
        let record =
            |(value, offset): &(u64, Option<u64>)| SentRecord { key: 0, value: *value, offset: *offset };
        let records = records.iter().map(record).collect();
        self.add(process, outcome, What::Send(Send { acks, idempotent, records }))
    }

    /// Records that a process polled from log 0: offsets and values.
    fn polls(self, process: u32, records: &[(u64, u64)]) -> Self {
        let seen = |(offset, value): &(u64, u64)| SeenRecord { key: 0, offset: *offset, value: Some(*value) };
        let records = records.iter().map(seen).collect();
        self.add(process, Phase::Ok, What::Poll(Polled { records }))
    }

    fn assigns(self, process: u32, from: AssignFrom) -> Self {
        self.add(process, Phase::Ok, What::Assign(Assign { keys: vec![0], from }))
    }

    fn drained(self, process: u32, end: u64) -> Self {
        self.add(process, Phase::Ok, What::Drained(Drained { key: 0, end }))
    }

    fn ends(self, process: u32, end: u64, linearizable: bool) -> Self {
        self.add(process, Phase::Ok, What::End(EndRead { key: 0, end: Some(end), linearizable }))
    }

    fn verdict(&self) -> Verdict {
        self.verdict_with(Promises::default())
    }

    fn verdict_with(&self, promises: Promises) -> Verdict {
        let mut checker = Checker::new(promises);
        self.operations.iter().for_each(|operation| checker.take(operation));
        checker.finish()
    }

    #[track_caller]
    fn is_valid(&self) {
        let verdict = self.verdict();
        assert_eq!(verdict.validity, Validity::Valid, "{verdict:?}");
    }

    /// Exactly these anomalies are found.
    #[track_caller]
    fn is(&self, anomalies: &[Anomaly]) {
        let verdict = self.verdict();
        let found: Vec<&str> = verdict.anomalies.keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = anomalies.iter().map(|anomaly| anomaly.name()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{verdict:?}");
        assert_eq!(verdict.validity, Validity::Invalid);
    }
}

fn operation(process: u32, (invoked, completed): (u64, u64), outcome: Phase, what: What) -> Operation {
    Operation {
        actor: Actor::Process(process),
        invoked,
        completed,
        invoked_ns: invoked,
        completed_ns: completed,
        outcome,
        what,
        error: None,
    }
}

fn history() -> History {
    History::default()
}

/// Records 10, 11 and 12 are acknowledged at offsets 0, 1 and 2.
fn three() -> History {
    history().sends(1, Phase::Ok, &[(10, Some(0)), (11, Some(1)), (12, Some(2))])
}

#[test]
fn what_was_acknowledged_and_is_read_is_valid() {
    three().polls(2, &[(0, 10), (1, 11), (2, 12)]).drained(2, 3).is_valid();
}

#[test]
fn a_lost_write_is_found() {
    three().polls(2, &[(0, 10), (2, 12)]).drained(2, 3).is(&[Anomaly::Lost]);
    let verdict = three().polls(2, &[(0, 10), (2, 12)]).drained(2, 3).verdict();
    let case = &verdict.anomalies["lost-write"].examples[0];
    assert_eq!(case.words, "record 11, acknowledged at offset 1, was never read");
    assert_eq!(case.events, [0, 1]);
}

#[test]
fn what_nobody_promised_to_keep_may_be_gone() {
    let unpromised = |acks| {
        let sent = history().sends(1, Phase::Ok, &[(10, Some(0))]);
        let sent = sent.sends_at(3, Phase::Ok, (acks, false), &[(9, Some(1))]);
        sent.sends(1, Phase::Ok, &[(12, Some(2))]).polls(2, &[(0, 10), (2, 12)]).drained(2, 3)
    };
    unpromised(Acks::Leader).is_valid();
    unpromised(Acks::All).is(&[Anomaly::Lost]);
    history().sends(1, Phase::Info, &[(10, None)]).polls(2, &[]).drained(2, 0).is_valid();
    // The record that was acknowledged must stay though nobody knows of the other one.
    history().sends(1, Phase::Info, &[(10, Some(0)), (11, None)]).drained(2, 0).is(&[Anomaly::Unseen]);
}

#[test]
fn a_lost_tail_is_found_where_the_log_was_read_to_its_end() {
    three().polls(2, &[(0, 10), (1, 11)]).drained(2, 2).is(&[Anomaly::Unseen]);
    let unread = three().polls(2, &[(0, 10), (1, 11)]).verdict();
    assert_eq!(unread.validity, Validity::Unknown, "{unread:?}");
    // What lies before the end that a reader says it came to was there to be read.
    three().polls(2, &[(0, 10), (1, 11)]).drained(2, 3).is(&[Anomaly::Lost]);
    // Who began elsewhere has not read the log, whatever it says.
    let elsewhere = three().assigns(2, AssignFrom::End).drained(2, 3).verdict();
    assert_eq!(elsewhere.validity, Validity::Unknown, "{elsewhere:?}");
}

#[test]
fn a_lost_beginning_is_found() {
    let all = [(0, 10), (1, 11), (2, 12)];
    let read_once = three().assigns(2, AssignFrom::Beginning).polls(2, &all);
    let later = |from| read_once_again(from, &[(2, 12)]);
    fn read_once_again(from: AssignFrom, seen: &[(u64, u64)]) -> History {
        let all = [(0, 10), (1, 11), (2, 12)];
        three().assigns(2, AssignFrom::Beginning).polls(2, &all).assigns(3, from).polls(3, seen).drained(3, 3)
    }
    later(AssignFrom::Beginning).is(&[Anomaly::PollSkip]);
    read_once_again(AssignFrom::Beginning, &all).is_valid();
    // It may have been assigned when the log ended there.
    later(AssignFrom::End).is_valid();
    read_once.drained(2, 3).is_valid();
    // Nobody ever read it, and somebody passed it.
    three().assigns(2, AssignFrom::Beginning).polls(2, &[(2, 12)]).is(&[Anomaly::Lost]);
}

#[test]
fn what_nobody_looked_for_is_not_said_to_be_lost() {
    let from_end = three().assigns(2, AssignFrom::End).polls(2, &[(2, 12)]).verdict();
    assert_eq!((from_end.validity, from_end.anomalies.len()), (Validity::Unknown, 0), "{from_end:?}");
    let passed = three().assigns(2, AssignFrom::End).polls(2, &[(0, 10)]).polls(2, &[(2, 12)]);
    passed.is(&[Anomaly::Lost]);
}

#[test]
fn what_was_acknowledged_without_its_place_must_be_read_too() {
    let unplaced = || history().sends(1, Phase::Ok, &[(10, Some(0))]).sends(1, Phase::Ok, &[(11, None)]);
    let read = |history: History, seen: &[(u64, u64)], end| {
        history.ends(2, end, true).assigns(2, AssignFrom::Beginning).polls(2, seen).drained(2, end)
    };
    read(unplaced(), &[(0, 10), (1, 11)], 2).is_valid();
    read(unplaced(), &[(0, 10)], 1).is(&[Anomaly::Lost]);
    // An end that was told before it was sent need not count it.
    let early = history().sends(1, Phase::Ok, &[(10, Some(0))]).ends(2, 1, true);
    let early = early.sends(1, Phase::Ok, &[(11, None)]);
    let early = early.assigns(2, AssignFrom::Beginning).polls(2, &[(0, 10)]).drained(2, 1);
    assert_eq!(early.verdict().validity, Validity::Unknown, "{:?}", early.verdict());
}

#[test]
fn what_is_acknowledged_after_a_log_was_read_to_its_end_is_not_said_to_be_lost() {
    let sent = |history: History| history.sends(1, Phase::Ok, &[(11, Some(1))]);
    let drained = |history: History| {
        history.ends(2, 1, true).assigns(2, AssignFrom::Beginning).polls(2, &[(0, 10)]).drained(2, 1)
    };
    let first = || history().sends(1, Phase::Ok, &[(10, Some(0))]);

    assert_eq!(sent(drained(first())).verdict().validity, Validity::Unknown);
    drained(sent(first())).is(&[Anomaly::NonlinearizableAppend, Anomaly::Unseen]);
}

#[test]
fn a_name_that_two_records_have_is_found() {
    let twice = history().sends(1, Phase::Ok, &[(10, Some(0))]).sends(2, Phase::Ok, &[(10, Some(1))]);
    assert!(twice.verdict().anomalies.contains_key("reused-value"), "{:?}", twice.verdict());
}

#[test]
fn a_copy_that_a_retry_left_later_is_in_no_wrong_order() {
    // Record 10 is acknowledged at 0; another attempt of it lands at 2, behind what was sent after the acknowledgement.
    let copied = |idempotent| {
        let sent = history().sends_at(1, Phase::Ok, (Acks::All, idempotent), &[(10, Some(0))]);
        sent.sends(2, Phase::Ok, &[(11, Some(1))]).polls(3, &[(0, 10), (1, 11), (2, 10)]).drained(3, 3)
    };
    copied(false).is_valid();
    copied(true).is(&[Anomaly::Duplicate]);
}

#[test]
fn records_of_one_operation_are_in_order_though_only_the_later_was_acknowledged() {
    let sent = |first: u64, second: u64| {
        let sent = history().sends(1, Phase::Info, &[(10, None), (11, Some(second))]);
        let mut seen = [(first, 10), (second, 11)];
        seen.sort_unstable();
        sent.polls(2, &seen).drained(2, 2)
    };
    sent(0, 1).is_valid();
    sent(1, 0).is(&[Anomaly::IntSendNonmonotonic]);
}

#[test]
fn a_record_of_a_log_that_was_not_assigned_is_found() {
    let all = [(0, 10), (1, 11), (2, 12)];
    let assigned = |keys: Vec<u32>| {
        let assign = What::Assign(Assign { keys, from: AssignFrom::Beginning });
        three().add(2, Phase::Ok, assign).polls(2, &all).polls(3, &all).drained(3, 3)
    };
    assigned(vec![0]).is_valid();
    assigned(vec![1]).is(&[Anomaly::UnassignedPoll]);
}

#[test]
fn two_records_at_one_offset_are_found() {
    let two = history().sends(1, Phase::Info, &[(10, None)]).sends(2, Phase::Info, &[(11, None)]);
    two.polls(3, &[(0, 10)]).polls(4, &[(0, 11)]).is(&[Anomaly::InconsistentOffsets]);
    let two = history().sends(1, Phase::Info, &[(10, None)]).sends(2, Phase::Info, &[(11, None)]);
    two.polls(3, &[(0, 10)]).polls(4, &[(0, 10), (1, 11)]).is_valid();
}

#[test]
fn another_record_where_one_was_acknowledged_is_found() {
    let other = history().sends(1, Phase::Ok, &[(10, Some(0))]).sends(2, Phase::Info, &[(11, None)]);
    other.polls(3, &[(0, 11)]).is(&[Anomaly::InconsistentOffsets, Anomaly::Lost]);
}

#[test]
fn a_record_at_two_offsets_is_found_unless_retries_may_repeat_it() {
    let twice = |idempotent| {
        let sent = history().sends_at(1, Phase::Ok, (Acks::All, idempotent), &[(10, Some(0))]);
        sent.polls(2, &[(0, 10), (1, 10)]).drained(2, 2)
    };
    twice(true).is(&[Anomaly::Duplicate]);
    twice(false).is_valid();
    assert_eq!(twice(false).verdict().allowed["duplicate"].count, 1);
    history().sends(1, Phase::Ok, &[(10, Some(0))]).polls(2, &[(1, 10)]).is(&[Anomaly::Duplicate]);
}

#[test]
fn a_record_that_was_said_not_to_be_written_is_found() {
    history().sends(1, Phase::Fail, &[(10, None)]).polls(2, &[(0, 10)]).is(&[Anomaly::AbortedRead]);
    history().sends(1, Phase::Info, &[(10, None)]).polls(2, &[(0, 10)]).is_valid();
}

#[test]
fn a_record_of_nobodys_is_found() {
    history().polls(2, &[(0, 10)]).is(&[Anomaly::NoWriter]);
    let altered = What::Poll(Polled { records: vec![SeenRecord { key: 0, offset: 0, value: None }] });
    history().add(2, Phase::Ok, altered).is(&[Anomaly::NoWriter]);
    let elsewhere = What::Poll(Polled { records: vec![SeenRecord { key: 1, offset: 0, value: Some(10) }] });
    history().sends(1, Phase::Info, &[(10, None)]).add(2, Phase::Ok, elsewhere).is(&[Anomaly::NoWriter]);
}

#[test]
fn a_record_read_before_it_was_sent_is_found() {
    history().polls(2, &[(0, 10)]).sends(1, Phase::Info, &[(10, None)]).is(&[Anomaly::FutureRead]);
    history().polls(2, &[(0, 10)]).sends(1, Phase::Info, &[(10, None)]).begun(0).is_valid();
}

#[test]
fn records_of_one_operation_in_another_order_are_found_unless_retries_may_turn_them() {
    let turned = |idempotent| {
        let records = [(10, Some(1)), (11, Some(0))];
        let sent = history().sends_at(1, Phase::Ok, (Acks::All, idempotent), &records);
        sent.polls(2, &[(0, 11), (1, 10)]).drained(2, 2)
    };
    turned(true).is(&[Anomaly::IntSendNonmonotonic]);
    turned(false).is_valid();
}

#[test]
fn records_of_two_operations_in_another_order_are_found() {
    let turned = history().sends(1, Phase::Ok, &[(10, Some(1))]).sends(1, Phase::Ok, &[(11, Some(0))]);
    // Their order is against that in which they were sent and acknowledged, too.
    turned
        .polls(2, &[(0, 11), (1, 10)])
        .drained(2, 2)
        .is(&[Anomaly::NonmonotonicSend, Anomaly::NonlinearizableAppend]);
    let others = history().sends(1, Phase::Ok, &[(10, Some(0))]).sends(2, Phase::Ok, &[(11, Some(1))]);
    others.polls(2, &[(0, 10), (1, 11)]).drained(2, 2).is_valid();
}

#[test]
fn a_record_whose_place_is_only_read_is_held_to_the_order_too() {
    let turned = |second: (u64, u64)| {
        let sent = history().sends(1, Phase::Ok, &[(10, Some(1))]).sends(1, Phase::Info, &[(11, None)]);
        sent.polls(2, &[second, (1, 10)])
    };
    let verdict = turned((0, 11)).verdict();
    assert!(verdict.anomalies.contains_key("nonmonotonic-send"), "{verdict:?}");
}

#[test]
fn a_poll_that_passes_over_a_record_is_found() {
    let polls = three().polls(2, &[(0, 10), (2, 12)]).polls(3, &[(0, 10), (1, 11), (2, 12)]);
    polls.drained(3, 3).is(&[Anomaly::IntPollSkip]);
    // Offsets that hold nothing are no records.
    let holes = history().sends(1, Phase::Ok, &[(10, Some(0)), (12, Some(5))]);
    holes.polls(2, &[(0, 10), (5, 12)]).drained(2, 6).is_valid();
}

#[test]
fn two_polls_that_pass_over_a_record_are_found_unless_assigned_anew() {
    let all = [(0, 10), (1, 11), (2, 12)];
    let skips = |history: History| history.polls(2, &[(2, 12)]).polls(3, &all).drained(3, 3);
    skips(three().polls(2, &[(0, 10)])).is(&[Anomaly::PollSkip]);
    skips(three().polls(2, &[(0, 10)]).assigns(2, AssignFrom::End)).is_valid();
    skips(three().polls(2, &[(0, 10)]).assigns(2, AssignFrom::Position)).is(&[Anomaly::PollSkip]);
}

#[test]
fn a_poll_that_goes_back_is_found_unless_assigned_anew() {
    let all = [(0, 10), (1, 11), (2, 12)];
    three().polls(2, &[(0, 10), (1, 11), (2, 12), (1, 11)]).drained(2, 2).is(&[Anomaly::IntPollNonmonotonic]);
    three().polls(2, &all).polls(2, &[(1, 11)]).drained(2, 2).is(&[Anomaly::NonmonotonicPoll]);
    three().polls(2, &all).assigns(2, AssignFrom::Beginning).polls(2, &all).drained(2, 3).is_valid();
}

#[test]
fn a_poll_that_failed_moves_nobody() {
    let failed = What::Poll(Polled { records: vec![SeenRecord { key: 0, offset: 0, value: Some(10) }] });
    three().add(2, Phase::Fail, failed).polls(2, &[(0, 10), (1, 11), (2, 12)]).drained(2, 3).is_valid();
}

#[test]
fn an_end_before_what_was_acknowledged_is_found_if_it_must_count_it() {
    let all = [(0, 10), (1, 11), (2, 12)];
    three().ends(2, 2, true).polls(3, &all).drained(3, 3).is(&[Anomaly::NonlinearizableAppend]);
    three().ends(2, 2, false).polls(3, &all).drained(3, 3).is_valid();
    three().ends(2, 3, true).polls(3, &all).drained(3, 3).is_valid();
}

#[test]
fn an_end_before_one_that_the_process_knew_is_found() {
    let all = [(0, 10), (1, 11), (2, 12)];
    let back = three().ends(2, 3, false).ends(2, 2, false).polls(3, &all).drained(3, 3);
    back.is(&[Anomaly::NonmonotonicEnd]);
    let polled = three().polls(2, &all).ends(2, 2, false).drained(2, 3);
    polled.is(&[Anomaly::NonmonotonicEnd]);
    // To assign anew forgets no end.
    let anew = three().polls(2, &all).drained(2, 3).assigns(2, AssignFrom::End).ends(2, 2, false);
    anew.is(&[Anomaly::NonmonotonicEnd]);
    three().ends(2, 3, false).ends(3, 2, false).polls(3, &all).drained(3, 3).is_valid();
}

#[test]
fn what_a_run_is_allowed_breaks_no_promise() {
    let lost = three().polls(2, &[(0, 10), (2, 12)]).drained(2, 3);
    let verdict = lost.verdict_with(Promises { allowed: [Anomaly::Lost].into() });

    assert_eq!((verdict.validity, verdict.allowed["lost-write"].count), (Validity::Valid, 1));
}

#[test]
fn every_anomaly_has_a_name_of_its_own() {
    let found: Vec<_> = Anomaly::ALL.iter().filter_map(|anomaly| Anomaly::by_name(anomaly.name())).collect();
    assert_eq!(found, Anomaly::ALL);
}

/// An append of an offset, or a linearizable read of an end, with when it began and ended.
type Timed = (Option<u64>, u64, u64, u64);

/// Whether some order of these operations has each between its beginning and its end: all of them tried.
fn has_an_order(done: u64, left: &[Timed], now: u64) -> bool {
    if left.is_empty() {
        return true;
    }
    (0..left.len()).any(|at| {
        let (append, end, invoked, completed) = left[at];
        let is_next = append.map_or(end == done, |offset| offset == done);
        // It takes effect as early as it can.
        let when = now.max(invoked);
        let mut rest = left.to_vec();
        rest.remove(at);
        is_next && when <= completed && has_an_order(done + u64::from(append.is_some()), &rest, when)
    })
}

/// Up to four appends and four reads, with distinct beginnings and ends.
fn timed() -> impl Strategy<Value = Vec<Timed>> {
    let spans = prop::collection::vec((0..12_u64, 0..6_u64, 0..4_u64), 0..8);
    (spans, 0..4_usize).prop_map(|(spans, appends)| {
        let last = appends.min(spans.len()) as u64;
        let timed = |(at, (invoked, length, end)): (usize, (u64, u64, u64))| {
            let append = (at < appends).then_some(at as u64);
            // The appends that there are make up a log without holes. An end beyond it is for other checks to see.
            (append, end % (last + 1), invoked * 16 + at as u64, (invoked + length) * 16 + 8 + at as u64)
        };
        spans.into_iter().enumerate().map(timed).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn appends_and_ends_have_an_order_exactly_if_one_of_all_orders_fits(timed in timed()) {
        let appends: BTreeMap<u64, Append> = timed
            .iter()
            .filter_map(|(append, _, invoked, completed)| {
                append.map(|offset| (offset, Append { invoked: *invoked, completed: *completed }))
            })
            .collect();
        let mut ends = Ends::default();
        for (_, end, invoked, completed) in timed.iter().filter(|(append, ..)| append.is_none()) {
            let read = EndRead { key: 0, end: Some(*end), linearizable: true };
            let read = operation(1, (*invoked, *completed), Phase::Ok, What::End(read));
            let _ = ends.take(&read, 0, (*end, true), None);
        }
        let greedy = misplaced(&appends, ends.of(0)).is_empty();
        prop_assert_eq!(greedy, has_an_order(0, &timed, 0), "{:?}", timed);
    }
}
