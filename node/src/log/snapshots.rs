//! Snapshot files beside a log (Q40 to Q43): `<end offset>-<epoch>.checkpoint`, published whole or not at all.
//!
//! What is in one, batches from a header to a footer, is for others.

use std::sync::Arc;

use bytes::Bytes;
use highwater_model::id::Offset;

use crate::disk::{Completion, Disk, Fault, Open, SyncSet};

const SUFFIX: &str = ".checkpoint";

/// Names a snapshot: the log before `end` and the epoch of its last record (Q40).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName {
    /// End of what it stands for, exclusive.
    pub end: Offset,
    /// Epoch of the record before `end`.
    pub epoch: u32,
}

impl SnapshotName {
    fn file(self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end.0, self.epoch)
    }

    fn parse(name: &str) -> Option<Self> {
        let (end, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let found = Self { end: Offset(end.parse().ok()?), epoch: epoch.parse().ok()? };
        (found.file() == name).then_some(found)
    }
}

/// The snapshots in one log's directory.
#[derive(Clone, Debug)]
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    directory: String,
}

impl Snapshots {
    /// Those beside the log in `directory`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, directory: &str) -> Self {
        Self { disk, directory: directory.to_owned() }
    }

    fn path(&self, name: SnapshotName) -> String {
        format!("{}/{}", self.directory, name.file())
    }

    /// Publishes a snapshot, whole, durably: written beside, synced, renamed, directory synced (Q43). Issued by the call.
    pub fn publish(&self, name: SnapshotName, content: Bytes) -> Completion<()> {
        self.disk.replace(&self.path(name), content)
    }

    /// The snapshots there are, oldest first. One that was being written when the process ended is none.
    ///
    /// # Errors
    /// Storage faults.
    pub fn list(&self) -> Result<Vec<SnapshotName>, Fault> {
        let entries = match self.disk.list(&self.directory) {
            Ok(entries) => entries,
            Err(fault) if fault.is_missing() => Vec::new(),
            Err(fault) => return Err(fault),
        };
        Ok(entries.iter().filter_map(|entry| SnapshotName::parse(&entry.name)).collect())
    }

    /// The whole content.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub fn read(&self, name: SnapshotName) -> Result<Bytes, Fault> {
        self.disk.read_whole(&self.path(name))
    }

    /// Up to `length` bytes of the content from `position` on, and how long it is in all. Blocks while the file is opened,
    /// but not while it is read.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn read_part(
        &self,
        name: SnapshotName,
        position: u64,
        length: usize,
    ) -> Result<(u64, Bytes), Fault> {
        let file = self.disk.open(&self.path(name), Open::Existing)?;
        let total = file.len_bytes();
        let bytes = file.read(position.min(total), length).await?;
        Ok((total, bytes))
    }

    /// Removes the snapshots that end below `end`, of which a newer one has been published.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn remove_below(&self, end: Offset) -> Result<(), Fault> {
        for name in self.list()?.into_iter().filter(|name| name.end < end) {
            self.disk.remove(&self.path(name))?;
        }
        self.disk.sync(SyncSet { files: Vec::new(), directories: vec![self.directory.clone()] }).await
    }
}
