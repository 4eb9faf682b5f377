//! Ends of logs that clients were told, and the order that they and the appends must have.
//!
//! The offsets order everything: the append of 0, the reads of end 1, the append of 1, the reads of end 2, and so on. So
//! there is an order in which each takes effect between its beginning and its end exactly if placing each as early as
//! those before it allow places none after its own end.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Actor, Operation};

/// When an append may have taken effect: indexes of events, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Append {
    pub(super) invoked: u64,
    pub(super) completed: u64,
}

/// A linearizable read of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Read {
    /// What was told, exclusive.
    pub(super) end: u64,
    pub(super) invoked: u64,
    pub(super) completed: u64,
}

/// Every end that was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    linearizable: BTreeMap<u32, Vec<Read>>,
    /// The highest that each process knows of each log, and in which event it was told.
    known: BTreeMap<(Actor, u32), (u64, u64)>,
}

/// An append or read that fits nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    /// The offset, or the end.
    at: u64,
    is_append: bool,
    /// Index of the event that it must come after, because of what is before it in the log.
    pub(super) must_follow: u64,
    /// Index of the event by which it had taken effect.
    pub(super) completed: u64,
}

impl Ends {
    /// Notes an end that a process was told. `polled` is the end that it knows from polling, with its event. Gives what
    /// it knew, and from which event, if that is more.
    pub(super) fn take(
        &mut self,
        operation: &Operation,
        key: u32,
        (end, is_linearizable): (u64, bool),
        polled: Option<(u64, u64)>,
    ) -> Option<(u64, u64)> {
        if is_linearizable {
            let read = Read { end, invoked: operation.invoked, completed: operation.completed };
            self.linearizable.entry(key).or_default().push(read);
        }
        let told = (end, operation.completed);
        let known = self.known.insert((operation.actor, key), told).max(polled)?;
        if known.0 > end {
            self.known.insert((operation.actor, key), known);
            return Some(known);
        }
        None
    }

    /// The linearizable reads of a log.
    pub(super) fn of(&mut self, key: u32) -> Vec<Read> {
        let mut reads = self.linearizable.remove(&key).unwrap_or_default();
        reads.sort_unstable();
        reads
    }
}

/// What has no place in the order; `reads` ascend.
pub(super) fn misplaced(appends: &BTreeMap<u64, Append>, reads: Vec<Read>) -> Vec<Misplaced> {
    let mut placing = Placing::default();
    let mut reads = reads.into_iter().peekable();
    for (offset, append) in appends {
        while let Some(read) = reads.next_if(|read| read.end <= *offset) {
            placing.read(read);
        }
        placing.append(*offset, *append);
    }
    reads.for_each(|read| placing.read(read));
    placing.misplaced
}

/// Places one after the other.
#[derive(Debug, Default)]
struct Placing {
    /// The earliest at which the next can take effect.
    cursor: u64,
    /// Reads of one end have no order among themselves: each must only follow what is before all of them.
    group: Option<(u64, u64)>,
    misplaced: Vec<Misplaced>,
}

impl Placing {
    fn append(&mut self, offset: u64, append: Append) {
        self.group = None;
        self.place(offset, true, (append.invoked, append.completed), self.cursor);
    }

    fn read(&mut self, read: Read) {
        let base = match self.group {
            Some((end, base)) if end == read.end => base,
            _ => self.cursor,
        };
        self.group = Some((read.end, base));
        self.place(read.end, false, (read.invoked, read.completed), base);
    }

    fn place(&mut self, at: u64, is_append: bool, (invoked, completed): (u64, u64), base: u64) {
        if base > completed {
            self.misplaced.push(Misplaced { at, is_append, must_follow: base, completed });
            // What follows is judged as if this one had been in time.
            return;
        }
        self.cursor = self.cursor.max(invoked);
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, event, completed) = (self.at, self.must_follow, self.completed);
        if self.is_append {
            write!(
                f,
                "offset {at} was there by event {completed}, but what is before it began with event {event}"
            )
        } else {
            write!(
                f,
                "end {at} was told by event {completed}, but a record before it was sent in event {event}"
            )
        }
    }
}
