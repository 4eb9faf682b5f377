//! What clients were told, from a history of a chaos run: which records were acknowledged at acks=all, and whether they are there.
//!
//! A history is lines of JSON. Of each this reads only what it is of (`f` is `send`, `type` is not `invoke`) and, under `value`, at which
//! `acks`, whether by an idempotent producer, and the records as `[partition, name, offset]`: an offset says that the record was acknowledged.
//! The record's key in the log is its name in decimal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;

use super::directory::Log;
use super::findings::{Held, Report};
use super::log::{Extent, Stored};
use super::segment::Unreadable;

const ABSENT: &str = "acknowledged record is not there";
const ELSEWHERE: &str = "acknowledged record is elsewhere";

/// No line of a history is longer, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    phase: String,
    f: String,
    #[serde(default)]
    value: serde_json::Value,
}

/// What is read of a send.
#[derive(Deserialize)]
struct Send {
    acks: String,
    idempotent: bool,
    records: Vec<(u32, u64, Option<u64>)>,
}

/// A record that was acknowledged at acks=all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    name: u64,
    partition: u32,
    offset: u64,
    /// Whether it must be there only once.
    is_idempotent: bool,
}

/// The records that were acknowledged at acks=all, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged {
    records: Vec<Kept>,
}

impl Acknowledged {
    /// Reads a history. A line that cannot be read is told, and the others count.
    pub(super) fn read(path: &Path, report: &mut Report) -> Result<Self, Unreadable> {
        let file = File::open(path).map_err(Unreadable::of(path))?;
        let mut from = BufReader::new(file);
        let (mut records, mut line, mut number) = (Vec::new(), Vec::new(), 0_u64);
        loop {
            line.clear();
            number += 1;
            let taken = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if taken.map_err(Unreadable::of(path))? == 0 {
                break;
            }
            match sent(&line) {
                Ok(sent) => records.extend(sent),
                Err(error) => {
                    report.gap(format!("line {number} of {} cannot be read: {error}", path.display()))
                }
            }
        }
        records.sort_unstable();
        records.dedup();
        report.judged.acknowledged = records.len() as u64;
        if records.is_empty() {
            report.gap(format!("{} has no record that was acknowledged at acks=all", path.display()));
        }
        Ok(Self { records })
    }

    /// Up to where a partition was committed, at least: what is acknowledged is below the high watermark (R2).
    pub(super) fn committed(&self, partition: u32) -> u64 {
        let of = self.records.iter().filter(|kept| kept.partition == partition);
        of.map(|kept| kept.offset.saturating_add(1)).max().unwrap_or_default()
    }

    /// The partitions that records were acknowledged in.
    pub(super) fn partitions(&self) -> std::collections::BTreeSet<u32> {
        self.records.iter().map(|kept| kept.partition).collect()
    }

    fn named(&self, name: u64) -> impl Iterator<Item = (usize, &Kept)> {
        let from = self.records.partition_point(|kept| kept.name < name);
        let from_there = self.records.iter().enumerate().skip(from);
        from_there.take_while(move |(_, kept)| kept.name == name)
    }
}

/// The records of a line that were acknowledged at acks=all.
fn sent(line: &[u8]) -> Result<Vec<Kept>, serde_json::Error> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let line: Line = serde_json::from_slice(line)?;
    if line.f != "send" || line.phase == "invoke" {
        return Ok(Vec::new());
    }
    let send: Send = serde_json::from_value(line.value)?;
    let kept = send.records.into_iter().filter_map(|(partition, name, offset)| {
        Some(Kept { name, partition, offset: offset?, is_idempotent: send.idempotent })
    });
    Ok(if send.acks == "all" { kept.collect() } else { Vec::new() })
}

/// So many findings of one kind are told one by one of a log; of the others their number is.
const TOLD_MAX: u64 = 20;

/// What a replica owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Duty {
    /// Whether it must have all.
    pub(super) is_member: bool,
    /// Whether it is no member only because its broker stopped in order.
    pub(super) is_stopped: bool,
    /// Whether records may be deleted.
    pub(super) may_delete: bool,
}

/// Looks for what was acknowledged in one replica.
#[derive(Debug)]
pub(super) struct Presence<'a> {
    acknowledged: &'a Acknowledged,
    log: &'a Log,
    /// An end that was never committed may hold what its producer sent again later: only of members it is told.
    is_member: bool,
    found: Vec<bool>,
    /// So many records are where they do not belong.
    misplaced: u64,
}

/// Records that are not where they should be: how many, and the first.
#[derive(Clone, Copy, Debug, Default)]
struct Lacking {
    count: u64,
    first: Option<Kept>,
}

impl Lacking {
    fn add(&mut self, kept: &Kept) {
        self.count += 1;
        if self.first.is_none_or(|first| kept.offset < first.offset) {
            self.first = Some(*kept);
        }
    }
}

impl<'a> Presence<'a> {
    pub(super) fn new(acknowledged: &'a Acknowledged, log: &'a Log, is_member: bool) -> Self {
        let found = vec![false; acknowledged.records.len()];
        Self { acknowledged, log, is_member, found, misplaced: 0 }
    }

    /// Looks at the records of the next batch.
    pub(super) fn take(&mut self, stored: &Stored<'_>, report: &mut Report) {
        if stored.header.is_control() {
            return;
        }
        let Ok(records) = stored.header.records(stored.bytes) else { return };
        for record in records.map_while(Result::ok) {
            let name = record.key.and_then(|key| std::str::from_utf8(key).ok()?.parse::<u64>().ok());
            let Some(name) = name else { continue };
            for (at, kept) in self.acknowledged.named(name) {
                let is_there = kept.partition == self.log.partition && kept.offset == record.offset;
                if is_there {
                    if let Some(found) = self.found.get_mut(at) {
                        *found = true;
                    }
                } else if kept.is_idempotent && self.is_member {
                    self.misplaced += 1;
                    if self.misplaced > TOLD_MAX {
                        continue;
                    }
                    let Kept { partition, offset, .. } = kept;
                    let what = format!(
                        "record {name} was acknowledged at offset {offset} of partition {partition}, by an idempotent producer, and is here"
                    );
                    let place = stored.place(self.log.node).offset(record.offset);
                    report.finding(place, ELSEWHERE, what);
                }
            }
        }
    }

    /// Reports what was not found.
    pub(super) fn conclude(self, extent: &Extent, duty: Duty, report: &mut Report) {
        let partition = self.log.partition;
        let each = self.acknowledged.records.iter().zip(&self.found);
        let (mut beyond, mut below, mut other) = <(Lacking, Lacking, Lacking)>::default();
        let (mut all, mut held, mut missing) = (0_u64, 0_u64, 0_u64);
        for (kept, is_found) in each.filter(|(kept, _)| kept.partition == partition) {
            all += 1;
            if kept.offset < extent.start {
                below.add(kept);
            } else if *is_found {
                held += 1;
            } else if !duty.is_member {
                other.add(kept);
            } else if kept.offset >= extent.end {
                beyond.add(kept);
            } else {
                missing += 1;
                if missing <= TOLD_MAX {
                    let Kept { name, offset, .. } = kept;
                    let what = format!("record {name} was acknowledged here, and another is");
                    report.finding(self.log.place().offset(*offset), ABSENT, what);
                }
            }
        }
        for (rule, count) in [(ELSEWHERE, self.misplaced), (ABSENT, missing)] {
            if count > TOLD_MAX {
                let what = format!("so it is with {} more records of this log", count - TOLD_MAX);
                report.finding(self.log.place(), rule, what);
            }
        }
        self.tell_beyond(beyond, extent, report);
        if duty.is_member {
            report.judged.found += held;
            self.tell_below(below, extent, duty, report);
        }
        if let Some(first) = other.first.filter(|_| duty.is_stopped) {
            let (place, count, offset) = (self.log.place(), other.count, first.offset);
            report.gap(format!(
                "{place}: its broker stopped in order, and {count} of {all} acknowledged records are not there, the first at offset {offset}; whether they were acknowledged before is on no disk (if nothing was written any more by then: --whole)"
            ));
        }
        report.held.push(Held {
            node: self.log.node,
            log: self.log.place().file,
            partition,
            must: duty.is_member,
            acknowledged: all,
            held,
            below_start: below.count,
        });
    }

    /// Records that the log ends before.
    fn tell_beyond(&self, beyond: Lacking, extent: &Extent, report: &mut Report) {
        let Some(Kept { name, offset, .. }) = beyond.first else { return };
        let (count, end) = (beyond.count, extent.end);
        let what = format!(
            "the log ends at {end}, and {count} records from there on were acknowledged; the first is {name}"
        );
        report.finding(self.log.place().offset(offset), ABSENT, what);
    }

    /// Records that the log begins behind. That they were deleted is only said by the log itself: a faulty log start loses them as well.
    fn tell_below(&self, below: Lacking, extent: &Extent, duty: Duty, report: &mut Report) {
        let Some(first) = below.first else { return };
        let (count, start, first) = (below.count, extent.start, first.offset);
        let what =
            format!("{count} acknowledged records below its start {start}, the first at offset {first}");
        if duty.may_delete {
            let what = format!("{what}; the topic is, or was, set to delete records");
            report.note(self.log.place().offset(first), "acknowledged records were deleted", what);
        } else {
            let place = self.log.place();
            report.gap(format!(
                "{place}: there are {what}, and nothing that was set on the topic lets records be deleted"
            ));
        }
    }
}
