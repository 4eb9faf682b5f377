//! The records that anomalies are about: who was told that they are there, and who saw them or something else in their place.

use std::collections::{BTreeMap, BTreeSet};

use jepsen_judge::history::{Acks, Actor, Operation, Phase, SeenRecord, What};
use jepsen_judge::verdict::{Case, Cases};

use crate::store::ResultsFile;

/// The most places at which one record was read that are kept, and records read in its place.
const PLACES_MAX: usize = 4;

/// Records that cases name first: those that something is wrong with.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    /// The records by what names them.
    pub(super) by_value: BTreeMap<u64, Traced>,
    /// Which of them were acknowledged to be where.
    at: BTreeMap<(u32, u64), BTreeSet<u64>>,
}

/// What is known of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traced {
    /// Its log.
    pub(super) key: u32,
    /// What is wrong with it, by name.
    pub(super) anomalies: BTreeSet<String>,
    /// Whether all of that breaks no promise.
    pub(super) is_allowed: bool,
    /// How it was sent; none if nobody sent it.
    pub(super) sent: Option<Sending>,
    /// Where it was read.
    pub(super) read: Seen,
    /// What else was read where it was acknowledged to be.
    pub(super) instead: Seen,
}

/// How a record was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    /// By whom.
    pub(super) actor: Actor,
    /// When it was to be acknowledged.
    pub(super) acks: Acks,
    /// Whether its producer was idempotent.
    pub(super) idempotent: bool,
    /// Index of the event in which it was sent.
    pub(super) invoked: u64,
    /// When that was.
    pub(super) invoked_ns: u64,
    /// Index of the event that told the outcome; [`u64::MAX`] if none did.
    pub(super) completed: u64,
    /// When that was.
    pub(super) completed_ns: u64,
    /// How it ended.
    pub(super) outcome: Phase,
    /// Where it was acknowledged to be, if that was.
    pub(super) offset: Option<u64>,
}

/// What was seen, how often, and the first that saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// How often anything was.
    pub(super) count: u64,
    /// The first time for each record and place.
    pub(super) first: Vec<Sighting>,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// The record; none if it was nobody's.
    pub(super) value: Option<u64>,
    /// Where it was.
    pub(super) offset: u64,
    /// Who read it.
    pub(super) actor: Actor,
    /// Index of the event.
    pub(super) index: u64,
    /// When that was.
    pub(super) at_ns: u64,
}

impl Records {
    /// The records that cases are about.
    pub(super) fn of(results: &ResultsFile) -> Self {
        let mut records = Self::default();
        for verdict in results.checkers.values() {
            records.add(&verdict.allowed, true);
            records.add(&verdict.anomalies, false);
        }
        records
    }

    fn add(&mut self, anomalies: &BTreeMap<String, Cases>, is_allowed: bool) {
        for (name, cases) in anomalies {
            for case in &cases.examples {
                let Some(value) = first_record(case) else { continue };
                let traced = self.by_value.entry(value).or_insert_with(|| Traced {
                    key: case.key,
                    is_allowed,
                    ..Traced::default()
                });
                traced.is_allowed &= is_allowed;
                traced.anomalies.insert(name.clone());
            }
        }
    }

    /// Finds how they were sent.
    pub(super) fn take_send(&mut self, operation: &Operation) {
        let What::Send(send) = &operation.what else { return };
        for record in &send.records {
            let Some(traced) = self.by_value.get_mut(&record.value) else { continue };
            traced.key = record.key;
            traced.sent = Some(Sending {
                actor: operation.actor,
                acks: send.acks,
                idempotent: send.idempotent,
                invoked: operation.invoked,
                invoked_ns: operation.invoked_ns,
                completed: operation.completed,
                completed_ns: operation.completed_ns,
                outcome: operation.outcome,
                offset: record.offset,
            });
        }
    }

    /// Notes where they must be, once every send has been taken.
    pub(super) fn locate(&mut self) {
        for (value, traced) in &self.by_value {
            if let Some(offset) = traced.sent.and_then(|sent| sent.offset) {
                self.at.entry((traced.key, offset)).or_default().insert(*value);
            }
        }
    }

    /// Finds who read them, or something else in their place.
    pub(super) fn take_poll(&mut self, operation: &Operation) {
        let What::Poll(polled) = &operation.what else { return };
        if self.by_value.is_empty() {
            return;
        }
        for record in &polled.records {
            if let Some(traced) = record.value.and_then(|value| self.by_value.get_mut(&value)) {
                traced.read.add(operation, *record);
            }
            for value in self.at.get(&(record.key, record.offset)).into_iter().flatten() {
                if record.value != Some(*value)
                    && let Some(traced) = self.by_value.get_mut(value)
                {
                    traced.instead.add(operation, *record);
                }
            }
        }
    }
}

impl Seen {
    fn add(&mut self, operation: &Operation, record: SeenRecord) {
        self.count += 1;
        let is_known = |seen: &Sighting| (seen.value, seen.offset) == (record.value, record.offset);
        if self.first.len() < PLACES_MAX && !self.first.iter().any(is_known) {
            self.first.push(Sighting {
                value: record.value,
                offset: record.offset,
                actor: operation.actor,
                index: operation.completed,
                at_ns: operation.completed_ns,
            });
        }
    }
}

/// The record that a case names first.
fn first_record(case: &Case) -> Option<u64> {
    let (_, after) = case.words.split_once("record ")?;
    let digits = after.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use jepsen_judge::history::{Polled, Send, SentRecord};
    use jepsen_judge::log::{Checker, Promises};

    use super::*;
    use crate::store::SCHEMA;

    fn operation(process: u32, index: u64, what: What) -> Operation {
        Operation {
            actor: Actor::Process(process),
            invoked: index,
            completed: index + 1,
            invoked_ns: index * 10,
            completed_ns: index * 10 + 10,
            outcome: Phase::Ok,
            what,
            error: None,
        }
    }

    fn send(process: u32, index: u64, records: &[(u32, u64, Option<u64>)]) -> Operation {
        let records = records.iter().copied().map(SentRecord::from).collect();
        operation(process, index, What::Send(Send { acks: Acks::All, idempotent: true, records }))
    }

    fn poll(process: u32, index: u64, records: &[(u32, u64, Option<u64>)]) -> Operation {
        let records = records.iter().copied().map(SeenRecord::from).collect();
        operation(process, index, What::Poll(Polled { records }))
    }

    /// What the judge says of a history, and what is found of the records that it names.
    fn traced(history: &[Operation]) -> BTreeMap<u64, Traced> {
        let mut checker = Checker::new(Promises::default());
        history.iter().for_each(|operation| checker.take(operation));
        let verdict = checker.finish();
        let results = ResultsFile {
            schema: SCHEMA.to_owned(),
            validity: verdict.validity,
            checkers: [("log".to_owned(), verdict)].into(),
            availability: Default::default(),
            failures: Vec::new(),
            unknown_because: Vec::new(),
            evidence: [].into(),
        };
        let mut records = Records::of(&results);
        history.iter().for_each(|operation| records.take_send(operation));
        records.locate();
        history.iter().for_each(|operation| records.take_poll(operation));
        records.by_value
    }

    #[test]
    fn a_lost_record_is_traced_to_who_was_told_that_it_stays_and_to_what_is_there() {
        let found = traced(&[
            send(1, 0, &[(0, 70, Some(0)), (0, 71, Some(1))]),
            send(2, 2, &[(0, 72, Some(1))]),
            poll(3, 4, &[(0, 0, Some(70)), (0, 1, Some(72))]),
            poll(4, 6, &[(0, 1, Some(72))]),
        ]);

        assert_eq!(found.keys().collect::<Vec<_>>(), [&71]);
        let lost = &found[&71];
        assert_eq!(lost.anomalies, ["inconsistent-offsets".to_owned(), "lost-write".to_owned()].into());
        let sent = lost.sent.expect("somebody sent it");
        assert_eq!((sent.actor, sent.completed, sent.completed_ns), (Actor::Process(1), 1, 10));
        assert_eq!(sent.offset, Some(1));
        assert_eq!(lost.read, Seen::default());
        let instead = Sighting { value: Some(72), offset: 1, actor: Actor::Process(3), index: 5, at_ns: 50 };
        assert_eq!(lost.instead, Seen { count: 2, first: vec![instead] });
    }

    #[test]
    fn a_duplicate_is_traced_to_both_places() {
        let found =
            traced(&[send(1, 0, &[(0, 70, Some(0))]), poll(3, 4, &[(0, 0, Some(70)), (0, 1, Some(70))])]);

        let twice = &found[&70];
        assert_eq!(twice.anomalies, ["duplicate".to_owned()].into());
        assert_eq!(twice.read.first.iter().map(|seen| seen.offset).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(twice.sent.map(|sent| sent.completed), Some(1));
    }

    #[test]
    fn a_case_names_its_record_first() {
        let case = |words: &str| Case { key: 0, words: words.to_owned(), events: Vec::new() };
        assert_eq!(first_record(&case("record 467, acknowledged at offset 159, was never read")), Some(467));
        assert_eq!(first_record(&case("offset 3 held record 5 and record 6")), Some(5));
        assert_eq!(first_record(&case("process 3 read offset 9 after 5")), None);
        assert_eq!(first_record(&case("offset 3 held a record of nobody's")), None);
    }
}
