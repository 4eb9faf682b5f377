//! One log: the operations that a driver calls.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use highwater_model::id::{Offset, TopicId};
use highwater_transport::batch::{Batch, BatchHeader};

use super::epochs::{self, Epochs, RecordEpoch};
use super::names::{DELETED, LEADER_EPOCHS};
use super::reader::{self, Source};
use super::recovery::Scan;
use super::restart;
use super::segment::{SEGMENT_BYTES_MAX, Segment};
use super::{Flushed, Hints, LogConfig, OffsetCheckpoint, Recovered, Written, log_start, metadata};
use crate::disk::{Completion, Disk, Fault, FileRef, SyncSet};

mod cuts;

use cuts::Cut;

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
