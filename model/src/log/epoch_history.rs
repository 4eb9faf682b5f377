//! Start offset of each epoch in a log (Kafka's `LeaderEpochFileCache`, R31, R32).

use core::fmt::Debug;
use core::hash::Hash;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::id::{LeaderEpoch, Offset, QuorumEpoch};

/// An epoch that stamps records: of a partition's leader, or of the quorum.
pub trait Epoch: Copy + Ord + Hash + Debug + Default {}
impl Epoch for LeaderEpoch {}
impl Epoch for QuorumEpoch {}

/// Where the records of an epoch begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochStart<E> {
    /// The epoch.
    pub epoch: E,
    /// Offset of its first record, inclusive; where the next record goes if it has none.
    pub start: Offset,
}

/// Where the records of an epoch end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochEnd<E> {
    /// The epoch.
    pub epoch: E,
    /// Offset after its last record, exclusive.
    pub end: Offset,
}

/// The epochs of a log, strictly increasing in epoch and in start offset (R31).
///
/// The last entry may begin at the log's end: an epoch counts from the moment a leader began it, even when no record was
/// written in it (R30).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochHistory<E> {
    starts: SmallVec<[EpochStart<E>; 4]>,
}

impl<E> Default for EpochHistory<E> {
    fn default() -> Self {
        Self { starts: SmallVec::new() }
    }
}

impl<E: Epoch> EpochHistory<E> {
    /// The entries, oldest first.
    #[must_use]
    pub fn starts(&self) -> &[EpochStart<E>] {
        &self.starts
    }

    /// The newest epoch, if there is any.
    #[must_use]
    pub fn latest(&self) -> Option<E> {
        self.starts.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at `start`: first drops every entry whose epoch or start is not below (R31). An epoch
    /// that is already the latest keeps its start.
    pub fn assign(&mut self, epoch: E, start: Offset) {
        if self.latest().is_some_and(|latest| latest == epoch) {
            return;
        }
        while self.starts.last().is_some_and(|last| last.epoch >= epoch || last.start >= start) {
            self.starts.pop();
        }
        self.starts.push(EpochStart { epoch, start });
    }

    /// Drops every epoch that begins at or after `end`, because the log ends there (R31: on every truncation, also one
    /// that cuts no record).
    pub fn truncate(&mut self, end: Offset) {
        while self.starts.last().is_some_and(|last| last.start >= end) {
            self.starts.pop();
        }
    }

    /// Raises the oldest entry to `start`, dropping those that end before it, because the log begins there.
    pub fn trim(&mut self, start: Offset) {
        let gone = self.starts.iter().filter(|entry| entry.start <= start).count().saturating_sub(1);
        self.starts.drain(..gone);
        if let Some(first) = self.starts.first_mut() {
            first.start = first.start.max(start);
        }
    }

    /// The epoch of the record at `offset`, if the history reaches back to it. Says nothing about where the log ends.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<E> {
        self.starts.iter().rev().find(|entry| entry.start <= offset).map(|entry| entry.epoch)
    }

    /// The largest known epoch that is not above `epoch`, and where it ends in a log that ends at `log_end` (R32).
    /// Below the first known epoch: the asked epoch itself, ending where the first known one starts. `None` when the
    /// history is empty or the asked epoch is above the latest: undefined, not "the one before" (B-28).
    #[must_use]
    pub fn end_of(&self, epoch: E, log_end: Offset) -> Option<EpochEnd<E>> {
        if epoch > self.latest()? {
            return None;
        }
        let above = self.starts.iter().position(|entry| entry.epoch > epoch);
        let end = above.and_then(|at| self.starts.get(at)).map_or(log_end, |next| next.start);
        let known = above.unwrap_or(self.starts.len()).checked_sub(1).and_then(|at| self.starts.get(at));
        Some(EpochEnd { epoch: known.map_or(epoch, |entry| entry.epoch), end })
    }

    /// As [`Self::end_of`], but an epoch above the latest is answered with the latest: what a follower asks of its own
    /// log when it looks for the point to cut at (R33).
    #[must_use]
    pub fn own_end_of(&self, epoch: E, log_end: Offset) -> Option<EpochEnd<E>> {
        let latest = self.latest()?;
        self.end_of(epoch.min(latest), log_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(entries: &[(u32, u64)]) -> EpochHistory<LeaderEpoch> {
        let mut history = EpochHistory::default();
        for (epoch, start) in entries {
            history.assign(LeaderEpoch(*epoch), Offset(*start));
        }
        history
    }

    fn end(epoch: u32, end: u64) -> Option<EpochEnd<LeaderEpoch>> {
        Some(EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) })
    }

    #[test]
    fn assigning_drops_entries_that_do_not_lie_below() {
        assert_eq!(history(&[(1, 0), (3, 5), (4, 5)]), history(&[(1, 0), (4, 5)]));
        assert_eq!(history(&[(1, 0), (3, 5), (2, 8)]), history(&[(1, 0), (2, 8)]));
        assert_eq!(history(&[(1, 0), (1, 5)]), history(&[(1, 0)]));
    }

    #[test]
    fn truncation_drops_an_epoch_that_has_no_record_left() {
        let mut cut = history(&[(1, 0), (3, 5), (4, 9)]);
        cut.truncate(Offset(9));
        assert_eq!(cut, history(&[(1, 0), (3, 5)]));
        cut.truncate(Offset(3));
        assert_eq!(cut, history(&[(1, 0)]));
    }

    #[test]
    fn trimming_keeps_the_epoch_of_the_first_record() {
        let mut trimmed = history(&[(1, 0), (3, 5), (4, 9)]);
        trimmed.trim(Offset(7));
        assert_eq!(trimmed, history(&[(3, 7), (4, 9)]));
    }

    #[test]
    fn an_epoch_ends_where_the_next_known_one_starts() {
        let known = history(&[(1, 2), (3, 5), (4, 9)]);

        assert_eq!(known.end_of(LeaderEpoch(0), Offset(12)), end(0, 2));
        assert_eq!(known.end_of(LeaderEpoch(2), Offset(12)), end(1, 5));
        assert_eq!(known.end_of(LeaderEpoch(4), Offset(12)), end(4, 12));
        assert_eq!(known.end_of(LeaderEpoch(5), Offset(12)), None);
        assert_eq!(known.own_end_of(LeaderEpoch(5), Offset(12)), end(4, 12));
        assert_eq!(history(&[]).end_of(LeaderEpoch(0), Offset(0)), None);
    }
}
