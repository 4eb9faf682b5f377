//! One log: the operations that a driver calls.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use highwater_model::id::{Offset, TopicId};
use highwater_transport::batch::{Batch, BatchHeader};

use super::{Flushed, Hints, LogConfig, Recovered, Truncated, Written};
use crate::disk::{Completion, Disk, Fault};

/// One log. Owned by one task; what it hands out ([`Completion`]s, reads) lives on without it.
#[derive(Debug)]
pub struct PartitionLog {
    disk: Arc<dyn Disk>,
    directory: String,
    config: LogConfig,
    end: Offset,
}

impl PartitionLog {
    /// Opens the log in `directory` (`<topic>-<partition>`), or creates it, and recovers it: from the recovery point on
    /// each batch is checked in full and the log is cut at the first bad one; what remains is synced. `topic_id` is
    /// written to `partition.metadata` of a new log, and compared with that of an old one.
    ///
    /// # Errors
    /// Storage faults; [`Fault::Malformed`] when the directory belongs to another topic id.
    pub async fn open(
        disk: Arc<dyn Disk>,
        directory: &str,
        _topic_id: Option<TopicId>,
        config: LogConfig,
        _hints: Hints,
    ) -> Result<(Self, Recovered), Fault> {
        let log = Self { disk, directory: directory.to_owned(), config, end: Offset::ZERO };
        Err(log.unfinished())
    }

    fn unfinished(&self) -> Fault {
        Fault::Malformed {
            path: format!("{}{:?}", self.directory, self.disk),
            what: format!("{:?}", self.config),
        }
    }

    /// First offset, inclusive.
    #[must_use]
    pub fn start(&self) -> Offset {
        Offset::ZERO
    }

    /// Log end, exclusive: what has been submitted.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Bytes of records in all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Appends stamped batches, which must continue the log (the first at [`Self::end`], epochs never falling). The write
    /// is issued by the call. When it fails, now or in its completion, nothing of it is in the log.
    ///
    /// # Errors
    /// In the completion: [`Fault::Misplaced`], [`Fault::Full`], [`Fault::Offline`], or the system's error.
    pub fn append(&mut self, _batches: &[Batch]) -> Completion<Written> {
        Completion::done(Err(self.unfinished()))
    }

    /// Syncs everything appended so far. The sync is issued by the call; syncs of one disk are grouped.
    pub fn sync(&mut self) -> Completion<Flushed> {
        Completion::done(Err(self.unfinished()))
    }

    /// Notes that a leader begins `epoch` at the log's end, before any record of it (R30), in the epoch checkpoint.
    pub fn begin_epoch(&mut self, _epoch: u32) -> Completion<()> {
        Completion::done(Err(self.unfinished()))
    }

    /// Cuts the log back to `to`, exclusive, durably. Blocks for a sync when records go, see [`Disk::cut`]; the
    /// completion is then already there.
    pub fn truncate(&mut self, _to: Offset) -> Completion<Truncated> {
        Completion::done(Err(self.unfinished()))
    }

    /// Throws all records away and begins again at `start` (R16, Q43). As [`Self::truncate`].
    pub fn restart_at(&mut self, _start: Offset) -> Completion<Truncated> {
        Completion::done(Err(self.unfinished()))
    }

    /// Raises the log's start to `start`, inclusive, and removes the segments wholly below it, but never the last
    /// (R80, R81). The caller records the start in the log-start checkpoint.
    ///
    /// # Errors
    /// Storage faults.
    pub fn trim(&mut self, _start: Offset) -> Result<(), Fault> {
        Err(self.unfinished())
    }

    /// Reads whole batches: from the one that holds `from` on, at most about `bytes_max` bytes but at least one batch,
    /// and none that ends beyond `up_to` (exclusive). Empty when there is nothing below `up_to`.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] when `from` is below the start or beyond the end; storage faults.
    pub fn read(
        &self,
        _from: Offset,
        _bytes_max: usize,
        _up_to: Offset,
    ) -> impl Future<Output = Result<Bytes, Fault>> + Send + 'static + use<> {
        let fault = self.unfinished();
        async move { Err(fault) }
    }

    /// The headers of the batches that hold offsets from `from` up to `up_to`, exclusive.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn headers(
        &self,
        _from: Offset,
        _up_to: Offset,
    ) -> impl Future<Output = Result<Vec<BatchHeader>, Fault>> + Send + 'static + use<> {
        let fault = self.unfinished();
        async move { Err(fault) }
    }

    /// Writes the indexes of the last segment and the epoch checkpoint, and syncs everything: before a clean stop.
    pub fn close(&mut self) -> Completion<Flushed> {
        Completion::done(Err(self.unfinished()))
    }

    /// Removes the log: renames its directory away at once, then removes it.
    ///
    /// # Errors
    /// Storage faults.
    pub fn delete(self) -> Result<(), Fault> {
        Err(self.unfinished())
    }
}
