//! An operation in a few words, however many records it has.

use std::fmt::Write as _;

use jepsen_judge::history::{Operation, Phase, What};

use super::action::Action;
use super::units::{Moment, Took};

/// The most records that are named one by one.
const RECORDS_MAX: usize = 8;

/// What an operation was, when, and what came of it.
pub(super) fn operation(operation: &Operation) -> String {
    let action = Action::of(&operation.what).map_or_else(|| "fault".to_owned(), |action| action.to_string());
    let mut words = format!("{}: {action}, {}", operation.actor, outcome(operation));
    let _ = write!(words, "\nevent {} at {}", operation.invoked, Moment(operation.invoked_ns));
    if operation.completed_ns != u64::MAX {
        let took = Took(operation.completed_ns.saturating_sub(operation.invoked_ns));
        let _ = write!(words, ", event {} {took} later", operation.completed);
    }
    let came = came_of(&operation.what);
    if !came.is_empty() {
        let _ = write!(words, "\n{came}");
    }
    if let Some(error) = &operation.error {
        let _ = write!(words, "\n{error}");
    }
    words
}

/// How an operation ended.
pub(super) fn outcome(operation: &Operation) -> &'static str {
    match operation.outcome {
        Phase::Ok => "ok",
        Phase::Fail => "failed",
        Phase::Info | Phase::Invoke if operation.completed_ns == u64::MAX => "never ended",
        Phase::Info | Phase::Invoke => "unknown",
    }
}

fn came_of(what: &What) -> String {
    let value = |value: Option<u64>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
    match what {
        What::Send(send) => {
            let records = send.records.iter().map(|record| match record.offset {
                Some(offset) => format!("record {} to log {} at {offset}", record.value, record.key),
                None => format!("record {} to log {}", record.value, record.key),
            });
            few(records, if send.idempotent { "idempotent: " } else { "" })
        }
        What::Poll(polled) => {
            let records = polled.records.iter().map(|record| match record.value {
                Some(of) => format!("record {of} of log {} at {}", record.key, record.offset),
                None => format!("nobody's record of log {} at {}", record.key, record.offset),
            });
            few(records, &format!("{} records: ", polled.records.len()))
        }
        What::Assign(assign) => few(assign.keys.iter().map(|key| format!("log {key}")), ""),
        What::End(end) => format!("log {} ends at {}", end.key, value(end.end)),
        What::Drained(drained) => format!("log {} read to its end, {}", drained.key, drained.end),
        What::Read(register) | What::Write(register) => {
            format!("register {}: {}", register.key, value(register.value))
        }
        What::CompareAndSet(set) => {
            format!("register {}: {} if it holds {}", set.key, set.value, value(set.expected))
        }
        What::Fault(fault) => fault.kind.clone(),
        What::Crash => String::new(),
    }
}

/// The first of some things.
fn few(things: impl ExactSizeIterator<Item = String>, before: &str) -> String {
    let more = things.len().saturating_sub(RECORDS_MAX);
    let mut words = format!("{before}{}", things.take(RECORDS_MAX).collect::<Vec<_>>().join(", "));
    if more > 0 {
        let _ = write!(words, " and {more} more");
    }
    words
}

#[cfg(test)]
mod tests {
    use jepsen_judge::history::{Acks, Actor, Polled, SeenRecord, Send, SentRecord};

    use super::*;

    fn done(what: What, completed_ns: u64, outcome: Phase) -> Operation {
        Operation {
            actor: Actor::Process(3),
            invoked: 7,
            completed: 9,
            invoked_ns: 1_000_000_000,
            completed_ns,
            outcome,
            what,
            error: None,
        }
    }

    #[test]
    fn a_send_says_where_its_records_are() {
        let records = vec![
            SentRecord { key: 1, value: 5, offset: Some(40) },
            SentRecord { key: 2, value: 6, offset: None },
        ];
        let send = What::Send(Send { acks: Acks::All, idempotent: true, records });
        let words = operation(&done(send, 1_002_500_000, Phase::Ok)).replace('\u{a0}', " ");

        let expected = "process 3: send, acks=all, ok\nevent 7 at 1.000 s, event 9 2.5 ms later\n\
                        idempotent: record 5 to log 1 at 40, record 6 to log 2";
        assert_eq!(words, expected);
    }

    #[test]
    fn a_poll_of_many_records_names_a_few() {
        let records = (0..100).map(|offset| SeenRecord { key: 0, offset, value: Some(offset) }).collect();
        let words =
            operation(&done(What::Poll(Polled { records }), u64::MAX, Phase::Info)).replace('\u{a0}', " ");

        assert!(
            words.starts_with("process 3: poll, never ended\nevent 7 at 1.000 s\n100 records: "),
            "{words}"
        );
        assert!(words.ends_with("record 7 of log 0 at 7 and 92 more"), "{words}");
    }
}
