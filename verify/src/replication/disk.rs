//! One replica's disk: the records that it holds, how much of them is written and synced, and what is still under way.
//!
//! It is the truth that a core's `LogShape` must agree with; the two are kept apart so that a core that believes a
//! completion too readily is found out.

use std::fmt;

use highwater_model::id::{BrokerEpoch, LeaderEpoch, LogGeneration, Offset};
use highwater_model::log::{EpochHistory, LogShape};
use smallvec::SmallVec;

/// A record: who wrote it, and which one it is (the ghost of its bytes).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// Which of the clients' records it is.
    pub value: u8,
    /// Whether its producer numbers its records, in their order.
    pub numbered: bool,
}

impl fmt::Debug for Entry {
    /// As counterexamples tell it: which record, and under which leader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::GONE {
            return f.write_str("a deleted record");
        }
        write!(f, "record {}@{}", self.value, self.leader_epoch)
    }
}

impl Entry {
    /// Stands for a record that was deleted, or never was here, below a log's start.
    pub(super) const GONE: Self = Self { leader_epoch: LeaderEpoch(0), value: 254, numbered: false };
}

/// Some records in order.
pub type Entries = SmallVec<[Entry; 4]>;

/// A write or a sync under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// The end that its completion reports, exclusive.
    pub end: Offset,
    /// The generation that its completion reports.
    pub generation: LogGeneration,
    /// The end of what it really covers: less than `end` when the log has been cut meanwhile.
    pub covers: u8,
}

/// A disk as it was when its broker stopped under control, all of it synced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backup {
    /// The records.
    pub entries: Entries,
    /// Offset of the first record that was not deleted.
    pub start: u8,
    /// Broker epoch in the clean-stop marker.
    pub stopped: BrokerEpoch,
}

/// A replica's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    /// The records, from offset 0; those below the start are gone.
    pub entries: Entries,
    /// Offset of the first record that was not deleted.
    pub start: u8,
    /// Number of records that the kernel holds: they survive a kill (X10).
    pub written: u8,
    /// Number of records that a completed sync covers: they survive a power loss (X11).
    pub flushed: u8,
    /// What a file beside the log says of `flushed`, which a start believes. It is lowered before the log is cut, and so never
    /// says more; unless B-47 is planted.
    pub claimed: u8,
    /// Whether that file is yet to be lowered, the log being cut already (B-47).
    pub lowers: bool,
    /// Writes under way, oldest first.
    pub writes: SmallVec<[Pending; 2]>,
    /// Syncs under way, oldest first.
    pub syncs: SmallVec<[Pending; 2]>,
    /// Broker epoch in the start-up record, as long as the kernel that wrote it runs (R60).
    pub same_boot: Option<BrokerEpoch>,
    /// Broker epoch in the clean-stop marker (R60).
    pub clean_stop: Option<BrokerEpoch>,
    /// What was there when its broker last stopped under control, where it may be put back (X12).
    pub backup: Option<Backup>,
    /// Whether records that it had counted were lost since it was last taken into the ISR: a ghost, for RI13.
    pub unclean: bool,
}

/// The length of a log, or an offset within it, as the small number that it is here.
pub(super) fn small(offset: Offset) -> u8 {
    u8::try_from(offset.0).expect("a log of this world holds a handful of records")
}

fn len(entries: &Entries) -> u8 {
    u8::try_from(entries.len()).expect("a log of this world holds a handful of records")
}

impl Disk {
    /// End of the log, exclusive.
    #[must_use]
    pub fn end(&self) -> u8 {
        len(&self.entries)
    }

    /// Submits the write of `entries` at the end.
    pub(super) fn append(&mut self, entries: &[Entry], end: Offset, generation: LogGeneration) {
        self.entries.extend_from_slice(entries);
        assert_eq!(self.end(), small(end), "an append ends where its effect says");
        self.writes.push(Pending { end, generation, covers: small(end) });
    }

    /// Submits a sync of everything below `end`.
    pub(super) fn sync(&mut self, end: Offset, generation: LogGeneration) {
        self.syncs.push(Pending { end, generation, covers: small(end).min(self.written) });
    }

    /// Cuts the log to `end` records.
    pub(super) fn truncate(&mut self, end: Offset) {
        let end = small(end);
        self.entries.truncate(usize::from(end));
        self.written = self.written.min(end);
        self.flushed = self.flushed.min(end);
        for pending in self.writes.iter_mut().chain(&mut self.syncs) {
            pending.covers = pending.covers.min(end);
        }
    }

    /// Lowers what the file beside the log claims to what is synced.
    pub(super) fn lower_claim(&mut self) {
        self.claimed = self.claimed.min(self.flushed);
        self.lowers = false;
    }

    /// Deletes the records below `to`.
    pub(super) fn trim(&mut self, to: Offset) {
        let start = small(to);
        assert!(start <= self.flushed, "only what is synced is deleted");
        self.entries.iter_mut().take(usize::from(start)).for_each(|entry| *entry = Entry::GONE);
        self.start = start;
    }

    /// Throws the log away and begins again at `at`. What is under way is for nothing.
    pub(super) fn restart(&mut self, at: Offset) {
        self.truncate(Offset::ZERO);
        let start = small(at);
        self.entries.resize(usize::from(start), Entry::GONE);
        (self.start, self.written, self.flushed, self.claimed) = (start, start, start, start);
    }

    /// The oldest write ends.
    pub(super) fn complete_write(&mut self) -> Pending {
        let done = self.writes.remove(0);
        self.written = self.written.max(done.covers);
        done
    }

    /// The oldest write finds no room, and with it fails whatever was submitted after it. Gives where the log ends now.
    pub(super) fn fail_writes(&mut self) -> Pending {
        let first = self.writes.remove(0);
        self.writes.clear();
        self.truncate(Offset(u64::from(self.written)));
        self.lower_claim();
        Pending { end: Offset(u64::from(self.written)), ..first }
    }

    /// The oldest sync ends.
    pub(super) fn complete_sync(&mut self) -> Pending {
        let done = self.syncs.remove(0);
        self.flushed = self.flushed.max(done.covers);
        self.claimed = self.flushed;
        done
    }

    /// The process is gone, and of the log `kept` records are there when it comes back.
    pub(super) fn lose(&mut self, kept: u8) {
        self.entries.truncate(usize::from(kept));
        self.written = kept;
        self.flushed = self.flushed.min(kept);
        self.writes.clear();
        self.syncs.clear();
        self.lowers = false;
    }

    /// The broker has stopped under control: all is synced, and the marker says so (R60).
    pub(super) fn stop(&mut self, stopped: BrokerEpoch, keeps_backup: bool) {
        self.lose(self.end());
        self.flushed = self.end();
        self.claimed = self.end();
        self.clean_stop = Some(stopped);
        if keeps_backup {
            self.backup = Some(Backup { entries: self.entries.clone(), start: self.start, stopped });
        }
    }

    /// Whether to put back what was there lost records that count.
    pub(super) fn loses_by_restoring(&self) -> bool {
        let counted = self.entries.get(..usize::from(self.written));
        self.backup.as_ref().is_some_and(|backup| backup.entries.get(..usize::from(self.written)) != counted)
    }

    /// What was there when the broker last stopped is put back, with the marker that says so. What is lost counted.
    pub(super) fn restore(&mut self) {
        let Some(Backup { entries, start, stopped }) = self.backup.take() else { return };
        let end = len(&entries);
        *self = Self { entries, start, clean_stop: Some(stopped), unclean: true, ..Self::default() };
        (self.written, self.flushed, self.claimed) = (end, end, end);
    }

    /// What a recovery finds (R63): epochs as the records tell them, and synced what the file beside the log says.
    pub(super) fn shape(&self) -> LogShape<LeaderEpoch> {
        let mut epochs = EpochHistory::default();
        for (offset, entry) in (0..).map(Offset).zip(&self.entries).skip(usize::from(self.start)) {
            epochs.assign(entry.leader_epoch, offset);
        }
        let at = |end: u8| Offset(u64::from(end));
        LogShape::recovered(at(self.start), at(self.claimed.min(self.end())), at(self.end()), epochs)
    }
}
