//! Start, reserved end, written end and flushed end of one log, and the divergence test.

use serde::{Deserialize, Serialize};

use super::epoch_history::{Epoch, EpochEnd, EpochHistory};
use crate::id::{LogGeneration, Offset};

/// Where a reader stands in a log (R33, Q11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Position<E> {
    /// Its log is a prefix of this one.
    Valid,
    /// Its log parts from this one, at the latest at this end of this epoch.
    Diverging(EpochEnd<E>),
    /// Its last epoch is unknown here, or it is beyond the end in the same epoch history.
    OutOfRange,
}

/// The shape of one log. All ends are exclusive.
///
/// `start ≤ flushed ≤ written ≤ end`, where `end` counts what has been submitted, `written` what the kernel holds
/// (survives a killed process, X10) and `flushed` what survives a power loss (X11).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogShape<E> {
    start: Offset,
    flushed: Offset,
    written: Offset,
    end: Offset,
    generation: LogGeneration,
    epochs: EpochHistory<E>,
}

impl<E: Epoch> LogShape<E> {
    /// An empty log that begins at `start`.
    #[must_use]
    pub fn empty(start: Offset) -> Self {
        Self { start, flushed: start, written: start, end: start, ..Self::default() }
    }

    /// A log found on disk after a start: everything in it is written, `flushed` of it for certain.
    ///
    /// # Panics
    /// When the pointers are out of order.
    #[must_use]
    pub fn recovered(start: Offset, flushed: Offset, end: Offset, epochs: EpochHistory<E>) -> Self {
        let shape = Self { start, flushed, written: end, end, generation: LogGeneration::default(), epochs };
        shape.assert_ordered();
        shape
    }

    /// Offset of the first record, inclusive.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// End of what a completed sync covers.
    #[must_use]
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// End of what completed writes cover.
    #[must_use]
    pub fn written(&self) -> Offset {
        self.written
    }

    /// Log end offset: the next record goes here.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// How often the log has been cut in this incarnation, modulo the counter's size.
    #[must_use]
    pub fn generation(&self) -> LogGeneration {
        self.generation
    }

    /// The epochs of its records.
    #[must_use]
    pub fn epochs(&self) -> &EpochHistory<E> {
        &self.epochs
    }

    /// The epoch of its last record, or of the last leader that began here.
    #[must_use]
    pub fn last_epoch(&self) -> Option<E> {
        self.epochs.latest()
    }

    /// The epoch of the record at `offset`, if it is in the log.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<E> {
        if offset < self.start || offset >= self.end { None } else { self.epochs.epoch_at(offset) }
    }

    /// Notes that a leader begins `epoch` at the log's end, before it writes anything (R30).
    pub fn begin_epoch(&mut self, epoch: E) {
        self.epochs.assign(epoch, self.end);
    }

    /// Reserves room for `count` records of `epoch` at the end; their write has been submitted.
    ///
    /// # Panics
    /// When `epoch` is below the last one: records of a log never go back in epoch.
    pub fn append(&mut self, epoch: E, count: u64) {
        assert!(self.last_epoch().is_none_or(|last| last <= epoch), "a log's records never go back in epoch");
        self.epochs.assign(epoch, self.end);
        self.end = self.end.after(count);
    }

    /// A write submitted in `generation` completed; it ends at `end`. `false` when it belongs to a log since cut, and
    /// nothing changes (B-46).
    pub fn on_written(&mut self, end: Offset, generation: LogGeneration) -> bool {
        if generation != self.generation || end > self.end {
            return false;
        }
        self.written = self.written.max(end);
        true
    }

    /// A sync submitted in `generation` completed; it covers everything up to `end`. `false` when it belongs to a log
    /// since cut, and nothing changes (B-46).
    pub fn on_flushed(&mut self, end: Offset, generation: LogGeneration) -> bool {
        if generation != self.generation || end > self.end {
            return false;
        }
        self.written = self.written.max(end);
        self.flushed = self.flushed.max(end);
        true
    }

    /// Cuts the log back to `end`, or to its start if that is above. Raises the generation even if no record goes, so
    /// that whatever is in flight for the log as it was is void (R13, R31).
    pub fn truncate(&mut self, end: Offset) {
        let end = end.max(self.start).min(self.end);
        self.end = end;
        self.written = self.written.min(end);
        self.flushed = self.flushed.min(end);
        self.generation = self.generation.next();
        self.epochs.truncate(end);
    }

    /// Throws the whole log away and begins again at `start` (R16, Q43).
    pub fn restart_at(&mut self, start: Offset) {
        let generation = self.generation.next();
        *self = Self { generation, ..Self::empty(start) };
    }

    /// Raises the log's start to `start`, at most to its flushed end; never lowers it (R80).
    pub fn trim(&mut self, start: Offset) {
        let start = start.min(self.flushed);
        if start > self.start {
            self.start = start;
            self.epochs.trim(start);
        }
    }

    /// Tests whether a log that ends at `fetch_offset` with a last record of `last_epoch` is a prefix of this one
    /// (R33, Q11). A reader without any record of its own gives no last epoch and is valid within the log.
    #[must_use]
    pub fn position(&self, fetch_offset: Offset, last_epoch: Option<E>) -> Position<E> {
        let Some(last_epoch) = last_epoch else {
            let within = self.start <= fetch_offset && fetch_offset <= self.end;
            return if within { Position::Valid } else { Position::OutOfRange };
        };
        let Some(found) = self.epochs.end_of(last_epoch, self.end) else {
            return Position::OutOfRange;
        };
        if found.epoch == last_epoch && fetch_offset <= found.end {
            Position::Valid
        } else {
            Position::Diverging(found)
        }
    }

    /// Where a log like this must be cut when a leader answered `diverging` (R33): the smaller of the leader's end and
    /// the own end of the largest own epoch that is not above the leader's.
    #[must_use]
    pub fn cut_for(&self, diverging: EpochEnd<E>) -> Offset {
        let own = self.epochs.own_end_of(diverging.epoch, self.end).map_or(self.start, |own| own.end);
        diverging.end.min(own).max(self.start)
    }

    /// Asserts the order of the pointers.
    ///
    /// # Panics
    /// When they are out of order: a defect of the core that owns the log.
    pub fn assert_ordered(&self) {
        assert!(self.start <= self.flushed, "a log starts within what is flushed");
        assert!(self.flushed <= self.written, "what is flushed has been written");
        assert!(self.written <= self.end, "what is written has been reserved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LeaderEpoch;

    fn log(records: &[(u32, u64)]) -> LogShape<LeaderEpoch> {
        let mut log = LogShape::empty(Offset::ZERO);
        for (epoch, count) in records {
            log.append(LeaderEpoch(*epoch), *count);
        }
        log
    }

    #[test]
    fn a_completion_for_the_log_before_a_cut_counts_for_nothing() {
        let mut log = log(&[(1, 5)]);
        let before = log.generation();
        log.truncate(Offset(3));
        log.append(LeaderEpoch(2), 4);

        assert!(!log.on_flushed(Offset(5), before));
        assert_eq!(log.flushed(), Offset::ZERO);
        assert!(log.on_flushed(Offset(7), log.generation()));
        assert_eq!(log.flushed(), Offset(7));
    }

    #[test]
    fn a_reader_of_an_epoch_that_never_was_here_diverges_where_the_one_before_ends() {
        let leader = log(&[(1, 5), (3, 2)]);

        assert_eq!(leader.position(Offset(6), Some(LeaderEpoch(3))), Position::Valid);
        let parted = EpochEnd { epoch: LeaderEpoch(1), end: Offset(5) };
        assert_eq!(leader.position(Offset(6), Some(LeaderEpoch(2))), Position::Diverging(parted));
        assert_eq!(leader.position(Offset(6), Some(LeaderEpoch(1))), Position::Diverging(parted));
        assert_eq!(leader.position(Offset(6), Some(LeaderEpoch(4))), Position::OutOfRange);
    }

    #[test]
    fn a_follower_cuts_at_its_own_end_of_an_epoch_that_it_does_not_share() {
        let follower = log(&[(1, 2), (2, 6)]);

        let at = |epoch, end| follower.cut_for(EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) });
        assert_eq!(at(1, 5), Offset(2));
        assert_eq!(at(2, 5), Offset(5));
        assert_eq!(at(3, 9), Offset(8));
    }

    #[test]
    fn restarting_elsewhere_voids_what_is_in_flight() {
        let mut log = log(&[(1, 5)]);
        let before = log.generation();
        log.restart_at(Offset(9));

        assert_ne!(log.generation(), before);
        assert_eq!((log.start(), log.end(), log.last_epoch()), (Offset(9), Offset(9), None));
    }
}
