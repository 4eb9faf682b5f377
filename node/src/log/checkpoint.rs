//! Checkpoints of one offset per partition, in Kafka's text format: recovery points and high watermarks of
//! all logs in one log directory. They may be stale or absent (X6).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use highwater_model::id::Offset;

use super::names::{directory_of, parse_directory};
use crate::disk::{Completion, Disk, Fault};

/// Up to where each log is synced.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// High watermarks.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// One checkpoint file. Logs are named by their directory, `<topic>-<partition>`.
#[derive(Debug)]
pub struct OffsetCheckpoint {
    disk: Arc<dyn Disk>,
    name: &'static str,
    offsets: Mutex<Offsets>,
}

#[derive(Debug, Default)]
struct Offsets {
    now: BTreeMap<String, Offset>,
    /// As the file may have them.
    written: BTreeMap<String, Offset>,
}

impl OffsetCheckpoint {
    /// Reads the file; a missing or malformed one is as good as empty.
    ///
    /// # Errors
    /// Storage faults.
    pub fn load(disk: Arc<dyn Disk>, name: &'static str) -> Result<Self, Fault> {
        let now = match disk.read_whole(name) {
            Ok(text) => parse(&text).unwrap_or_default(),
            Err(fault) if fault.is_missing() => BTreeMap::new(),
            Err(fault) => return Err(fault),
        };
        let written = now.clone();
        Ok(Self { disk, name, offsets: Mutex::new(Offsets { now, written }) })
    }

    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset of a log.
    #[must_use]
    pub fn offset_of(&self, directory: &str) -> Option<Offset> {
        self.offsets().now.get(directory).copied()
    }

    /// The logs that hold something, as far as the checkpoint knows.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let offsets = self.offsets();
        let used = offsets.now.iter().filter(|(_, offset)| **offset > Offset::ZERO);
        used.map(|(directory, _)| directory.clone()).collect()
    }

    /// Notes an offset in memory; it reaches the file with the next [`Self::store`].
    pub fn note(&self, directory: &str, offset: Offset) {
        let mut offsets = self.offsets();
        match offsets.now.get_mut(directory) {
            Some(now) => *now = offset,
            None => drop(offsets.now.insert(directory.to_owned(), offset)),
        }
    }

    /// Forgets a log that is deleted.
    pub fn forget(&self, directory: &str) {
        self.offsets().now.remove(directory);
    }

    /// Writes the file, atomically and durably.
    pub fn store(&self) -> Completion<()> {
        let mut offsets = self.offsets();
        offsets.written = offsets.now.clone();
        self.disk.replace(self.name, to_text(&offsets.now))
    }

    /// Lowers a log's offset to `to`, at most; when the file may say more, it is written before this returns. If there is
    /// no room for that it is removed, until it is written again: absent, it says nothing that is wrong.
    ///
    /// # Errors
    /// Storage faults.
    pub fn lower(&self, directory: &str, to: Offset) -> Result<(), Fault> {
        let mut offsets = self.offsets();
        if let Some(now) = offsets.now.get_mut(directory) {
            *now = to.min(*now);
        }
        if offsets.written.get(directory).is_none_or(|written| *written <= to) {
            return Ok(());
        }
        match self.write_now(&mut offsets) {
            Err(fault) if fault.is_full() => {
                tracing::warn!(%fault, "removed what cannot be written anew");
                self.disk.cut(&[self.name.to_owned()], None)?;
                offsets.written.clear();
                Ok(())
            }
            written => written,
        }
    }

    /// Raises a log's offset to `to`, at least, in the file too before this returns.
    ///
    /// # Errors
    /// Storage faults.
    pub fn raise(&self, directory: &str, to: Offset) -> Result<(), Fault> {
        let mut offsets = self.offsets();
        let now = offsets.now.entry(directory.to_owned()).or_default();
        *now = to.max(*now);
        self.write_now(&mut offsets)
    }

    fn write_now(&self, offsets: &mut Offsets) -> Result<(), Fault> {
        self.disk.replace_now(self.name, to_text(&offsets.now))?;
        offsets.written = offsets.now.clone();
        Ok(())
    }
}

fn to_text(offsets: &BTreeMap<String, Offset>) -> Bytes {
    let mut lines = String::new();
    let mut count = 0;
    for (directory, offset) in offsets {
        if let Some((topic, partition)) = parse_directory(directory) {
            lines.push_str(&format!("{topic} {partition} {offset}\n"));
            count += 1;
        }
    }
    Bytes::from(format!("0\n{count}\n{lines}"))
}

fn parse(text: &[u8]) -> Option<BTreeMap<String, Offset>> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let mut offsets = BTreeMap::new();
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        offsets.insert(directory_of(topic, highwater_model::id::PartitionIndex(partition)), Offset(offset));
    }
    (offsets.len() == count).then_some(offsets)
}
