//! Reads a segment file batch by batch, and never more than one batch of it into memory.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::batch::{BatchFault, HEADER_BYTES, Header};

/// How much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Of so many bytes behind a damage the checksums are computed at most, to find out whether a sound batch is among them.
const SOUGHT_BYTES_MAX: u64 = 256 << 20;

/// A file or a directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", path.display())]
pub struct Unreadable {
    /// Which one.
    pub path: PathBuf,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

impl Unreadable {
    pub(super) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self { path, source }
    }
}

/// Opens a file for reading; nothing if there is none. Only a plain file: to open a pipe would wait for somebody to write, and what a
/// link to nothing stood for is not known to be absent.
pub(super) fn open_plain(path: &Path) -> Result<Option<File>, Unreadable> {
    let other = |what: &str| Err(Unreadable::of(path)(io::Error::other(what.to_owned())));
    match fs::metadata(path) {
        Ok(known) if known.is_file() => File::open(path).map(Some).map_err(Unreadable::of(path)),
        Ok(_) => other("it is no plain file; put it aside, it is not of a log directory"),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Unreadable::of(path)(error)),
        Err(_) if path.is_symlink() => other("it is a link to nothing; mount what it leads to"),
        Err(_) => Ok(None),
    }
}

/// What comes next in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A batch whose bytes are [`SegmentReader::bytes`].
    Batch(Header),
    /// Nothing.
    End,
    /// Something that is no batch.
    Unsound(BatchFault),
}

/// Reads one segment file from front to back.
#[derive(Debug)]
pub(super) struct SegmentReader {
    path: PathBuf,
    file: BufReader<File>,
    /// Length of the file in bytes, as it was opened.
    length: u64,
    /// Where the batch read last begins.
    position: u64,
    /// Where the next one begins.
    next: u64,
    bytes: Vec<u8>,
}

impl SegmentReader {
    /// Opens a file for reading alone.
    pub(super) fn open(path: &Path) -> Result<Self, Unreadable> {
        let gone = || Unreadable::of(path)(io::ErrorKind::NotFound.into());
        let file = open_plain(path)?.ok_or_else(gone)?;
        let length = file.metadata().map_err(Unreadable::of(path))?.len();
        let file = BufReader::with_capacity(CHUNK_BYTES, file);
        Ok(Self { path: path.to_owned(), file, length, position: 0, next: 0, bytes: Vec::new() })
    }

    /// Length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where in the file the batch read last begins, or what is no batch.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The whole batch read last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the next batch. Its header has been looked at, its checksum has not. Behind what is no batch comes nothing that means
    /// anything.
    pub(super) fn read(&mut self) -> Result<Next, Unreadable> {
        self.position = self.next;
        let left = self.length.saturating_sub(self.position);
        if left == 0 {
            return Ok(Next::End);
        }
        self.bytes.clear();
        self.fill(usize::try_from(left).unwrap_or(usize::MAX).min(HEADER_BYTES))?;
        let header = match Header::parse(&self.bytes) {
            Ok(header) => header,
            Err(fault) => return Ok(Next::Unsound(fault)),
        };
        let wanted = header.size_bytes as u64;
        if wanted > left {
            return Ok(Next::Unsound(BatchFault::Torn { there: left, wanted }));
        }
        self.fill(header.size_bytes)?;
        self.next = self.position.saturating_add(wanted);
        Ok(Next::Batch(header))
    }

    /// Reads on until there are `count` bytes of the batch, which the file has.
    fn fill(&mut self, count: usize) -> Result<(), Unreadable> {
        let from = self.bytes.len();
        self.bytes.resize(count.max(from), 0);
        let missing = self.bytes.get_mut(from..).unwrap_or_default();
        self.file.read_exact(missing).map_err(Unreadable::of(&self.path))
    }

    /// Where a sound batch begins behind `position` that begins beyond `end` and is of no epoch below `epoch`; the reader is of no
    /// use afterwards.
    pub(super) fn sound_behind(
        &mut self,
        position: u64,
        end: u64,
        epoch: u32,
    ) -> Result<Option<u64>, Unreadable> {
        let mut window = Vec::new();
        let mut from = position.saturating_add(1);
        let mut left = SOUGHT_BYTES_MAX;
        while from < self.length && left > 0 {
            self.read_at(from, CHUNK_BYTES, &mut window)?;
            // The last header of a window is looked at again as the first of the next one.
            let last = window.len().saturating_sub(HEADER_BYTES);
            for at in 0..=last {
                let Some(header) = window.get(at..).and_then(|bytes| plausible(bytes, end, epoch)) else {
                    continue;
                };
                let place = from.saturating_add(at as u64);
                let size = header.size_bytes as u64;
                if place.saturating_add(size) > self.length || size > left {
                    continue;
                }
                left -= size;
                let mut batch = Vec::new();
                self.read_at(place, header.size_bytes, &mut batch)?;
                if header.check_sum(&batch).is_ok() {
                    return Ok(Some(place));
                }
            }
            from = from.saturating_add(last as u64).saturating_add(1);
        }
        Ok(None)
    }

    /// Reads at most `count` bytes from `from` on.
    fn read_at(&mut self, from: u64, count: usize, into: &mut Vec<u8>) -> Result<(), Unreadable> {
        into.clear();
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(from)).map_err(Unreadable::of(&self.path))?;
        file.take(count as u64).read_to_end(into).map_err(Unreadable::of(&self.path))?;
        Ok(())
    }
}

/// The header at the front of these bytes, if they may be of a batch of this log that begins beyond `end`.
fn plausible(bytes: &[u8], end: u64, epoch: u32) -> Option<Header> {
    if bytes.len() < HEADER_BYTES || bytes.get(16) != Some(&2) {
        return None;
    }
    let header = Header::parse(bytes).ok()?;
    let continues = header.base_offset > end && header.epoch.is_some_and(|known| known >= epoch);
    continues.then_some(header)
}
