//! Describing the batches of a log for people, sound or not: `highwater log dump`.
//!
//! Reads only, takes no lock, and goes on past what it does not understand no further than the end of that file.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use highwater_transport::batch::{Batch, BatchError, BatchHeader, HEADER_BYTES};

use super::names::parse_log_file;
use crate::disk::{Disk, Fault, FileRef, Open};

/// How much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// A batch that claims to be longer is taken for damage.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// One batch, or why there is none, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The file, relative to the disk.
    pub file: String,
    /// Where it begins in the file, in bytes.
    pub position: u64,
    /// The batch; its records can be read from it unless they are compressed. After an error the file is left.
    pub batch: Result<Batch, BatchError>,
    /// What is wrong with it, when that was asked for: its checksum, or its records.
    pub unsound: Option<BatchError>,
}

/// Goes through the batches of a `.log` or `.checkpoint` file, or of all segments of a log.
#[derive(Debug)]
pub struct Dump {
    disk: Arc<dyn Disk>,
    is_verifying: bool,
    files: VecDeque<String>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: FileRef,
    position: u64,
    buffer: Bytes,
}

/// Describes the batches at `path`, a file or a log's directory, in order; with `verify` also their checksums and records.
///
/// # Errors
/// When there is no such file or directory, or it cannot be listed.
pub fn dump(disk: Arc<dyn Disk>, path: &str, verify: bool) -> Result<Dump, Fault> {
    let is_file = path.ends_with(".log") || path.ends_with(".checkpoint");
    let files: VecDeque<String> = if is_file {
        disk.open(path, Open::Existing)?;
        VecDeque::from([path.to_owned()])
    } else {
        let entries = disk.list(path)?;
        let segments = entries.iter().filter(|entry| parse_log_file(&entry.name).is_some());
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        segments.map(|entry| format!("{prefix}{}", entry.name)).collect()
    };
    Ok(Dump { disk, is_verifying: verify, files, current: None })
}

impl Dump {
    fn describe(&mut self) -> Result<Option<Described>, Fault> {
        loop {
            if self.current.is_none() {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                let file = self.disk.open(&path, Open::Existing)?;
                self.current = Some(Current { file, position: 0, buffer: Bytes::new() });
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            if current.is_at_end() {
                self.current = None;
                continue;
            }
            let (file, position) = (current.file.path().to_owned(), current.position);
            let batch = current.batch()?;
            if batch.is_err() {
                self.current = None;
            }
            let unsound = batch.as_ref().ok().filter(|_| self.is_verifying).and_then(unsoundness);
            return Ok(Some(Described { file, position, batch, unsound }));
        }
    }
}

fn unsoundness(batch: &Batch) -> Option<BatchError> {
    use highwater_transport::batch::{Limits, Source};
    batch.validate(&Limits { size_bytes_max: usize::MAX, source: Source::Log }).err()
}

impl Iterator for Dump {
    type Item = Result<Described, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let described = self.describe();
        if described.is_err() {
            self.files.clear();
            self.current = None;
        }
        described.transpose()
    }
}

impl Current {
    fn is_at_end(&self) -> bool {
        self.buffer.is_empty() && self.position >= self.file.len_bytes()
    }

    fn batch(&mut self) -> Result<Result<Batch, BatchError>, Fault> {
        self.fill(HEADER_BYTES)?;
        let size = match BatchHeader::parse(&self.buffer) {
            Ok(header) => header.size_bytes(),
            Err(error) => return Ok(Err(error)),
        };
        if size > BATCH_BYTES_MAX {
            return Ok(Err(BatchError::TooLarge { size, size_max: BATCH_BYTES_MAX }));
        }
        self.fill(size)?;
        let batch = Batch::split_first(&mut self.buffer);
        if batch.is_ok() {
            self.position += u64::try_from(size).unwrap_or_default();
        }
        Ok(batch)
    }

    /// Makes the buffer at least `count` bytes long, if the file is.
    fn fill(&mut self, count: usize) -> Result<(), Fault> {
        if self.buffer.remaining() >= count {
            return Ok(());
        }
        let from = self.position + u64::try_from(self.buffer.len()).unwrap_or_default();
        let more = self.file.read_now(from, (count - self.buffer.len()).max(CHUNK_BYTES))?;
        let mut joined = BytesMut::from(self.buffer.as_ref());
        joined.extend_from_slice(&more);
        self.buffer = joined.freeze();
        Ok(())
    }
}
