//! Finding what is sound in a log after a stop (R63, X11): scans every segment batch by batch and cuts the log at the
//! first batch that is not one, that is torn, or that does not continue the log. It says exactly what went. What is left
//! is written once more, as far as it may not be on the disk, and synced.

use bytes::{Bytes, BytesMut};
use highwater_model::id::Offset;
use highwater_transport::batch::{Batch, BatchError, BatchHeader, HEADER_BYTES};

use super::epochs::{Epochs, RecordEpoch};
use super::index::Index;
use super::names::{SEGMENT_SUFFIXES, is_nameless, parse_log_file, segment_file};
use super::rewrite::Rewrite;
use super::segment::{SEGMENT_BYTES_MAX, Segment};
use super::{Cut, CutReason, Hints, LogConfig, OffsetCheckpoint, Stop};
use crate::disk::{Disk, Fault, FileRef, Open, SyncSet};

/// How much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a scan has found sound so far.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    disk: &'a dyn Disk,
    directory: &'a str,
    config: LogConfig,
    hints: Hints,
    recovery_points: Option<&'a OffsetCheckpoint>,
    pub(super) segments: Vec<Segment>,
    pub(super) batches: Vec<BatchHeader>,
    pub(super) epochs: Epochs,
    pub(super) cut: Option<Cut>,
}

/// Where and why a segment stops being sound.
struct Unsound {
    position: u64,
    reason: CutReason,
    /// Whether the last write of a killed process can look like this.
    is_torn_tail: bool,
}

impl<'a> Scan<'a> {
    /// Scans the log in `directory`, cuts off what is unsound, and syncs the rest.
    pub(super) async fn run(
        disk: &'a dyn Disk,
        directory: &'a str,
        config: LogConfig,
        hints: Hints,
        recovery_points: Option<&'a OffsetCheckpoint>,
    ) -> Result<Self, Fault> {
        let (segments, batches, epochs) = (Vec::new(), Vec::new(), Epochs::default());
        let mut scan =
            Self { disk, directory, config, hints, recovery_points, segments, batches, epochs, cut: None };
        scan.remove_nameless()?;
        let bases = scan.bases()?;
        for (at, base) in bases.iter().enumerate() {
            let later = bases.get(at + 1..).unwrap_or_default();
            if let Some(unsound) = scan.segment(*base, later.is_empty()).await? {
                scan.cut_from(&unsound, later).await?;
                break;
            }
        }
        scan.note_missing();
        scan.sync().await?;
        Ok(scan)
    }

    /// Removes what is left of beginnings that did not come to their end: nothing is in such a file.
    fn remove_nameless(&self) -> Result<(), Fault> {
        for entry in self.disk.list(self.directory)?.iter().filter(|entry| is_nameless(&entry.name)) {
            self.disk.remove(&format!("{}/{}", self.directory, entry.name))?;
        }
        Ok(())
    }

    fn bases(&self) -> Result<Vec<Offset>, Fault> {
        let entries = self.disk.list(self.directory)?;
        let mut bases: Vec<Offset> = entries.iter().filter_map(|entry| parse_log_file(&entry.name)).collect();
        let unneeded_below = self.hints.unneeded_below.max(self.hints.log_start);
        let next_unneeded = bases.iter().skip(1).take_while(|next| **next <= unneeded_below).count();
        for base in bases.drain(..next_unneeded) {
            let mut remove = Vec::new();
            self.remove_paths(base, &mut remove)?;
            remove.iter().try_for_each(|path| self.disk.remove(path))?;
        }
        Ok(bases)
    }

    fn end(&self) -> Offset {
        self.segments.last().map_or(Offset::ZERO, |segment| segment.end)
    }

    /// Scans one segment, which joins the sound ones as far as it is sound.
    async fn segment(&mut self, base: Offset, is_last: bool) -> Result<Option<Unsound>, Fault> {
        let file = self.disk.open(&segment_file(self.directory, base, ".log"), Open::Existing)?;
        let length = file.len_bytes();
        let expected = self.segments.last().map_or(base, |segment| segment.end);
        let index = Index::new(base, self.config.index_interval_bytes);
        self.segments.push(Segment { base, end: base, file: FileRef::clone(&file), size_bytes: 0, index });
        if base != expected {
            let reason = CutReason::Gap { found: base };
            return Ok(Some(Unsound { position: 0, reason, is_torn_tail: false }));
        }
        let mut reader = Reader { file: FileRef::clone(&file), length, position: 0, buffer: Bytes::new() };
        let mut rewrite = Rewrite::new(file);
        let unsound = self.batches(&mut reader, &mut rewrite, is_last).await?;
        rewrite.finish()?;
        Ok(unsound)
    }

    /// Takes batch after batch of a segment, and writes those again that may not be on the disk.
    async fn batches(
        &mut self,
        reader: &mut Reader,
        rewrite: &mut Rewrite,
        is_last: bool,
    ) -> Result<Option<Unsound>, Fault> {
        while reader.position + reader.buffered() < reader.length || !reader.buffer.is_empty() {
            let position = reader.position;
            match reader.batch(self.config.batch_bytes_max).await? {
                Ok(batch) => {
                    if let Err(reason) = self.take(&batch, position) {
                        return Ok(Some(Unsound { position, reason, is_torn_tail: false }));
                    }
                    if self.may_be_unsynced(&batch) {
                        rewrite.add(&batch, position)?;
                    }
                }
                Err(reason) => {
                    let is_torn = is_last && reason == CutReason::Torn;
                    let is_torn_tail = is_torn && !self.is_followed_by_batch(&reader.file, position)?;
                    return Ok(Some(Unsound { position, reason, is_torn_tail }));
                }
            }
        }
        Ok(None)
    }

    /// Whether the process that wrote the batch may have ended without a sync of it that succeeded.
    fn may_be_unsynced(&self, batch: &Batch) -> bool {
        // A recovery point that was raised to doubt a log says nothing of what was synced.
        let doubted = self.hints.recovery_point == Hints::NEVER_REACHED;
        self.hints.stop != Stop::Clean && (doubted || batch.header().end_offset() > self.hints.recovery_point)
    }

    /// Whether a sound batch of this log lies behind what looks torn: then it is no torn tail, but a changed length.
    fn is_followed_by_batch(&self, file: &FileRef, position: u64) -> Result<bool, Fault> {
        let length = usize::try_from(file.len_bytes().saturating_sub(position)).unwrap_or(usize::MAX);
        let rest = file.read_now(position, length.min(self.config.batch_bytes_max))?;
        let end = self.end();
        let is_batch = |from: usize| {
            let mut bytes = rest.slice(from..);
            let plausible = BatchHeader::parse(&bytes).is_ok_and(|header| header.base_offset > end);
            plausible && Batch::split_first(&mut bytes).is_ok_and(|batch| batch.check_crc().is_ok())
        };
        Ok((1..rest.len().saturating_sub(HEADER_BYTES)).any(is_batch))
    }

    /// Takes a batch that parses, if it continues the log and its bytes are what was written.
    fn take(&mut self, batch: &Batch, position: u64) -> Result<(), CutReason> {
        let header = batch.header();
        let epoch = header.leader_epoch.ok_or(CutReason::Unstamped)?;
        batch.check_crc().map_err(CutReason::Bad)?;
        if header.base_offset != self.end() {
            return Err(CutReason::Gap { found: header.base_offset });
        }
        if self.epochs.latest().is_some_and(|latest| latest.0 > epoch) {
            return Err(CutReason::OldEpoch { found: epoch });
        }
        let segment = self.segments.last_mut().expect("the segment being scanned is the last one");
        if position > SEGMENT_BYTES_MAX || !segment.index.reaches(header.last_offset()) {
            return Err(CutReason::Bad(BatchError::OutOfRange { field: "segment length", value: i64::MAX }));
        }
        self.epochs.assign(RecordEpoch(epoch), header.base_offset);
        segment.note(header);
        self.batches.push(*header);
        Ok(())
    }

    /// Cuts away what follows `unsound` in the last scanned segment, and the segments in `later`.
    async fn cut_from(&mut self, unsound: &Unsound, later: &[Offset]) -> Result<(), Fault> {
        let broken = self.segments.last().expect("what is unsound lies in the segment scanned last");
        let (base, file) = (broken.base, FileRef::clone(&broken.file));
        let mut bytes = file.len_bytes().saturating_sub(unsound.position);
        let mut remove = Vec::new();
        for base in later.iter().rev() {
            bytes += self.remove_paths(*base, &mut remove)?;
        }
        let is_misplaced = self.segments.len() > 1 && unsound.position == 0;
        if is_misplaced {
            self.remove_paths(base, &mut remove)?;
            self.segments.pop();
        }
        let end = self.end();
        let is_damage = self.is_damage(unsound);
        if is_damage {
            // From then on the recovery point says nothing of what is left.
            self.sync().await?;
            self.remember_damage(end)?;
        }
        self.disk.cut(&remove, (!is_misplaced).then_some((&file, unsound.position)))?;
        self.cut = Some(Cut { end, bytes, reason: unsound.reason, is_damage });
        tracing::warn!(log = self.directory, %end, bytes, reason = ?unsound.reason, is_damage, "log cut");
        Ok(())
    }

    /// Whether what is about to be cut was there for certain (R60).
    fn is_damage(&self, unsound: &Unsound) -> bool {
        let is_below = self.end() < self.hints.recovery_point;
        match self.hints.stop {
            Stop::Unknown => is_below,
            Stop::Killed => is_below || !unsound.is_torn_tail,
            Stop::Clean => true,
        }
    }

    /// A log that has been cut ends soundly, and only its recovery point says that there was more. So that stays above
    /// the end until a registration has stated the damage, through however many starts.
    fn remember_damage(&self, end: Offset) -> Result<(), Fault> {
        let checkpoint = self.recovery_points;
        let forgets = checkpoint.filter(|points| points.offset_of(self.directory).unwrap_or_default() <= end);
        forgets.map_or(Ok(()), |checkpoint| checkpoint.raise(self.directory, end.after(1)))
    }

    /// Adds the files of a segment that are there to `remove`, and gives the length of its records in bytes.
    fn remove_paths(&self, base: Offset, remove: &mut Vec<String>) -> Result<u64, Fault> {
        let entries = self.disk.list(self.directory)?;
        let mut length = 0;
        for suffix in SEGMENT_SUFFIXES {
            let path = segment_file(self.directory, base, suffix);
            let name = path.rsplit('/').next().unwrap_or_default();
            if !entries.iter().any(|entry| entry.name == name) {
                continue;
            }
            if suffix == ".log" {
                length = self.disk.open(&path, Open::Existing)?.len_bytes();
            }
            remove.push(path);
        }
        Ok(length)
    }

    /// Records below the recovery point that are not even there are damage too.
    fn note_missing(&mut self) {
        let end = self.end();
        if self.cut.is_none() && end < self.hints.recovery_point {
            self.cut = Some(Cut { end, bytes: 0, reason: CutReason::Missing, is_damage: true });
            tracing::warn!(log = self.directory, %end, recovery_point = %self.hints.recovery_point, "records are missing");
        }
    }

    async fn sync(&self) -> Result<(), Fault> {
        // One beyond the end says that the log is damaged, and nothing of what is synced.
        let synced = Some(self.hints.recovery_point).filter(|synced| *synced <= self.end());
        let unsynced =
            self.segments.iter().filter(|segment| synced.is_none_or(|synced| segment.end > synced));
        let mut files: Vec<FileRef> = unsynced.map(|segment| FileRef::clone(&segment.file)).collect();
        if files.is_empty() {
            files.extend(self.segments.last().map(|segment| FileRef::clone(&segment.file)));
        }
        let directories = vec![String::new(), self.directory.to_owned()];
        self.disk.sync(SyncSet { files, directories }).await
    }
}

/// Reads a segment from front to back.
struct Reader {
    file: FileRef,
    length: u64,
    /// Where the buffer begins in the file.
    position: u64,
    buffer: Bytes,
}

impl Reader {
    fn buffered(&self) -> u64 {
        u64::try_from(self.buffer.len()).unwrap_or(u64::MAX)
    }

    /// The next batch, or why there is none. The file holds at least one byte more.
    async fn batch(&mut self, size_max: usize) -> Result<Result<Batch, CutReason>, Fault> {
        if !self.fill(HEADER_BYTES).await? {
            return Ok(Err(
                self.torn_or_bad(BatchError::Truncated { needs: HEADER_BYTES, has: self.buffer.len() })
            ));
        }
        let size = match BatchHeader::parse(&self.buffer) {
            Ok(header) => header.size_bytes(),
            Err(error) => return Ok(Err(CutReason::Bad(error))),
        };
        if size > size_max {
            return Ok(Err(CutReason::Bad(BatchError::TooLarge { size, size_max })));
        }
        if !self.fill(size).await? {
            return Ok(Err(CutReason::Torn));
        }
        let batch = Batch::split_first(&mut self.buffer);
        self.position += u64::try_from(size).unwrap_or_default();
        Ok(batch.map_err(CutReason::Bad))
    }

    /// A front part of a header at the end of the file is torn; zeros are no part of any header.
    fn torn_or_bad(&self, error: BatchError) -> CutReason {
        if self.buffer.iter().all(|byte| *byte == 0) && self.buffer.len() > 8 {
            CutReason::Bad(error)
        } else {
            CutReason::Torn
        }
    }

    /// Makes the buffer at least `count` bytes long; `false` when the file ends before.
    async fn fill(&mut self, count: usize) -> Result<bool, Fault> {
        if self.buffer.len() >= count {
            return Ok(true);
        }
        let from = self.position + self.buffered();
        let wanted = (count - self.buffer.len()).max(CHUNK_BYTES);
        let there = usize::try_from(self.length.saturating_sub(from)).unwrap_or(usize::MAX);
        let more = self.file.read(from, wanted.min(there)).await?;
        if self.buffer.is_empty() {
            self.buffer = more;
        } else {
            let mut joined = BytesMut::from(self.buffer.as_ref());
            joined.extend_from_slice(&more);
            self.buffer = joined.freeze();
        }
        Ok(self.buffer.len() >= count)
    }
}
