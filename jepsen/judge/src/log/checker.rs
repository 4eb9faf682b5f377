//! Takes a history of sends and polls, and says what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use super::anomaly::{Anomaly, Found};
use super::ends::{self, Append, Ends};
use super::entries::{Clash, Drain, Entries, Sent};
use super::positions::{Leap, Polls, Step};
use crate::history::{Acks, Actor, Drained, Operation, Phase, Polled, Send, SentRecord, What};
use crate::verdict::{Case, Verdict};

/// What the system was told to promise less of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// Anomalies that break no promise under this run's configuration and faults.
    pub allowed: BTreeSet<Anomaly>,
}

/// Judges sends and polls.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    promises: Promises,
    sent: BTreeMap<u64, Sent>,
    logs: BTreeMap<u32, Entries>,
    polls: Polls,
    leaps: Vec<Leap>,
    /// Where the last acknowledged record of each process and log is, and in which event that was told.
    last_sent: BTreeMap<(Actor, u32), (u64, u64)>,
    /// Operations of whose records nobody was told where all of them are: who sent them, in which event, and the records.
    late: Vec<(Actor, u64, Vec<SentRecord>)>,
    /// In which event each process last asked where a log ends, linearizably.
    asked: BTreeMap<(Actor, u32), u64>,
    /// The same offset with another record, or the same record at another offset, and the two events that say so.
    clashes: BTreeMap<(u32, u64, Option<u64>), (Clash, u64)>,
    ends: Ends,
    found: Found,
    counts: BTreeMap<String, u64>,
}

impl Checker {
    /// Judges by these promises.
    #[must_use]
    pub fn new(promises: Promises) -> Self {
        Self { promises, ..Self::default() }
    }

    /// Takes the next operation in the order in which they ended; those that never did come last.
    pub fn take(&mut self, operation: &Operation) {
        match &operation.what {
            What::Send(send) => self.take_send(operation, send),
            What::Poll(polled) => self.take_poll(operation, polled),
            What::Assign(assign) if operation.outcome != Phase::Fail => {
                self.polls.assign(operation.actor, assign);
            }
            What::End(end) if operation.outcome == Phase::Ok => self.take_end(operation, *end),
            What::Drained(drained) if operation.outcome == Phase::Ok => {
                self.take_drained(operation, *drained)
            }
            What::Assign(_)
            | What::End(_)
            | What::Drained(_)
            | What::Crash
            | What::Read(_)
            | What::Write(_)
            | What::CompareAndSet(_)
            | What::Fault(_) => {}
        }
        if operation.outcome == Phase::Info {
            self.polls.retire(operation.actor);
        }
    }

    fn count(&mut self, name: &str, more: u64) {
        match self.counts.get_mut(name) {
            Some(count) => *count += more,
            None => drop(self.counts.insert(name.to_owned(), more)),
        }
    }

    fn add(&mut self, anomaly: Anomaly, is_allowed: bool, case: impl FnOnce() -> Case) {
        let is_allowed = is_allowed || self.promises.allowed.contains(&anomaly);
        self.found.add(anomaly, is_allowed, case);
    }

    fn take_send(&mut self, operation: &Operation, send: &Send) {
        let index = operation.completed;
        let is_late = |record: &SentRecord| record.offset.is_none();
        // What failed has no place, and what may be written again any place.
        let is_ordered = operation.outcome != Phase::Fail || !send.records.iter().all(is_late);
        let is_late = send.records.iter().any(is_late);
        if is_late && is_ordered && send.idempotent {
            self.late.push((operation.actor, operation.invoked, send.records.clone()));
        }
        for record in &send.records {
            let sent = Sent::of(operation, send, *record);
            let outcome = match (record.offset, operation.outcome) {
                (Some(_), _) if send.acks == Acks::All => "acknowledged",
                (Some(_), _) => "acknowledged by the leader",
                (None, Phase::Fail) => "not written",
                (None, Phase::Ok) if send.acks == Acks::None => "sent without acknowledgement",
                (None, _) => "unknown",
            };
            self.count(outcome, 1);
            if let Some(other) = self.sent.insert(record.value, sent) {
                self.add(Anomaly::ReusedValue, false, || Case {
                    key: sent.key,
                    words: format!("{} was sent twice", named(Some(record.value))),
                    events: vec![other.invoked, sent.invoked],
                });
            }
            if let Some(offset) = record.offset.filter(|_| sent.is_promised && !(is_late && send.idempotent))
            {
                self.follows(operation.actor, sent, record.value, (offset, index));
            }
        }
    }

    /// Holds that a record is behind the last one of its process.
    fn follows(&mut self, actor: Actor, sent: Sent, value: u64, at: (u64, u64)) {
        let Some(last) = self.last_sent.insert((actor, sent.key), at).filter(|last| last.0 >= at.0) else {
            return;
        };
        let is_internal = last.1 == at.1;
        let anomaly = if is_internal { Anomaly::IntSendNonmonotonic } else { Anomaly::NonmonotonicSend };
        // Without idempotence a batch that is sent again may come behind a later one.
        self.add(anomaly, is_internal && sent.may_repeat, || Case {
            key: sent.key,
            words: format!("{actor} sent record {value} after the one at {}, and it is at {}", last.0, at.0),
            events: vec![last.1, at.1],
        });
    }

    fn take_poll(&mut self, operation: &Operation, polled: &Polled) {
        let (actor, index) = (operation.actor, operation.completed);
        let before = (operation.outcome != Phase::Ok).then(|| self.polls.places_of(actor));
        self.count("polls", 1);
        self.count("read", polled.records.len() as u64);
        for record in &polled.records {
            let clash = self.logs.entry(record.key).or_default().see(*record, index);
            if let Some(clash) = clash {
                self.clashes.entry((record.key, record.offset, record.value)).or_insert((clash, index));
            }
            if !self.polls.is_assigned(actor, record.key) {
                self.add(Anomaly::UnassignedPoll, false, || Case {
                    key: record.key,
                    words: format!("{actor} was given {} at offset {}", named(record.value), record.offset),
                    events: vec![index],
                });
            }
            match self.polls.poll(actor, *record, index) {
                Step::Next => {}
                Step::Leap(leap) => self.leaps.push(leap),
                Step::Back(leap) => self.went_back(leap),
            }
        }
        if let Some(before) = before {
            self.polls.go_back(actor, before);
        }
    }

    fn went_back(&mut self, leap: Leap) {
        let anomaly = if leap.is_internal { Anomaly::IntPollNonmonotonic } else { Anomaly::NonmonotonicPoll };
        self.add(anomaly, false, || Case {
            key: leap.key,
            words: format!("{} read offset {} {}", leap.actor, leap.to.0, after(leap)),
            events: events(leap),
        });
    }

    fn take_end(&mut self, operation: &Operation, read: crate::history::EndRead) {
        let Some(end) = read.end else { return };
        self.count(if read.linearizable { "linearizable ends" } else { "plain ends" }, 1);
        let polled = self.polls.highest(operation.actor, read.key);
        let polled = polled.map(|(offset, event)| (offset.saturating_add(1), event));
        if read.linearizable {
            self.asked.insert((operation.actor, read.key), operation.invoked);
        }
        if let Some((known, event)) = self.ends.take(operation, read.key, (end, read.linearizable), polled) {
            self.add(Anomaly::NonmonotonicEnd, false, || Case {
                key: read.key,
                words: format!("{} was told end {end} after it knew end {known}", operation.actor),
                events: vec![event, operation.completed],
            });
        }
    }

    /// It counts only if the process began at the beginning. Records that it passed and was not given are not there.
    fn take_drained(&mut self, operation: &Operation, drained: Drained) {
        if self.polls.drain(operation.actor, drained.key, drained.end) {
            let asked = self.asked.get(&(operation.actor, drained.key)).copied().unwrap_or_default();
            let entries = self.logs.entry(drained.key).or_default();
            entries.drained = entries.drained.max(Some(Drain { end: drained.end, asked }));
        }
    }

    /// Judges everything that was taken.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        self.judge_late();
        self.judge_leaps();
        self.judge_clashes();
        self.judge_read();
        let unread = self.judge_sent();
        self.judge_order();
        let logs = self.logs.len() as u64;
        self.count("logs", logs);
        let drained = self.logs.values().filter(|log| log.drained.is_some()).count() as u64;
        self.count("logs read to the end", drained);
        let unknown = (!unread.is_empty()).then(|| {
            format!("acknowledged records of logs {unread:?} were not read, and nobody has looked where they must be")
        });
        Verdict::of(self.found.broken, self.found.allowed, unknown, self.counts)
    }

    /// Operations with records whose place was learnt by reading alone: all of them in the order in which they were sent.
    fn judge_late(&mut self) {
        for (actor, index, records) in std::mem::take(&mut self.late) {
            for record in records {
                let Some(sent) = self.sent.get(&record.value).copied() else { continue };
                // What the process sent later was judged already.
                let is_last = self.last_sent.get(&(actor, sent.key)).is_none_or(|last| last.1 <= index);
                let read = || self.logs.get(&sent.key)?.read_at.get(&record.value).copied();
                if let Some(offset) = record.offset.or_else(read).filter(|_| is_last) {
                    self.follows(actor, sent, record.value, (offset, index));
                }
            }
        }
    }

    fn judge_leaps(&mut self) {
        for leap in std::mem::take(&mut self.leaps) {
            let missed = self.logs.get(&leap.key);
            let from = leap.from.map(|(offset, _)| offset);
            let missed = missed.and_then(|log| log.between(from, leap.to.0));
            let Some(missed) = missed else { continue };
            let anomaly = if leap.is_internal { Anomaly::IntPollSkip } else { Anomaly::PollSkip };
            self.add(anomaly, false, || Case {
                key: leap.key,
                words: format!(
                    "{} read offset {} {}, and somebody read one at {missed}",
                    leap.actor,
                    leap.to.0,
                    after(leap)
                ),
                events: events(leap),
            });
        }
    }

    fn judge_clashes(&mut self) {
        for ((key, offset, value), (clash, index)) in std::mem::take(&mut self.clashes) {
            match clash {
                Clash::Offset(other, event) => self.add(Anomaly::InconsistentOffsets, false, || Case {
                    key,
                    words: format!("offset {offset} held {} and {}", named(other), named(value)),
                    events: vec![event, index],
                }),
                Clash::Value(at, event) => {
                    let may_repeat = value.and_then(|value| self.sent.get(&value));
                    let may_repeat = may_repeat.is_some_and(|sent| sent.may_repeat);
                    self.add(Anomaly::Duplicate, may_repeat, || Case {
                        key,
                        words: format!("{} is at offsets {at} and {offset}", named(value)),
                        events: vec![event, index],
                    });
                }
            }
        }
    }

    /// Whether every record that was read may have been there.
    fn judge_read(&mut self) {
        let logs = std::mem::take(&mut self.logs);
        for (key, log) in &logs {
            for (offset, occupied) in &log.by_offset {
                let sent = occupied.value.and_then(|value| self.sent.get(&value)).copied();
                let sent = sent.filter(|sent| sent.key == *key);
                let anomaly = match sent {
                    None => Anomaly::NoWriter,
                    Some(sent) if sent.is_aborted => Anomaly::AbortedRead,
                    Some(sent) if sent.invoked > occupied.seen => Anomaly::FutureRead,
                    Some(_) => continue,
                };
                let sent_in = sent.map(|sent| sent.invoked);
                self.add(anomaly, false, || Case {
                    key: *key,
                    words: format!("{} was read at offset {offset}", named(occupied.value)),
                    events: sent_in.into_iter().chain([occupied.seen]).collect(),
                });
            }
        }
        self.logs = logs;
    }

    /// Whether every record that must stay was read where it was said to be; gives the logs of which that is not known.
    fn judge_sent(&mut self) -> BTreeSet<u32> {
        let mut unread = BTreeSet::new();
        let (sent, logs) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.logs));
        let passed = std::mem::take(&mut self.polls).passed();
        let nothing = Entries::default();
        for (value, sent) in &sent {
            let log = logs.get(&sent.key).unwrap_or(&nothing);
            let Some(offset) = sent.offset else {
                if sent.is_promised && !log.read_at.contains_key(value) {
                    self.unplaced(*value, *sent, log.drained, &mut unread);
                }
                continue;
            };
            let there = log.by_offset.get(&offset).map(|occupied| (occupied.value, occupied.seen));
            if there.is_some_and(|(there, _)| there == Some(*value)) {
                continue;
            }
            let elsewhere = log.read_at.get(value).copied();
            if !sent.is_promised {
                self.count(if elsewhere.is_some() { "moved, unpromised" } else { "not read, unpromised" }, 1);
                continue;
            }
            let case = |words: String, event: Option<u64>| Case {
                key: sent.key,
                words: format!("record {value}, acknowledged at offset {offset}, {words}"),
                events: [sent.invoked, sent.completed].into_iter().chain(event).collect(),
            };
            if let Some((other, seen)) = there {
                let words = || case(format!("is not there: {} is", named(other)), Some(seen));
                self.add(Anomaly::InconsistentOffsets, false, words);
            }
            match elsewhere {
                Some(at) => {
                    let words = || case(format!("was read at offset {at}"), None);
                    self.add(Anomaly::Duplicate, sent.may_repeat, words);
                }
                None if there.is_some()
                    || passed.get(&sent.key).is_some_and(|passed| passed.holds(offset)) =>
                {
                    self.add(Anomaly::Lost, false, || case("was never read".to_owned(), None));
                }
                None => match log.drained {
                    // An end that was told before it was acknowledged need not count it.
                    Some(Drain { end, asked }) if asked == 0 || asked > sent.completed => {
                        let words = || case(format!("was never read: the log ends at {end}"), None);
                        self.add(Anomaly::Unseen, false, words);
                    }
                    _ => drop(unread.insert(sent.key)),
                },
            }
        }
        (self.sent, self.logs) = (sent, logs);
        unread
    }

    /// A record that was acknowledged, nobody knows where, and that nobody has read.
    fn unplaced(&mut self, value: u64, sent: Sent, drained: Option<Drain>, unread: &mut BTreeSet<u32>) {
        match drained {
            Some(drain) if drain.asked > sent.completed => self.add(Anomaly::Lost, false, || Case {
                key: sent.key,
                words: format!("record {value}, acknowledged, was never read: the log ends at {}", drain.end),
                events: vec![sent.invoked, sent.completed],
            }),
            _ => drop(unread.insert(sent.key)),
        }
    }

    /// Whether appends and linearizable ends have an order that fits when they were asked for and answered.
    fn judge_order(&mut self) {
        let logs = std::mem::take(&mut self.logs);
        let mut acknowledged: BTreeMap<u32, BTreeMap<u64, Append>> = BTreeMap::new();
        for sent in self.sent.values().filter(|sent| sent.is_promised) {
            let Some(offset) = sent.offset else { continue };
            let append = Append { invoked: sent.invoked, completed: sent.completed };
            acknowledged.entry(sent.key).or_default().insert(offset, append);
        }
        let keys: BTreeSet<u32> = logs.keys().chain(acknowledged.keys()).copied().collect();
        for key in keys {
            let mut appends = acknowledged.remove(&key).unwrap_or_default();
            for (offset, occupied) in logs.get(&key).into_iter().flat_map(|log| &log.by_offset) {
                let sent = occupied.value.and_then(|value| self.sent.get(&value));
                // What was written twice was acknowledged at one of its places: the other may have come later.
                let is_acknowledged = |sent: &Sent| (sent.key, sent.offset) == (key, Some(*offset));
                let known = sent.map_or(Append { invoked: 0, completed: u64::MAX }, |sent| Append {
                    invoked: sent.invoked,
                    completed: if is_acknowledged(sent) { sent.completed } else { u64::MAX },
                });
                let append = Append { completed: known.completed.min(occupied.seen), ..known };
                appends.insert(*offset, append);
            }
            for misplaced in ends::misplaced(&appends, self.ends.of(key)) {
                self.add(Anomaly::NonlinearizableAppend, false, || Case {
                    key,
                    words: misplaced.to_string(),
                    events: vec![misplaced.must_follow, misplaced.completed],
                });
            }
        }
        self.logs = logs;
    }
}

fn after(leap: Leap) -> String {
    leap.from.map_or_else(
        || "first, though it began before offset 0".to_owned(),
        |from| format!("after {}", from.0),
    )
}

fn events(leap: Leap) -> Vec<u64> {
    leap.from.map(|from| from.1).into_iter().chain([leap.to.1]).collect()
}

fn named(value: Option<u64>) -> String {
    value.map_or_else(|| "a record of nobody's".to_owned(), |value| format!("record {value}"))
}
