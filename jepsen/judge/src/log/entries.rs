//! What is known of each record and of each offset.

use std::collections::BTreeMap;

use crate::history::{Operation, Phase, SeenRecord, Send, SentRecord};

/// A record that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Its log.
    pub(super) key: u32,
    /// Where it was acknowledged to be, if that was.
    pub(super) offset: Option<u64>,
    /// Whether it must stay: acknowledged, at a level that promises so.
    pub(super) is_promised: bool,
    /// Whether retries may write it twice.
    pub(super) may_repeat: bool,
    /// Whether it is certainly not written.
    pub(super) is_aborted: bool,
    /// Index of the event in which it was sent.
    pub(super) invoked: u64,
    /// Index of the event in which its outcome was told; the highest if none was, or if it says nothing of when it was
    /// committed.
    pub(super) completed: u64,
}

impl Sent {
    /// What an operation tells of one of its records.
    pub(super) fn of(operation: &Operation, send: &Send, record: SentRecord) -> Self {
        let is_acknowledged = record.offset.is_some();
        // A send that took effect was acknowledged as a whole, whether or not the history says where each record is.
        let is_promised =
            send.acks == crate::history::Acks::All && (is_acknowledged || operation.outcome == Phase::Ok);
        Self {
            key: record.key,
            offset: record.offset,
            is_promised,
            may_repeat: !send.idempotent,
            is_aborted: operation.outcome == Phase::Fail && !is_acknowledged,
            invoked: operation.invoked,
            completed: if is_promised { operation.completed } else { u64::MAX },
        }
    }
}

/// What was read at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Occupied {
    /// The record; none if it was none that anybody sent.
    pub(super) value: Option<u64>,
    /// Index of the event in which it was first read.
    pub(super) seen: u64,
}

/// A log as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    /// What was read, by offset.
    pub(super) by_offset: BTreeMap<u64, Occupied>,
    /// Where each record was first read.
    pub(super) read_at: BTreeMap<u64, u64>,
    /// How far it was read from its beginning to its end.
    pub(super) drained: Option<Drain>,
}

/// A log was read from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Drain {
    /// The end, exclusive.
    pub(super) end: u64,
    /// Index of the event in which that end was asked for, linearizably: what was acknowledged before is before it. 0 if it
    /// was not asked for so.
    pub(super) asked: u64,
}

/// What is wrong with a record that was just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// Another record was read there before, in this event.
    Offset(Option<u64>, u64),
    /// It was read elsewhere before, at this offset and in this event.
    Value(u64, u64),
}

impl Entries {
    /// Notes that a record was read.
    pub(super) fn see(&mut self, record: SeenRecord, index: u64) -> Option<Clash> {
        let occupied = self.by_offset.entry(record.offset);
        let first = *occupied.or_insert(Occupied { value: record.value, seen: index });
        if first.value != record.value {
            return Some(Clash::Offset(first.value, first.seen));
        }
        let at = *self.read_at.entry(record.value?).or_insert(record.offset);
        let seen = || self.by_offset.get(&at).map_or(index, |occupied| occupied.seen);
        (at != record.offset).then(|| Clash::Value(at, seen()))
    }

    /// An offset between two others, both exclusive, at which something was read; from none on it is any before the second.
    pub(super) fn between(&self, from: Option<u64>, to: u64) -> Option<u64> {
        let first = from.map_or(0, |from| from.saturating_add(1));
        let mut range = self.by_offset.range(first..to.max(first));
        range.next().map(|(offset, _)| *offset)
    }
}
