//! The sparse offset and time indexes of one segment (Kafka's `.index` and `.timeindex`).
//!
//! They are kept in memory and written whole when the segment is closed. What is on disk is never believed: opening a
//! log rebuilds them from its records (X6).

use bytes::{BufMut, Bytes, BytesMut};
use highwater_model::id::Offset;
use highwater_transport::batch::BatchHeader;

/// Where a batch lies within its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base.
    last: u32,
    /// Where the batch begins, in bytes.
    position: u32,
}

/// The largest timestamp up to an indexed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeEntry {
    timestamp_ms: i64,
    /// Last offset of the batch that has it, relative to the segment's base.
    offset: u32,
}

/// Both indexes of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    base: Offset,
    interval_bytes: u64,
    since_entry_bytes: u64,
    offsets: Vec<OffsetEntry>,
    times: Vec<TimeEntry>,
    newest: Option<TimeEntry>,
}

impl Index {
    pub(super) fn new(base: Offset, interval_bytes: u64) -> Self {
        Self {
            base,
            interval_bytes,
            since_entry_bytes: 0,
            offsets: Vec::new(),
            times: Vec::new(),
            newest: None,
        }
    }

    /// Whether an offset can be written relative to the base.
    pub(super) fn reaches(&self, last: Offset) -> bool {
        i32::try_from(last.since(self.base)).is_ok()
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset.since(self.base))
            .expect("a segment is closed before its offsets outgrow its index")
    }

    /// Notes a batch that begins `position` bytes into the segment: an entry, if enough bytes have gone by.
    pub(super) fn note(&mut self, header: &BatchHeader, position: u64) {
        let last = self.relative(header.last_offset());
        if self.newest.is_none_or(|newest| header.max_timestamp_ms > newest.timestamp_ms) {
            self.newest = Some(TimeEntry { timestamp_ms: header.max_timestamp_ms, offset: last });
        }
        if self.since_entry_bytes > self.interval_bytes {
            let position = u32::try_from(position).expect("a segment is closed before it outgrows its index");
            self.offsets.push(OffsetEntry { last, position });
            let newest = self.newest.filter(|newest| self.times.last() != Some(newest));
            self.times.extend(newest);
            self.since_entry_bytes = 0;
        }
        self.since_entry_bytes += u64::try_from(header.size_bytes()).unwrap_or_default();
    }

    /// Where to begin to look for the batch that holds `offset`: the start of a batch, at or before it.
    pub(super) fn position_of(&self, offset: Offset) -> u64 {
        let relative = offset.since(self.base);
        let after = self.offsets.partition_point(|entry| u64::from(entry.last) <= relative);
        let entry = after.checked_sub(1).and_then(|at| self.offsets.get(at));
        entry.map_or(0, |entry| u64::from(entry.position))
    }

    /// As a `.index` file has it.
    pub(super) fn offset_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.offsets.len() * 8);
        for entry in &self.offsets {
            out.put_u32(entry.last);
            out.put_u32(entry.position);
        }
        out.freeze()
    }

    /// As a `.timeindex` file has it.
    pub(super) fn time_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.times.len() * 12 + 12);
        let closing = self.newest.filter(|newest| self.times.last() != Some(newest));
        for entry in self.times.iter().chain(&closing) {
            out.put_i64(entry.timestamp_ms);
            out.put_u32(entry.offset);
        }
        out.freeze()
    }
}
