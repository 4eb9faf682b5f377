//! How records lie one after another, and how they wait to be written.

use bytes::{BufMut as _, Bytes, BytesMut};
use highwater_model::metadata;
use highwater_model::replication::BatchSummary;
use highwater_model::trace::{Carried, Effects, Gap, Header, VERSION, kind};
use highwater_transport::batch;
use serde::Serialize;
use tokio::sync::oneshot;

use super::encoded;
use crate::driver::replication::summary_of;

/// What a file begins with.
const MAGIC: &[u8; 8] = b"HWTRACE\0";
/// Bytes of a frame before its records: length, checksum, number of its first record.
const FRAME_BYTES: usize = 4 + 4 + 8;

/// About how long the frames of a recording are that is kept in memory; in files a frame is what waits to be written.
const FRAME_OF_MEMORY: usize = 1 << 20;

/// Records that wait to be written.
pub(super) struct Buffer {
    header: Option<Header>,
    records: Vec<u8>,
    bytes_max: usize,
    /// Number of the first record that waits.
    first: u64,
    /// Number of the next record.
    next: u64,
    /// Records that found no room since the last one that did.
    dropped: u64,
    is_closed: bool,
    /// Told when all is written after the close.
    written: Option<oneshot::Sender<()>>,
}

impl Buffer {
    pub(super) const fn new(bytes_max: usize) -> Self {
        let records = Vec::new();
        Self {
            header: None,
            records,
            bytes_max,
            first: 0,
            next: 0,
            dropped: 0,
            is_closed: false,
            written: None,
        }
    }

    pub(super) fn begin(&mut self, header: Header) {
        self.header = Some(header);
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Takes a record, or counts it as dropped. Whether it is the first after some that were dropped.
    pub(super) fn push(&mut self, kind: u8, body: &[u8]) -> bool {
        if self.header.is_none() || self.is_closed {
            return false;
        }
        let has_room = self.records.len() + body.len() + 64 <= self.bytes_max;
        if !has_room {
            self.dropped += 1;
            return false;
        }
        let after_a_gap = std::mem::take(&mut self.dropped);
        if after_a_gap > 0 {
            self.put(kind::GAP, &encoded(&Gap { records: after_a_gap }));
        }
        self.put(kind, body);
        after_a_gap > 0
    }

    fn put(&mut self, kind: u8, body: &[u8]) {
        put_record(&mut self.records, kind, body);
        self.next += 1;
    }

    /// Ends the recording; gives what is told when all is written, if it had begun.
    pub(super) fn close(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.is_closed || self.header.is_none() {
            return None;
        }
        if self.dropped > 0 {
            self.put(kind::GAP, &encoded(&Gap { records: self.dropped }));
        }
        self.put(kind::CLOSED, &[]);
        self.is_closed = true;
        let (sender, receiver) = oneshot::channel();
        self.written = Some(sender);
        Some(receiver)
    }

    /// Whether the recording has ended, and who waits for the last of it to be written.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn take_waiter(&mut self) -> Option<oneshot::Sender<()>> {
        self.written.take()
    }

    /// Nothing is recorded any more: it cannot be written.
    pub(super) fn give_up(&mut self) {
        self.header = None;
        self.records = Vec::new();
    }

    /// What the names of this node's files begin with, and those of this run; sorted, they are in the order of time.
    pub(super) fn names(&self) -> (String, String) {
        let Some(header) = &self.header else { return (String::new(), String::new()) };
        let node = format!("node-{}-", header.node);
        let run = format!("{node}{:016}-{:032x}", header.started_ms, header.incarnation.0);
        (node, run)
    }

    /// The beginning of the file of this number.
    pub(super) fn beginning(&self, file: u32) -> Bytes {
        let Some(header) = &self.header else { return Bytes::new() };
        let mut records = Vec::new();
        put_record(&mut records, kind::HEADER, &encoded(&Header { file, ..header.clone() }));
        let mut bytes = BytesMut::from(&MAGIC[..]);
        put_frame(&mut bytes, self.first, &records);
        bytes.freeze()
    }

    /// What waits, as a frame; nothing if nothing waits.
    pub(super) fn frame(&mut self) -> Bytes {
        if self.records.is_empty() {
            return Bytes::new();
        }
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, self.first, &self.records);
        self.records.clear();
        self.first = self.next;
        bytes.freeze()
    }

    /// All that waits, as a file of its own.
    pub(super) fn take(&mut self) -> Bytes {
        let mut bytes = BytesMut::from(self.beginning(0).as_ref());
        let (mut rest, mut first) = (self.records.as_slice(), self.first);
        while let Some((length, count)) = portion(rest) {
            let (records, behind) = rest.split_at(length);
            put_frame(&mut bytes, first, records);
            (rest, first) = (behind, first + count);
        }
        self.records.clear();
        self.first = self.next;
        bytes.freeze()
    }
}

/// Kind, version, length, body. The header has no number; all others are numbered one by one.
fn put_record(records: &mut Vec<u8>, kind: u8, body: &[u8]) {
    records.extend_from_slice(&[kind, VERSION]);
    let mut left = body.len();
    while left >= 0x80 {
        records.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
        left >>= 7;
    }
    records.push(u8::try_from(left).unwrap_or_default());
    records.extend_from_slice(body);
}

/// Bytes and number of the records that make the next frame; `None` if there are none.
fn portion(records: &[u8]) -> Option<(usize, u64)> {
    let (mut bytes, mut count) = (0, 0);
    while let Some(length) = records.get(bytes..).and_then(record_bytes)
        && (count == 0 || bytes + length <= FRAME_OF_MEMORY)
    {
        (bytes, count) = (bytes + length, count + 1);
    }
    (count > 0).then_some((bytes, count))
}

/// How long the record is that these bytes begin with, as [`put_record`] put it.
fn record_bytes(records: &[u8]) -> Option<usize> {
    let length = records.get(2..)?;
    let bytes = length.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let body = length.iter().take(bytes).rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    Some(2 + bytes + body)
}

fn put_frame(bytes: &mut BytesMut, first: u64, records: &[u8]) {
    bytes.reserve(FRAME_BYTES + records.len());
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&first.to_be_bytes());
    digest.update(records);
    bytes.put_u32(u32::try_from(8 + records.len()).unwrap_or(u32::MAX));
    bytes.put_u32(u32::try_from(digest.finalize()).unwrap_or_default());
    bytes.put_u64(first);
    bytes.put_slice(records);
}

/// The low half of a hash of what is encoded.
fn low(bytes: &[u8]) -> u32 {
    u32::try_from(xxhash_rust::xxh3::xxh3_64(bytes) & 0xffff_ffff).unwrap_or_default()
}

/// How many effects there are, and a digest of them.
pub(crate) fn digest<E: Serialize>(effects: &[E]) -> Effects {
    if effects.is_empty() {
        return Effects::default();
    }
    Effects { count: u32::try_from(effects.len()).unwrap_or(u32::MAX), digest: low(&encoded(&effects)) }
}

/// What these records of the metadata log are.
pub(crate) fn carried_records(records: &[metadata::Record]) -> Carried {
    let Effects { count, digest } = digest(records);
    Carried { count, digest }
}

/// What a payload carries, from its bytes.
pub(crate) fn carried_in(payload: &[Bytes]) -> Carried {
    let split = payload.iter().flat_map(|bytes| batch::split(bytes.clone()).unwrap_or_default());
    let found: Vec<_> = split.collect();
    carried(&found)
}

/// What these batches are, from their headers.
pub(crate) fn carried(batches: &[batch::Batch]) -> Carried {
    if batches.is_empty() {
        return Carried::default();
    }
    let summaries: Vec<BatchSummary> = batches.iter().map(|batch| summary_of(batch.header())).collect();
    let count = u32::try_from(summaries.len()).unwrap_or(u32::MAX);
    Carried { count, digest: low(&encoded(&summaries)) }
}
