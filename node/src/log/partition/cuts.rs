//! Taking records off a log: from its end, from its start, or all of them.

use std::sync::Arc;

use highwater_model::id::Offset;

use super::super::epochs::Epochs;
use super::super::names::{SEGMENT_SUFFIXES, segment_file};
use super::super::segment::Segment;
use super::super::{Truncated, log_start, restart};
use super::PartitionLog;
use crate::disk::{Completion, Fault, FileRef};

/// What takes records off a log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Of some of them. It may be tried again.
    Truncation,
    /// Of all of them, to begin anew elsewhere: once decided it comes to its end when the log is opened, if not before.
    Restart,
}

impl PartitionLog {
    /// Cuts the log back to `to`, exclusive, durably; forgets the epochs that begin there or later, even when no record
    /// goes (R31). Blocks for a sync when records go, see [`Disk::cut`](crate::disk::Disk::cut); the completion is then already there.
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

    pub(super) fn lower_recovery_point(&self, to: Offset) -> Result<(), Fault> {
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
    pub(super) fn begin_with(&mut self, file: FileRef, start: Offset) {
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

    pub(super) fn drop_segments_below_start(&mut self) -> Result<(), Fault> {
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

    pub(super) fn cut_open(&self) -> Fault {
        Fault::CutOpen { path: self.directory.clone() }
    }

    /// What a restart that is decided on the disk is about to remove is neither cut nor deleted.
    fn is_not_beginning_anew(&self) -> Result<(), Fault> {
        if self.open_cut == Some(Cut::Restart) { Err(self.cut_open()) } else { Ok(()) }
    }
}
