//! Registers by hand, and every verdict beside that of another tester.

use super::*;
use crate::history::{Actor, CompareAndSet, Register};
use crate::verdict::Validity;
use proptest::prelude::*;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

const STEPS_MAX: u64 = 1_000_000;

/// What a process does, when it begins and how it ends.
fn operation(process: u32, (invoked, completed): (u64, u64), outcome: Phase, what: What) -> Operation {
    let completed = if outcome == Phase::Info { u64::MAX } else { completed };
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

fn read(at: (u64, u64), value: Option<u64>) -> Operation {
    operation(0, at, Phase::Ok, What::Read(Register { key: 0, value }))
}

fn write(at: (u64, u64), outcome: Phase, value: u64) -> Operation {
    operation(0, at, outcome, What::Write(Register { key: 0, value: Some(value) }))
}

fn cas(at: (u64, u64), outcome: Phase, expected: Option<u64>, value: u64) -> Operation {
    operation(0, at, outcome, What::CompareAndSet(CompareAndSet { key: 0, expected, value }))
}

fn judge(operations: &[Operation]) -> Verdict {
    let mut checker = Checker::default();
    operations.iter().for_each(|operation| checker.take(operation));
    checker.finish(STEPS_MAX)
}

fn validity(operations: &[Operation]) -> Validity {
    judge(operations).validity
}

#[test]
fn a_read_of_the_last_write_is_linearizable() {
    assert_eq!(validity(&[write((0, 1), Phase::Ok, 5), read((2, 3), Some(5))]), Validity::Valid);
}

#[test]
fn a_stale_read_is_found_and_named() {
    let verdict = judge(&[write((0, 1), Phase::Ok, 5), write((2, 3), Phase::Ok, 6), read((4, 5), Some(5))]);

    assert_eq!(verdict.validity, Validity::Invalid);
    let case = &verdict.anomalies[NONLINEARIZABLE].examples[0];
    assert_eq!(
        case.words,
        "Read(Some(5)) fits nowhere between events 4 and 5 after the 2 operations that do"
    );
    assert_eq!(case.events, [4, 5]);
}

#[test]
fn concurrent_reads_may_differ_once_and_never_go_back() {
    let writing = write((0, 9), Phase::Ok, 5);

    let forwards = [writing.clone(), read((1, 2), None), read((3, 4), Some(5))];
    let backwards = [writing, read((1, 2), Some(5)), read((3, 4), None)];
    assert_eq!(validity(&forwards), Validity::Valid);
    assert_eq!(validity(&backwards), Validity::Invalid);
}

#[test]
fn what_nobody_knows_the_end_of_may_happen_late_or_never() {
    let unknown = write((0, 1), Phase::Info, 5);

    assert_eq!(validity(&[unknown.clone(), read((2, 3), None), read((4, 5), Some(5))]), Validity::Valid);
    assert_eq!(validity(&[unknown.clone(), read((2, 3), None)]), Validity::Valid);
    assert_eq!(
        validity(&[unknown, read((2, 3), Some(5)), write((4, 5), Phase::Ok, 6), read((6, 7), Some(5))]),
        Validity::Invalid
    );
}

#[test]
fn what_failed_did_nothing() {
    assert_eq!(validity(&[write((0, 1), Phase::Fail, 5), read((2, 3), Some(5))]), Validity::Invalid);
    assert_eq!(validity(&[write((0, 1), Phase::Fail, 5), read((2, 3), None)]), Validity::Valid);
}

#[test]
fn of_two_conditional_writes_with_one_condition_one_succeeds() {
    let both = [cas((0, 3), Phase::Ok, None, 1), cas((1, 2), Phase::Ok, None, 2)];
    let chain = [cas((0, 3), Phase::Ok, None, 1), cas((1, 2), Phase::Ok, Some(1), 2)];

    assert_eq!(validity(&both), Validity::Invalid);
    assert_eq!(validity(&chain), Validity::Valid);
}

#[test]
fn a_search_that_is_given_up_says_so() {
    let mut checker = Checker::default();
    checker.take(&write((0, 1), Phase::Ok, 5));

    assert_eq!(checker.finish(0).validity, Validity::Unknown);
}

#[test]
fn registers_are_judged_apart() {
    let mut other = read((2, 3), None);
    other.what = What::Read(Register { key: 1, value: None });

    assert_eq!(validity(&[write((0, 1), Phase::Ok, 5), other]), Validity::Valid);
}

/// A register for the judge that ours is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Model(Option<u64>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Read,
    Write(u64),
    CompareAndSet(Option<u64>, u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Told {
    Value(Option<u64>),
    Done,
    Refused,
}

impl SequentialSpec for Model {
    type Op = Asked;
    type Ret = Told;

    fn invoke(&mut self, asked: &Asked) -> Told {
        match asked {
            Asked::Read => Told::Value(self.0),
            Asked::Write(value) => {
                self.0 = Some(*value);
                Told::Done
            }
            Asked::CompareAndSet(expected, value) if *expected == self.0 => {
                self.0 = Some(*value);
                Told::Done
            }
            Asked::CompareAndSet(..) => Told::Refused,
        }
    }
}

/// Histories of up to four processes and eight operations over the values 0 to 2, mostly of one copy with a little noise.
fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let one = (0..4_u32, 0..3_u8, 0..3_u64, 0..4_u64, 0..8_u8, 0..3_u8);
    prop::collection::vec(one, 1..9).prop_map(|steps| {
        let mut operations: Vec<Operation> = Vec::new();
        let mut open: BTreeMap<u32, Operation> = BTreeMap::new();
        let mut index = 0;
        for (process, kind, value, seen, end, patience) in steps {
            let process = (0..patience).fold(process, |process, _| (process + 1) % 4);
            if let Some(mut ended) = open.remove(&process) {
                ended.completed = index;
                operations.push(ended);
                index += 1;
            }
            let expected = seen.checked_sub(1);
            let what = match kind {
                0 => What::Read(Register { key: 0, value: expected }),
                1 => What::Write(Register { key: 0, value: Some(value) }),
                _ => What::CompareAndSet(CompareAndSet { key: 0, expected, value }),
            };
            let outcome = if end == 0 { Phase::Info } else { Phase::Ok };
            // A process whose operation has no known end does nothing more, so its successor has another number.
            let number = if outcome == Phase::Info { 100 + u32::try_from(index).unwrap() } else { process };
            let began = operation(number, (index, index), outcome, what);
            index += 1;
            if outcome == Phase::Info {
                operations.push(began);
            } else {
                open.insert(process, began);
            }
        }
        for mut ended in open.into_values() {
            ended.completed = index;
            index += 1;
            operations.push(ended);
        }
        operations
    })
}

/// What stateright's tester says of the same history.
#[expect(clippy::wildcard_enum_match_arm, reason = "the strategy makes no others")]
fn is_linearizable_to_stateright(operations: &[Operation]) -> bool {
    let mut events: Vec<(u64, bool, &Operation)> = Vec::new();
    for operation in operations {
        events.push((operation.invoked, true, operation));
        if operation.outcome == Phase::Ok {
            events.push((operation.completed, false, operation));
        }
    }
    events.sort_by_key(|(index, ..)| *index);
    let mut tester = LinearizabilityTester::new(Model::default());
    for (_, is_begin, operation) in events {
        let (asked, told) = match &operation.what {
            What::Read(read) => (Asked::Read, Told::Value(read.value)),
            What::Write(write) => (Asked::Write(write.value.unwrap()), Told::Done),
            What::CompareAndSet(cas) => (Asked::CompareAndSet(cas.expected, cas.value), Told::Done),
            other => panic!("{other:?} is no operation of a register"),
        };
        let taken = match is_begin {
            true => tester.on_invoke(operation.actor, asked).map(drop),
            false => tester.on_return(operation.actor, told).map(drop),
        };
        taken.expect("the history is well formed");
    }
    tester.is_consistent()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_that_of_stateright(operations in histories()) {
        let expected = if is_linearizable_to_stateright(&operations) { Validity::Valid } else { Validity::Invalid };

        prop_assert_eq!(validity(&operations), expected, "{:?}", operations);
    }
}
