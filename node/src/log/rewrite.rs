//! Writing batches once more where they are, so that the next sync carries them to the disk.
//!
//! After a sync has failed the kernel takes what it could not write for clean. A process that starts then reads it all
//! back, as long as the page cache keeps it, and its sync succeeds without writing anything. Whether that was so nobody
//! knows who comes later; so nothing read back is believed to be durable that was not written since.

use bytes::Bytes;
use highwater_transport::batch::Batch;

use crate::disk::{Fault, FileRef};

/// How much is written at a time, but for longer batches.
const CHUNK_BYTES: u64 = 1 << 20;

/// Batches that lie back to back in a file.
#[derive(Debug)]
pub(super) struct Rewrite {
    file: FileRef,
    /// Where the first one begins.
    position: u64,
    chunks: Vec<Bytes>,
    bytes: u64,
}

impl Rewrite {
    /// Nothing is to be written in `file` yet.
    pub(super) fn new(file: FileRef) -> Self {
        Self { file, position: 0, chunks: Vec::new(), bytes: 0 }
    }

    /// Notes a batch at `position`, which follows the one noted last; now and then writes those noted so far.
    pub(super) fn add(&mut self, batch: &Batch, position: u64) -> Result<(), Fault> {
        if self.chunks.is_empty() {
            self.position = position;
        }
        assert_eq!(self.position + self.bytes, position, "batches lie back to back");
        self.chunks.extend(batch.chunks());
        self.bytes += u64::try_from(batch.len_bytes()).unwrap_or(u64::MAX);
        if self.bytes < CHUNK_BYTES { Ok(()) } else { self.finish() }
    }

    /// Writes what has been noted.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        let (position, chunks) = (self.position, std::mem::take(&mut self.chunks));
        self.bytes = 0;
        if chunks.is_empty() { Ok(()) } else { self.file.rewrite(position, &chunks) }
    }
}
