//! Snapshots of the metadata: taking them, so that the log does not grow for ever, serving them, and beginning from one
//! that the leader has (Q40 to Q43).
//!
//! A snapshot is what is committed below an offset, and who votes there. When one may be taken, offered or installed is
//! the core's to say; here its bytes are made, moved and read. All that takes long with a large one is done beside the
//! quorum's task, which votes and answers meanwhile. The layout is in docs/FORMAT.md.

mod content;
mod transfer;

use std::sync::Arc;

use bytes::Bytes;
use highwater_model::fault::Faults;
use highwater_model::id::{Offset, QuorumEpoch};
use highwater_model::metadata::{self, Record};
use highwater_model::quorum::{Input, SnapshotId};

use super::{Ask, QuorumDriver, QuorumStopped, RecordsError};
use crate::disk::{Completion, Fault};
use crate::driver::issued::Issued;
use crate::log::{SnapshotName, Snapshots};

pub(super) use content::Content;
use content::{decode, encode};
use transfer::Reads;

/// Whoever reads the older snapshot postpones the next one until so many times the bytes have been committed after which
/// it would be taken: then the reader has to begin again, as the log would grow for ever otherwise.
const POSTPONED_TIMES: u64 = 2;

/// What the driver knows of snapshots.
pub(super) struct Keeping {
    files: Snapshots,
    /// A snapshot is taken when so many bytes have been committed since the last one.
    bytes_between: u64,
    /// Whether who voted at first is not known here: then only a record of the voters says who votes at an offset.
    has_joined: bool,
    committed_bytes: u64,
    published: Issued<Completion<()>, Kept>,
    /// The snapshot that is being fetched for the core.
    wanted: Option<SnapshotId>,
    reads: Reads,
    /// Whether one is being encoded or published that was taken here.
    is_taking: bool,
}

/// A snapshot that is being published.
pub(super) enum Kept {
    /// Taken here.
    Taken(SnapshotId),
    /// Fetched from the leader.
    Fetched(SnapshotId, Box<Content>),
}

impl Keeping {
    pub(super) fn new(files: Snapshots, bytes_between: u64, has_joined: bool) -> Self {
        let (published, reads) = (Issued::new(), Reads::default());
        Self {
            files,
            bytes_between,
            has_joined,
            committed_bytes: 0,
            published,
            wanted: None,
            reads,
            is_taking: false,
        }
    }

    /// The next snapshot that was published, or could not be.
    pub(super) async fn published(&mut self) -> (Result<(), Fault>, Kept) {
        self.published.next().await
    }

    /// A batch of so many bytes was committed.
    pub(super) fn note_committed(&mut self, bytes: usize) {
        self.committed_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Whether the next snapshot is taken though somebody reads the one that goes then.
    fn is_overdue(&self) -> bool {
        self.committed_bytes >= self.bytes_between.saturating_mul(POSTPONED_TIMES)
    }

    /// The snapshot that is fetched is wanted no longer.
    pub(super) fn abandon(&mut self) {
        self.wanted = None;
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// Takes a snapshot of what is committed, aside, when enough has been since the last one and it is durable here (Q40).
    pub(super) fn take_snapshot_if_due(&mut self) {
        let (image, log) = (Arc::clone(&self.images.borrow()), self.core.log());
        let end = image.end();
        let is_due = self.snapshots.committed_bytes >= self.snapshots.bytes_between;
        let waits = self.snapshots.is_taking || (self.is_older_read() && !self.snapshots.is_overdue());
        if !is_due || waits || end > log.flushed() || !self.knows_voters_at(end) {
            return;
        }
        let Some(quorum_epoch) = end.before().and_then(|last| log.epoch_at(last)) else { return };
        let id = SnapshotId { end, quorum_epoch };
        let voters = self.core.snapshot_voters(end).clone();
        self.monitor.judge_snapshot(id, &voters);
        let (env, own) = (self.env.clone(), self.own.clone());
        let encoding = async move {
            let wall_ms = env.wall_ms();
            let encoded = env.compute(move || encode(&voters, &image, wall_ms)).await;
            if let Some(own) = own.upgrade() {
                drop(own.send(Ask::SnapshotEncoded { id, encoded }).await);
            }
        };
        self.snapshots.committed_bytes = 0;
        self.snapshots.is_taking = true;
        drop(self.env.spawn("encode a snapshot", encoding));
    }

    /// A snapshot taken here is to be published, unless the log begins beyond it by now.
    pub(super) fn on_snapshot_encoded(
        &mut self,
        id: SnapshotId,
        encoded: Result<Bytes, RecordsError>,
    ) -> Result<(), QuorumStopped> {
        let content = encoded?;
        if self.core.snapshot().is_some_and(|newest| newest.end >= id.end) {
            self.snapshots.is_taking = false;
            return Ok(());
        }
        tracing::info!(end = %id.end, bytes = content.len(), "takes a snapshot of the metadata");
        let published = self.snapshots.files.publish(name(id), content);
        self.snapshots.published.push(published, Kept::Taken(id));
        Ok(())
    }

    /// Whether the snapshot that goes when the next one is taken is being read.
    fn is_older_read(&self) -> bool {
        let older = self.core.oldest_snapshot().filter(|oldest| Some(*oldest) != self.core.snapshot());
        older.is_some_and(|older| self.snapshots.reads.are_of(older, self.env.now()))
    }

    /// Whether the voters at `end`, exclusive, are known: since the quorum began, from a snapshot, or from a record.
    fn knows_voters_at(&self, end: Offset) -> bool {
        let mut records = self.core.voters().records().iter();
        !self.snapshots.has_joined
            || self.core.snapshot().is_some()
            || records.any(|record| record.offset < end)
    }

    pub(super) fn on_published(
        &mut self,
        kept: Kept,
        published: Result<(), Fault>,
    ) -> Result<(), QuorumStopped> {
        self.snapshots.is_taking &= !matches!(kept, Kept::Taken(_));
        match (kept, published) {
            (Kept::Taken(id), Ok(())) => {
                self.step(Input::SnapshotTaken { id })?;
                self.remove_older();
                Ok(())
            }
            (Kept::Taken(id), Err(fault)) => {
                // The log goes on growing until the next one.
                tracing::warn!(end = %id.end, %fault, "cannot keep a snapshot of the metadata");
                Ok(())
            }
            // Something newer than it has come meanwhile.
            (Kept::Fetched(id, _), _) if self.snapshots.wanted != Some(id) => Ok(()),
            (Kept::Fetched(id, content), Ok(())) => self.install(id, *content),
            (Kept::Fetched(id, _), Err(fault)) => self.not_fetched(id, &fault.to_string()),
        }
    }

    /// The snapshot is the log's beginning from here on, and what it holds is committed (Q43).
    fn install(&mut self, id: SnapshotId, content: Content) -> Result<(), QuorumStopped> {
        self.snapshots.wanted = None;
        let voters = content.voters.clone();
        self.step(Input::SnapshotInstalled { id, voters: content.voters })?;
        if self.core.snapshot() != Some(id) {
            return Ok(());
        }
        self.monitor.begins_from(voters);
        tracing::info!(end = %id.end, "begins from a snapshot of the metadata");
        if self.controller.committed().end() < id.end {
            let records = vec![Record::Snapshot(Box::new(content.image))];
            let quorum_epoch = self.core.quorum_epoch();
            self.decisions.push_back(metadata::Input::Committed { end: id.end, quorum_epoch, records });
        }
        self.snapshots.committed_bytes = 0;
        self.tell_voters();
        self.remove_older();
        Ok(())
    }

    fn not_fetched(&mut self, id: SnapshotId, why: &str) -> Result<(), QuorumStopped> {
        tracing::warn!(end = %id.end, why, "cannot begin from the leader's snapshot yet");
        self.snapshots.wanted = None;
        self.step(Input::SnapshotFailed { id })
    }

    /// Removes the snapshots that the core needs no longer, aside.
    fn remove_older(&self) {
        let Some(oldest) = self.core.oldest_snapshot() else { return };
        let files = self.snapshots.files.clone();
        let removing = async move {
            if let Err(fault) = files.remove_below(oldest.end).await {
                tracing::warn!(%fault, "cannot remove older snapshots of the metadata");
            }
        };
        drop(self.env.spawn("remove snapshots", removing));
    }

    pub(super) fn on_snapshot_fetched(
        &mut self,
        id: SnapshotId,
        fetched: Result<(Bytes, Box<Content>), String>,
    ) -> Result<(), QuorumStopped> {
        if self.snapshots.wanted != Some(id) {
            return Ok(());
        }
        match fetched {
            Ok((bytes, content)) if content.image.end() == id.end => {
                let published = self.snapshots.files.publish(name(id), bytes);
                self.snapshots.published.push(published, Kept::Fetched(id, content));
                Ok(())
            }
            Ok((_, content)) => {
                self.not_fetched(id, &format!("it ends at {}, not at {}", content.image.end(), id.end))
            }
            Err(what) => self.not_fetched(id, &what),
        }
    }
}

fn name(id: SnapshotId) -> SnapshotName {
    SnapshotName { end: id.end, epoch: id.quorum_epoch.0 }
}

fn id(name: SnapshotName) -> SnapshotId {
    SnapshotId { end: name.end, quorum_epoch: QuorumEpoch(name.epoch) }
}

/// What a start finds.
pub(super) struct Found {
    /// The newest snapshot that can be read.
    pub(super) id: SnapshotId,
    /// What is in it.
    pub(super) content: Content,
    /// The one before it.
    pub(super) older: Option<SnapshotId>,
    /// What of the log lies before this may have been trimmed in part, and goes: nothing, if no snapshot ever went.
    pub(super) needed_from: Offset,
}

/// The newest snapshot that can be read, and the one before it.
pub(super) fn newest(files: &Snapshots) -> Result<Option<Found>, Fault> {
    let names = files.list()?;
    let mut left = names.iter().copied().rev();
    while let Some(name) = left.next() {
        match decode(&files.read(name)?) {
            Ok(content) if content.image.end() == name.end => {
                let older = left.next().map(id);
                let alone = if names.len() > 1 { name.end } else { Offset::ZERO };
                let needed_from = older.map_or(alone, |older| older.end);
                return Ok(Some(Found { id: id(name), content, older, needed_from }));
            }
            Ok(_) => tracing::error!(end = %name.end, "a snapshot of the metadata has another one's name"),
            Err(what) => tracing::error!(end = %name.end, what, "a snapshot of the metadata cannot be read"),
        }
    }
    Ok(None)
}
