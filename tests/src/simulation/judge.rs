//! What must be true of records that were sent and of those that were read afterwards, as a pure function.
//!
//! Every acknowledged record is there once, at the offset that was told and with its bytes; nothing is there twice, that
//! nobody sent, or that was said not to be; records of one producer in one partition are in the order of sending.

use core::fmt;
use std::collections::BTreeMap;

use bytes::Bytes;
use highwater_model::id::{Offset, PartitionIndex};

/// Names a record: who sent it, and the how many-th of its sender it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordName {
    /// The sender.
    pub producer: u32,
    /// Counts the sender's records over all partitions.
    pub sequence: u64,
}

/// What a sender was told about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written, at this offset.
    Acknowledged(Offset),
    /// It may be written.
    Unknown,
    /// It is certainly not written.
    NotWritten,
}

/// A record that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which.
    pub name: RecordName,
    /// Where to.
    pub partition: PartitionIndex,
    /// Its bytes.
    pub value: Bytes,
    /// What became of it.
    pub fate: Fate,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name in its key, if there is one.
    pub name: Option<RecordName>,
    /// Where it was read.
    pub partition: PartitionIndex,
    /// At which offset.
    pub offset: Offset,
    /// Its bytes.
    pub value: Bytes,
}

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// The record, if it has a name.
    pub name: Option<RecordName>,
    /// Its partition.
    pub partition: PartitionIndex,
    /// Where it was read, or, if it was not, where it should have been.
    pub offset: Offset,
}

/// The promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was acknowledged and is not there.
    Lost,
    /// It is there, and not where its sender was told.
    Moved,
    /// It is there more than once.
    Duplicated,
    /// It is there behind a later record of its sender.
    Reordered,
    /// It has other bytes than were sent.
    Altered,
    /// Nobody sent it there.
    Invented,
    /// Its sender was told that it is certainly not written.
    Denied,
}

impl RecordName {
    /// The form in which it stands in a record's key.
    #[must_use]
    pub fn key(self) -> Bytes {
        self.to_string().into()
    }

    /// Reads what [`Self::key`] wrote.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (producer, sequence) = core::str::from_utf8(key).ok()?.split_once('/')?;
        Some(Self { producer: producer.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.producer, self.sequence)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.map_or_else(|| "without a name".to_owned(), |name| name.to_string());
        write!(f, "{:?}: record {name} of partition {} at offset {}", self.kind, self.partition, self.offset)
    }
}

/// Every broken promise, in the order of partitions and offsets, lost records last. `seen` is in the order of reading.
#[must_use]
pub fn judge(sent: &[Sent], seen: &[Seen]) -> Vec<Violation> {
    let by_name: BTreeMap<RecordName, &Sent> = sent.iter().map(|sent| (sent.name, sent)).collect();
    let mut found: BTreeMap<RecordName, Offset> = BTreeMap::new();
    let mut latest: BTreeMap<(PartitionIndex, u32), u64> = BTreeMap::new();
    let mut violations = Vec::new();
    for seen in seen {
        let violation =
            |kind| Violation { kind, name: seen.name, partition: seen.partition, offset: seen.offset };
        let known = seen.name.and_then(|name| by_name.get(&name).copied());
        let Some(sent) = known.filter(|sent| sent.partition == seen.partition) else {
            violations.push(violation(Kind::Invented));
            continue;
        };
        violations.extend(judge_one(sent, seen).map(violation));
        let last = latest.entry((seen.partition, sent.name.producer)).or_default();
        if found.insert(sent.name, seen.offset).is_some() {
            violations.push(violation(Kind::Duplicated));
        } else if sent.name.sequence < *last {
            violations.push(violation(Kind::Reordered));
        }
        *last = (*last).max(sent.name.sequence);
    }
    violations.extend(sent.iter().filter(|sent| !found.contains_key(&sent.name)).filter_map(lost));
    violations
}

/// What is wrong with a record by itself.
fn judge_one(sent: &Sent, seen: &Seen) -> Option<Kind> {
    match sent.fate {
        _ if sent.value != seen.value => Some(Kind::Altered),
        Fate::Acknowledged(offset) if offset != seen.offset => Some(Kind::Moved),
        Fate::NotWritten => Some(Kind::Denied),
        Fate::Acknowledged(_) | Fate::Unknown => None,
    }
}

fn lost(sent: &Sent) -> Option<Violation> {
    let Fate::Acknowledged(offset) = sent.fate else { return None };
    Some(Violation { kind: Kind::Lost, name: Some(sent.name), partition: sent.partition, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: PartitionIndex = PartitionIndex(1);

    fn sent(sequence: u64, fate: Fate) -> Sent {
        let name = RecordName { producer: 7, sequence };
        Sent { name, partition: PARTITION, value: name.key(), fate }
    }

    fn acknowledged(count: u64) -> Vec<Sent> {
        (0..count).map(|sequence| sent(sequence, Fate::Acknowledged(Offset(sequence)))).collect()
    }

    fn seen(sequence: u64, offset: u64) -> Seen {
        let name = RecordName { producer: 7, sequence };
        Seen { name: Some(name), partition: PARTITION, offset: Offset(offset), value: name.key() }
    }

    fn kinds(sent: &[Sent], seen: &[Seen]) -> Vec<(Kind, u64)> {
        judge(sent, seen).iter().map(|violation| (violation.kind, violation.offset.0)).collect()
    }

    #[test]
    fn what_was_promised_is_in_order() {
        let all: Vec<Seen> = (0..5).map(|at| seen(at, at)).collect();

        assert_eq!(kinds(&acknowledged(5), &all), []);
    }

    #[test]
    fn a_lost_record_is_found_and_named() {
        let violations = judge(&acknowledged(3), &[seen(0, 0), seen(2, 2)]);

        let words: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["Lost: record 7/1 of partition 1 at offset 1"]);
    }

    #[test]
    fn a_duplicated_record_is_found() {
        let twice = [seen(0, 0), seen(1, 1), seen(1, 2)];

        assert_eq!(kinds(&acknowledged(2), &twice), [(Kind::Moved, 2), (Kind::Duplicated, 2)]);
        assert_eq!(kinds(&[sent(1, Fate::Unknown)], &twice[1..]), [(Kind::Duplicated, 2)]);
    }

    #[test]
    fn reordered_records_are_found() {
        let unknown = [sent(0, Fate::Unknown), sent(1, Fate::Unknown)];

        assert_eq!(kinds(&unknown, &[seen(1, 0), seen(0, 1)]), [(Kind::Reordered, 1)]);
    }

    #[test]
    fn an_altered_record_is_found() {
        let altered = Seen { value: "x".into(), ..seen(0, 0) };

        assert_eq!(kinds(&acknowledged(1), &[altered]), [(Kind::Altered, 0)]);
    }

    #[test]
    fn a_record_at_another_offset_is_found() {
        assert_eq!(kinds(&acknowledged(1), &[seen(0, 4)]), [(Kind::Moved, 4)]);
    }

    #[test]
    fn what_nobody_sent_there_is_found() {
        let elsewhere = Seen { partition: PartitionIndex(2), ..seen(0, 0) };
        let nameless = Seen { name: None, ..seen(0, 1) };

        let found = kinds(&[sent(0, Fate::Unknown)], &[elsewhere, nameless, seen(9, 2)]);

        assert_eq!(found, [(Kind::Invented, 0), (Kind::Invented, 1), (Kind::Invented, 2)]);
    }

    #[test]
    fn what_was_said_not_to_be_written_is_found() {
        assert_eq!(kinds(&[sent(0, Fate::NotWritten)], &[seen(0, 3)]), [(Kind::Denied, 3)]);
        assert_eq!(kinds(&[sent(0, Fate::NotWritten), sent(1, Fate::Unknown)], &[]), []);
    }

    #[test]
    fn a_name_is_read_back_from_its_key() {
        let name = RecordName { producer: 3, sequence: 12 };

        assert_eq!(RecordName::parse(&name.key()), Some(name));
        assert_eq!(RecordName::parse(b"3-12"), None);
    }
}
