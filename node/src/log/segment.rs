//! One segment: a `.log` file and its indexes.

use bytes::Bytes;
use highwater_model::id::Offset;
use highwater_transport::batch::{Batch, BatchHeader, HEADER_BYTES};

use super::index::Index;
use super::names::{SEGMENT_SUFFIXES, segment_file};
use crate::disk::{Completion, Disk, Fault, FileRef, Open};

/// A segment's position must fit Kafka's signed 32-bit index entry.
pub(super) const SEGMENT_BYTES_MAX: u64 = 0x7fff_ffff;

#[derive(Debug)]
pub(super) struct Segment {
    /// Offset of its first record, inclusive; its name.
    pub(super) base: Offset,
    /// Offset after its last record, exclusive.
    pub(super) end: Offset,
    pub(super) file: FileRef,
    pub(super) size_bytes: u64,
    pub(super) index: Index,
}

impl Segment {
    /// Creates an empty segment. Its entry in the directory is not durable until that is synced.
    pub(super) fn create(
        disk: &dyn Disk,
        directory: &str,
        base: Offset,
        interval_bytes: u64,
    ) -> Result<Self, Fault> {
        let file = disk.open(&segment_file(directory, base, ".log"), Open::New)?;
        Ok(Self::empty(file, base, interval_bytes))
    }

    /// A segment in an empty file.
    pub(super) fn empty(file: FileRef, base: Offset, interval_bytes: u64) -> Self {
        Self { base, end: base, file, size_bytes: 0, index: Index::new(base, interval_bytes) }
    }

    /// Appends batches that continue the segment: all or none.
    pub(super) fn append(&mut self, batches: &[Batch]) -> Result<Completion<()>, Fault> {
        let chunks: Vec<Bytes> = batches.iter().flat_map(Batch::chunks).collect();
        let completion = self.file.append(&chunks)?;
        for batch in batches {
            self.note(batch.header());
        }
        Ok(completion)
    }

    /// Notes a batch that is in the file behind those noted so far.
    pub(super) fn note(&mut self, header: &BatchHeader) {
        self.index.note(header, self.size_bytes);
        self.size_bytes += u64::try_from(header.size_bytes()).unwrap_or_default();
        self.end = header.end_offset();
    }

    /// Where the batch begins that holds `offset` or, if none does, the first after it: position in bytes and base
    /// offset. Reads from the disk, and blocks.
    pub(super) fn locate(&self, offset: Offset) -> Result<(u64, Offset), Fault> {
        let mut position = self.index.position_of(offset);
        while position < self.size_bytes {
            let head = self.file.read_now(position, HEADER_BYTES)?;
            let header = BatchHeader::parse(&head).map_err(|error| self.malformed(position, &error))?;
            if header.end_offset() > offset {
                return Ok((position, header.base_offset));
            }
            position += u64::try_from(header.size_bytes()).unwrap_or_default();
        }
        Ok((self.size_bytes, self.end))
    }

    /// Forgets everything from `position` on, where a batch begins. The file is cut by the caller. Reads the headers
    /// before it, and blocks: the indexes afterwards are what they would be had the rest never been there.
    pub(super) fn forget_from(&mut self, position: u64, interval_bytes: u64) -> Result<(), Fault> {
        let mut kept = Self::empty(FileRef::clone(&self.file), self.base, interval_bytes);
        while kept.size_bytes < position {
            let head = kept.file.read_now(kept.size_bytes, HEADER_BYTES)?;
            let header =
                BatchHeader::parse(&head).map_err(|error| self.malformed(kept.size_bytes, &error))?;
            kept.note(&header);
        }
        *self = kept;
        Ok(())
    }

    /// Paths of its files.
    pub(super) fn paths(directory: &str, base: Offset) -> [String; 3] {
        SEGMENT_SUFFIXES.map(|suffix| segment_file(directory, base, suffix))
    }

    fn malformed(&self, position: u64, error: &dyn std::fmt::Display) -> Fault {
        let path = self.file.path().to_owned();
        Fault::Malformed { path, what: format!("at byte {position}: {error}") }
    }
}
