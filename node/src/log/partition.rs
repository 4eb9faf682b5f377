//! One log: the operations that a driver calls.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use highwater_model::id::{Offset, TopicId};
use highwater_transport::batch::{Batch, BatchHeader};

use super::epochs::{self, Epochs, RecordEpoch};
use super::names::{DELETED, LEADER_EPOCHS, SEGMENT_SUFFIXES, segment_file};
use super::reader::{self, Source};
use super::recovery::Scan;
use super::restart;
use super::segment::{SEGMENT_BYTES_MAX, Segment};
use super::{
    Flushed, Hints, LogConfig, OffsetCheckpoint, Recovered, Truncated, Written, log_start, metadata,
};
use crate::disk::{Completion, Disk, Fault, FileRef, SyncSet};

/// What takes records off a log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Of some of them. It may be tried again.
    Truncation,
    /// Of all of them, to begin anew elsewhere: once decided it comes to its end when the log is opened, if not before.
    Restart,
}

/// One log. Owned by one task; what it hands out ([`Completion`]s, reads) lives on without it.
#[derive(Debug)]
pub struct PartitionLog {
    disk: Arc<dyn Disk>,
    directory: String,
    config: LogConfig,
    start: Offset,
    /// Never empty; the last one is appended to.
    segments: Vec<Segment>,
    epochs: Epochs,
    /// Closed segments that the next sync must cover.
    unsynced: Vec<FileRef>,
    /// Whether files have been created or removed since the last sync.
    is_directory_unsynced: bool,
    /// What was begun and did not come to its end: nobody knows where the log on the disk ends.
    open_cut: Option<Cut>,
    recovery_points: Option<Arc<OffsetCheckpoint>>,
    /// First offset as the log's directory notes it; 0 for none.
    noted_start: Offset,
}

impl PartitionLog {
    /// Opens the log in `directory` (`<topic>-<partition>`), or creates it, and recovers it: each batch is checked and the
    /// log is cut at the first bad one; what remains is synced. `topic_id` is written to `partition.metadata` of a
    /// new log, and compared with that of an old one.
    ///
    /// # Errors
    /// Storage faults; [`Fault::Malformed`] when the directory belongs to another topic id.
    pub async fn open(
        disk: Arc<dyn Disk>,
        directory: &str,
        topic_id: Option<TopicId>,
        config: LogConfig,
        hints: Hints,
    ) -> Result<(Self, Recovered), Fault> {
        Self::open_with(disk, directory, topic_id, config, (hints, None)).await
    }

    /// As [`Self::open`], with a checkpoint of recovery points, which then also follows the log: damage is written there
    /// before it is cut away, and a truncation lowers the log's recovery point first, because one above the end
    /// means damage.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_checkpointed(
        disk: Arc<dyn Disk>,
        directory: &str,
        topic_id: Option<TopicId>,
        config: LogConfig,
        hints: Hints,
        recovery_points: Arc<OffsetCheckpoint>,
    ) -> Result<(Self, Recovered), Fault> {
        let recovery_point = recovery_points.offset_of(directory).unwrap_or_default();
        let hints = Hints { recovery_point, ..hints };
        Self::open_with(disk, directory, topic_id, config, (hints, Some(recovery_points))).await
    }

    async fn open_with(
        disk: Arc<dyn Disk>,
        directory: &str,
        topic_id: Option<TopicId>,
        config: LogConfig,
        (hints, recovery_points): (Hints, Option<Arc<OffsetCheckpoint>>),
    ) -> Result<(Self, Recovered), Fault> {
        disk.create_dir(directory)?;
        metadata::check_or_write(disk.as_ref(), directory, topic_id).await?;
        restart::carry_out_what_is_decided(disk.as_ref(), directory)?;
        let noted_start = log_start::read(disk.as_ref(), directory)?;
        let hints = hints.with_noted_start(noted_start);
        let Scan { segments, batches, epochs, cut, .. } =
            Scan::run(disk.as_ref(), directory, config, hints, recovery_points.as_deref()).await?;
        let mut log = Self {
            directory: directory.to_owned(),
            config,
            start: segments.first().map_or(hints.log_start, |segment| segment.base),
            segments,
            epochs,
            unsynced: Vec::new(),
            is_directory_unsynced: false,
            open_cut: None,
            recovery_points,
            noted_start,
            disk,
        };
        log.settle(hints).await?;
        let batches = batches.into_iter().filter(|batch| batch.end_offset() > log.start).collect();
        let (start, end) = (log.start, log.end());
        let recovered = Recovered { start, end, epochs: epochs::entries(&log.epochs), batches, cut };
        Ok((log, recovered))
    }

    /// After the scan: gives an empty log its segment, applies the log start, and the epoch without records.
    async fn settle(&mut self, hints: Hints) -> Result<(), Fault> {
        if self.segments.is_empty() {
            let file = restart::first(self.disk.as_ref(), &self.directory, hints.log_start)?;
            self.begin_with(file, hints.log_start);
            self.sync().await?;
        }
        let end = self.end();
        match self.disk.read_whole(&format!("{}/{LEADER_EPOCHS}", self.directory)) {
            Ok(text) => epochs::add_recordless(&mut self.epochs, &epochs::from_text(&text), end),
            Err(fault) if fault.is_missing() => {}
            Err(fault) => return Err(fault),
        }
        // A log that ends below is damaged, which is told; what there is of it stays until its leader says otherwise.
        if hints.log_start <= end {
            self.start = self.start.max(hints.log_start);
        }
        self.epochs.trim(self.start);
        self.drop_segments_below_start()
    }

    /// First offset, inclusive.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Log end, exclusive: what has been submitted.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.active().end
    }

    /// The directory, relative to the disk.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Bytes of records in all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes).sum()
    }

    /// Number of segments.
    #[must_use]
    pub fn segments_count(&self) -> usize {
        self.segments.len()
    }

    /// Whether it is known where the log on the disk ends. It is not when a cut was begun and failed: no clean stop may
    /// vouch for such a log (R60).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.open_cut.is_none()
    }

    /// Its sizes.
    #[must_use]
    pub fn config(&self) -> LogConfig {
        self.config
    }

    /// From the next append on a segment is closed before it would exceed so many bytes (`segment.bytes`).
    pub fn set_segment_bytes_max(&mut self, bytes: u64) {
        self.config.segment_bytes_max = bytes;
    }

    /// Takes `end`, exclusive, for the log's recovery point. Everything below is synced, and has not been cut since:
    /// the sync is of the log's present generation. Nothing is noted after a cut that failed.
    pub fn note_flushed(&self, end: Offset) {
        if let Some(checkpoint) = self.recovery_points.as_ref().filter(|_| self.is_whole()) {
            checkpoint.note(&self.directory, end);
        }
    }

    /// Takes the end of a log as it was recovered for its recovery point, even when that falls: what was damaged has been
    /// stated in a registration.
    ///
    /// # Errors
    /// Storage faults.
    pub fn accept_recovered(&self) -> Result<(), Fault> {
        self.lower_recovery_point(self.end())?;
        self.note_flushed(self.end());
        if self.noted_start > self.end() {
            log_start::remove(self.disk.as_ref(), &self.directory)?;
        }
        Ok(())
    }

    fn cut_open(&self) -> Fault {
        Fault::CutOpen { path: self.directory.clone() }
    }

    /// What a restart that is decided on the disk is about to remove is neither cut nor deleted.
    fn is_not_beginning_anew(&self) -> Result<(), Fault> {
        if self.open_cut == Some(Cut::Restart) { Err(self.cut_open()) } else { Ok(()) }
    }

    fn active(&self) -> &Segment {
        self.segments.last().expect("a log always has a segment")
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log always has a segment")
    }

    /// Appends stamped batches, which must continue the log (the first at [`Self::end`], epochs never falling). The write
    /// is issued by the call. When it fails, now or in its completion, nothing of it is in the log.
    ///
    /// # Errors
    /// In the completion: [`Fault::Misplaced`], [`Fault::CutOpen`], [`Fault::Full`], [`Fault::Offline`], or the system's error.
    pub fn append(&mut self, batches: &[Batch]) -> Completion<Written> {
        match self.try_append(batches) {
            Ok(completion) => completion.with(Written { end: self.end() }),
            Err(fault) => Completion::done(Err(fault)),
        }
    }

    fn try_append(&mut self, batches: &[Batch]) -> Result<Completion<()>, Fault> {
        if !self.is_whole() {
            return Err(self.cut_open());
        }
        let epochs = self.continued_by(batches)?;
        let Some(last) = batches.last() else {
            return Ok(Completion::done(Ok(())));
        };
        let bytes =
            batches.iter().map(|batch| u64::try_from(batch.len_bytes()).unwrap_or(u64::MAX)).sum::<u64>();
        let size_max = self.config.segment_bytes_max.min(SEGMENT_BYTES_MAX);
        let active = self.active();
        let fits = active.size_bytes + bytes <= size_max && active.index.reaches(last.header().last_offset());
        if !fits && active.size_bytes > 0 {
            self.roll()?;
        }
        let completion = self.active_mut().append(batches)?;
        self.epochs = epochs;
        Ok(completion)
    }

    /// The epoch history with these batches, if they continue the log.
    fn continued_by(&self, batches: &[Batch]) -> Result<Epochs, Fault> {
        let mut epochs = self.epochs.clone();
        let mut expected = self.end();
        for header in batches.iter().map(Batch::header) {
            let latest = epochs.latest().unwrap_or_default().0;
            let stamped = header.leader_epoch.filter(|epoch| *epoch >= latest);
            let Some(epoch) = stamped.filter(|_| header.base_offset == expected) else {
                return Err(Fault::Misplaced {
                    path: self.directory.clone(),
                    found: header.base_offset.0,
                    found_epoch: header.leader_epoch,
                    expected: expected.0,
                    expected_epoch: latest,
                });
            };
            epochs.assign(RecordEpoch(epoch), header.base_offset);
            expected = header.end_offset();
        }
        Ok(epochs)
    }

    /// Closes the last segment and begins the next at the log's end.
    fn roll(&mut self) -> Result<(), Fault> {
        let next = Segment::create(
            self.disk.as_ref(),
            &self.directory,
            self.end(),
            self.config.index_interval_bytes,
        )?;
        // The indexes are hints; whoever waits for them waits for nothing that matters.
        drop(self.write_indexes());
        self.unsynced.push(FileRef::clone(&self.active().file));
        self.is_directory_unsynced = true;
        self.segments.push(next);
        Ok(())
    }

    fn write_indexes(&self) -> Completion<()> {
        let active = self.active();
        let [_, offsets, times] = Segment::paths(&self.directory, active.base);
        drop(self.disk.replace(&offsets, active.index.offset_bytes()));
        self.disk.replace(&times, active.index.time_bytes())
    }

    /// Syncs everything appended so far. The sync is issued by the call; syncs of one disk are grouped.
    pub fn sync(&mut self) -> Completion<Flushed> {
        let mut files = std::mem::take(&mut self.unsynced);
        files.push(FileRef::clone(&self.active().file));
        let mut directories = Vec::new();
        if std::mem::take(&mut self.is_directory_unsynced) {
            directories.push(self.directory.clone());
        }
        self.disk.sync(SyncSet { files, directories }).with(Flushed { end: self.end() })
    }

    /// Notes that a leader begins `epoch` at the log's end, before any record of it (R30), in the epoch checkpoint.
    /// An epoch that is not above the latest changes nothing.
    pub fn begin_epoch(&mut self, epoch: u32) -> Completion<()> {
        if self.epochs.latest().is_none_or(|latest| latest.0 < epoch) {
            self.epochs.assign(RecordEpoch(epoch), self.end());
        }
        self.write_epochs()
    }

    fn write_epochs(&self) -> Completion<()> {
        self.disk.replace(&format!("{}/{LEADER_EPOCHS}", self.directory), epochs::to_text(&self.epochs))
    }

    /// Cuts the log back to `to`, exclusive, durably; forgets the epochs that begin there or later, even when no record
    /// goes (R31). Blocks for a sync when records go, see [`Disk::cut`]; the completion is then already there.
    ///
    /// # Errors
    /// In the completion: [`Fault::WithinBatch`], with the log as it was; [`Fault::CutOpen`] when the log was to begin anew
    /// ([`Self::restart_at`]) and that did not come to its end; storage faults.
    pub fn truncate(&mut self, to: Offset) -> Completion<Truncated> {
        let result = self.try_truncate(to.max(self.start));
        Completion::done(result.map(|()| Truncated { end: self.end() }))
    }

    fn try_truncate(&mut self, to: Offset) -> Result<(), Fault> {
        self.is_not_beginning_anew()?;
        if to < self.end() {
            let (keep, position) = self.place_of_cut(to)?;
            self.lower_recovery_point(to)?;
            self.cut(keep, position)?;
        }
        self.epochs.truncate(self.end());
        // Issued, not awaited: an older checkpoint names epochs beyond the end, which opening the log drops.
        drop(self.write_epochs());
        Ok(())
    }

    /// The segment in which the log is to end, and how long it is to be in bytes.
    fn place_of_cut(&self, to: Offset) -> Result<(usize, u64), Fault> {
        let keep = self.segments.iter().rposition(|segment| segment.base <= to).unwrap_or(0);
        let kept = self.segments.get(keep).expect("the log's start lies within its first segment");
        let (position, base) = kept.locate(to)?;
        if base < to {
            return Err(Fault::WithinBatch { path: self.directory.clone(), offset: to.0, base: base.0 });
        }
        Ok((keep, position))
    }

    fn cut(&mut self, keep: usize, position: u64) -> Result<(), Fault> {
        let kept = self.segments.get(keep).expect("the segment was found among these");
        let mut remove = Vec::new();
        for segment in self.segments.iter().skip(keep + 1).rev() {
            self.add_present(segment.base, &SEGMENT_SUFFIXES, &mut remove)?;
        }
        let [_, indexes @ ..] = SEGMENT_SUFFIXES;
        self.add_present(kept.base, &indexes, &mut remove)?;
        let kept = FileRef::clone(&kept.file);
        self.open_cut = Some(Cut::Truncation);
        self.disk.cut(&remove, Some((&kept, position)))?;
        self.segments.truncate(keep + 1);
        let interval_bytes = self.config.index_interval_bytes;
        self.active_mut().forget_from(position, interval_bytes)?;
        self.forget_unsynced();
        self.open_cut = None;
        Ok(())
    }

    /// Adds the paths of those files of a segment that are there.
    fn add_present(&self, base: Offset, suffixes: &[&str], paths: &mut Vec<String>) -> Result<(), Fault> {
        let entries = self.disk.list(&self.directory)?;
        for suffix in suffixes {
            let path = segment_file(&self.directory, base, suffix);
            let is_there = entries.iter().any(|entry| path.ends_with(&format!("/{}", entry.name)));
            if is_there {
                paths.push(path);
            }
        }
        Ok(())
    }

    /// Drops from what is to be synced the segments that are gone.
    fn forget_unsynced(&mut self) {
        let segments = &self.segments;
        let is_there = |file: &FileRef| segments.iter().any(|segment| Arc::ptr_eq(&segment.file, file));
        self.unsynced.retain(is_there);
    }

    fn lower_recovery_point(&self, to: Offset) -> Result<(), Fault> {
        self.recovery_points.as_ref().map_or(Ok(()), |checkpoint| checkpoint.lower(&self.directory, to))
    }

    /// Throws all records away and begins again at `start` (R16, Q43). As [`Self::truncate`]. Without room for a file the log is as it
    /// was; and whenever the process ends, it is either as it was or begins at `start`.
    ///
    /// # Errors
    /// In the completion: storage faults. Where that is decided already and does not come to its end, nothing but this is done to the log any more
    /// ([`Fault::CutOpen`]).
    pub fn restart_at(&mut self, start: Offset) -> Completion<Truncated> {
        let result = self.try_restart_at(start);
        let result = result.map(|()| {
            drop(self.write_epochs());
            Truncated { end: self.end() }
        });
        Completion::done(result)
    }

    fn try_restart_at(&mut self, start: Offset) -> Result<(), Fault> {
        let disk = self.disk.as_ref();
        // First what there may be no room for: a log that stays as it was keeps its recovery point too.
        let candidate = restart::candidate(disk, &self.directory, start)?;
        self.lower_recovery_point(Offset::ZERO)?;
        if let Err(fault) = restart::decide(disk, &self.directory, &candidate, start) {
            if !matches!(restart::decided(disk, &self.directory), Ok(None)) {
                self.open_cut = Some(Cut::Restart);
            }
            return Err(fault);
        }
        self.open_cut = Some(Cut::Restart);
        let file = restart::carry_out(disk, &self.directory, start)?;
        self.begin_with(file, start);
        self.noted_start = Offset::ZERO;
        self.open_cut = None;
        Ok(())
    }

    /// The log is this file's segment, empty, and nothing else.
    fn begin_with(&mut self, file: FileRef, start: Offset) {
        self.segments = vec![Segment::empty(file, start, self.config.index_interval_bytes)];
        self.unsynced.clear();
        self.start = start;
        self.epochs = Epochs::default();
    }

    /// Raises the log's start to `start`, inclusive, and removes the segments wholly below it, but never the last
    /// (R80, R81). The start is noted first, durably; what has been removed may come back after a power loss, and is then
    /// removed again. Without room for the note the segments go one by one, the oldest first.
    ///
    /// # Errors
    /// [`Fault::CutOpen`] when a restart of the log is decided; storage faults.
    pub fn trim(&mut self, start: Offset) -> Result<(), Fault> {
        self.is_not_beginning_anew()?;
        if start <= self.start {
            return Ok(());
        }
        let start = start.min(self.end());
        let noted = self.note_start(start);
        self.start = start;
        self.epochs.trim(start);
        match noted {
            Ok(()) => self.drop_segments_below_start(),
            Err(fault) if fault.is_full() => {
                self.drop_segments_in_order()?;
                // Where there is no room even now it begins with its first segment after a restart.
                self.note_start(start).or_else(|fault| if fault.is_full() { Ok(()) } else { Err(fault) })
            }
            Err(fault) => Err(fault),
        }
    }

    fn note_start(&mut self, start: Offset) -> Result<(), Fault> {
        log_start::write(self.disk.as_ref(), &self.directory, start)?;
        self.noted_start = start;
        Ok(())
    }

    fn drop_segments_below_start(&mut self) -> Result<(), Fault> {
        let below = self.segments_below_start();
        let mut remove = Vec::new();
        for segment in self.segments.iter().take(below) {
            self.add_present(segment.base, &SEGMENT_SUFFIXES, &mut remove)?;
        }
        for path in &remove {
            self.disk.remove(path)?;
        }
        self.is_directory_unsynced |= below > 0;
        self.segments.drain(..below);
        self.forget_unsynced();
        Ok(())
    }

    /// Each durably: no power loss leaves a gap.
    fn drop_segments_in_order(&mut self) -> Result<(), Fault> {
        for _ in 0..self.segments_below_start() {
            let mut remove = Vec::new();
            if let Some(oldest) = self.segments.first() {
                self.add_present(oldest.base, &SEGMENT_SUFFIXES, &mut remove)?;
            }
            self.disk.cut(&remove, None)?;
            self.segments.remove(0);
        }
        self.forget_unsynced();
        Ok(())
    }

    fn segments_below_start(&self) -> usize {
        let below = self.segments.iter().filter(|segment| segment.end <= self.start).count();
        below.min(self.segments.len() - 1)
    }

    /// Reads whole batches: from the one that holds `from` on, at most about `bytes_max` bytes but at least one batch,
    /// and none that ends beyond `up_to` (exclusive). Ends at the end of a segment. Empty when there is nothing below
    /// `up_to`.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] when `from` is below the start or beyond the end; storage faults.
    pub fn read(
        &self,
        from: Offset,
        bytes_max: usize,
        up_to: Offset,
    ) -> impl Future<Output = Result<Bytes, Fault>> + Send + 'static + use<> {
        let source = self.sources(from, up_to).map(|sources| sources.into_iter().next());
        async move {
            match source? {
                Some(source) => reader::batches(source, from, bytes_max, up_to).await,
                None => Ok(Bytes::new()),
            }
        }
    }

    /// The headers of the batches that hold offsets from `from` up to `up_to`, exclusive.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn headers(
        &self,
        from: Offset,
        up_to: Offset,
    ) -> impl Future<Output = Result<Vec<BatchHeader>, Fault>> + Send + 'static + use<> {
        let sources = self.sources(from, up_to);
        async move { reader::headers(sources?, from, up_to).await }
    }

    /// The segments that hold offsets from `from` up to `up_to`, the first with a position at or before `from`.
    fn sources(&self, from: Offset, up_to: Offset) -> Result<Vec<Source>, Fault> {
        if from < self.start || from > self.end() {
            let (start, end) = (self.start.0, self.end().0);
            return Err(Fault::OutOfRange { path: self.directory.clone(), offset: from.0, start, end });
        }
        let first = self.segments.iter().rposition(|segment| segment.base <= from).unwrap_or(0);
        let within = self.segments.iter().skip(first).take_while(|segment| segment.base < up_to);
        let source = |segment: &Segment| Source {
            file: FileRef::clone(&segment.file),
            position: segment.index.position_of(from),
            size_bytes: segment.size_bytes,
        };
        Ok(within.filter(|segment| segment.end > from).map(source).collect())
    }

    /// Syncs everything, and writes the epoch checkpoint and the indexes of the last segment: before a clean stop. The
    /// indexes are hints, and may fail. Of a log that was left in the midst of a cut only what there is is synced, and no
    /// recovery point is noted; see [`Self::is_whole`].
    ///
    /// # Errors
    /// Storage faults: the log has then not been closed in order.
    pub async fn close(mut self) -> Result<Flushed, Fault> {
        let flushed = self.sync().await?;
        if !self.is_whole() {
            return Ok(flushed);
        }
        self.close_epochs().await?;
        drop(self.write_indexes().await);
        self.note_flushed(flushed.end);
        Ok(flushed)
    }

    /// On a full disk the epoch checkpoint is removed: the records say the same.
    async fn close_epochs(&self) -> Result<(), Fault> {
        match self.write_epochs().await {
            Err(fault) if fault.is_full() => {
                let mut remove = Vec::new();
                let entries = self.disk.list(&self.directory)?;
                if entries.iter().any(|entry| entry.name == LEADER_EPOCHS) {
                    remove.push(format!("{}/{LEADER_EPOCHS}", self.directory));
                }
                self.disk.cut(&remove, None)
            }
            written => written,
        }
    }

    /// Removes the log: renames its directory away, durably, then removes it.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn delete(self) -> Result<(), Fault> {
        self.lower_recovery_point(Offset::ZERO)?;
        let doomed = format!("{}{DELETED}", self.directory);
        self.disk.rename(&self.directory, &doomed)?;
        self.disk.sync(SyncSet { files: Vec::new(), directories: vec![String::new()] }).await?;
        self.disk.remove_dir(&doomed)
    }
}
