//! Logs of any length as short ones, so that the predicates of [`highwater_model::invariant`], which look at records one by
//! one, can be asked of them.
//!
//! In a trace a record is what (offset, epoch) names. Between two neighbouring offsets at which anything begins or ends (an
//! epoch, a log, what is written or synced or committed) all records of a log are of one epoch: what holds of one of them
//! holds of all. So each such stretch counts as one record, and offsets are counted in stretches. No predicate can tell the
//! difference: they compare offsets for order and records for equality, and both stay as they were.

use highwater_model::id::{LeaderEpoch, LogGeneration, Offset, QuorumEpoch};
use highwater_model::invariant::quorum::Entry;
use highwater_model::invariant::replication::StoredRecord;
use highwater_model::log::{Epoch, LogShape};

/// The offsets at which anything begins or ends, in order.
#[derive(Debug)]
pub(super) struct Scale {
    marks: Vec<Offset>,
}

/// The offsets at which anything of a log begins or ends.
pub(super) fn marks_of<E: Epoch>(log: &LogShape<E>) -> impl Iterator<Item = Offset> + '_ {
    let epochs = log.epochs().starts().iter().map(|entry| entry.start);
    epochs.chain([log.start(), log.flushed(), log.written(), log.end()])
}

impl Scale {
    /// A scale that begins at `base`: nothing below it is told apart.
    pub(super) fn new(base: Offset, marks: impl IntoIterator<Item = Offset>) -> Self {
        let above = marks.into_iter().filter(|mark| *mark > base);
        let mut marks: Vec<Offset> = above.chain([base]).collect();
        marks.sort_unstable();
        marks.dedup();
        Self { marks }
    }

    /// Where it begins.
    pub(super) fn base(&self) -> Offset {
        self.marks.first().copied().unwrap_or_default()
    }

    /// How many stretches are below this offset, which is a mark or below the base.
    pub(super) fn place(&self, offset: Offset) -> Offset {
        let below = self.marks.partition_point(|mark| *mark < offset);
        Offset(u64::try_from(below).unwrap_or(u64::MAX))
    }

    /// A log, with a record for each stretch.
    pub(super) fn log<E: Epoch>(&self, log: &LogShape<E>) -> LogShape<E> {
        let mut short = LogShape::empty(self.place(log.start()));
        let starts = log.epochs().starts();
        let ends = starts.iter().skip(1).map(|next| next.start).chain([log.end()]);
        for (entry, end) in starts.iter().zip(ends) {
            let from = self.place(entry.start.max(log.start()));
            let count = self.place(end).0.saturating_sub(from.0);
            short.append(entry.epoch, count);
        }
        short.on_written(self.place(log.written()), LogGeneration::default());
        short.on_flushed(self.place(log.flushed()), LogGeneration::default());
        short
    }
}

/// A stretch of records of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    epoch: LeaderEpoch,
    place: Offset,
}

impl Stretch {
    pub(super) fn new(epoch: LeaderEpoch, place: Offset) -> Self {
        Self { epoch, place }
    }
}

impl StoredRecord for Stretch {
    fn leader_epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    fn value(&self) -> u64 {
        (u64::from(self.epoch.0) << 32) | self.place.0
    }
}

/// The records of a short log.
pub(super) fn stretches(short: &LogShape<LeaderEpoch>) -> Vec<Stretch> {
    places(short).map(|(place, epoch)| Stretch { epoch, place }).collect()
}

/// The records of a short log of the quorum.
pub(super) fn entries(short: &LogShape<QuorumEpoch>) -> Vec<Entry> {
    places(short).map(|(place, quorum_epoch)| Entry { quorum_epoch, content: place.0 }).collect()
}

fn places<E: Epoch>(short: &LogShape<E>) -> impl Iterator<Item = (Offset, E)> + '_ {
    let all = (short.start().0..short.end().0).map(Offset);
    all.map(|place| (place, short.epoch_at(place).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(start: u64, records: &[(u32, u64)]) -> LogShape<LeaderEpoch> {
        let mut log = LogShape::empty(Offset(start));
        for (epoch, count) in records {
            log.append(LeaderEpoch(*epoch), *count);
        }
        log
    }

    #[test]
    fn a_long_log_has_a_record_for_each_stretch() {
        let mut long = log(0, &[(1, 1_000), (3, 500)]);
        long.on_flushed(Offset(700), LogGeneration::default());
        let scale = Scale::new(Offset::ZERO, marks_of(&long).chain([Offset(1_200)]));

        let short = scale.log(&long);

        // [0, 700) and [700, 1000) of epoch 1, [1000, 1200) and [1200, 1500) of epoch 3.
        let epochs: Vec<u32> = stretches(&short).iter().map(|stretch| stretch.epoch.0).collect();
        assert_eq!(epochs, [1, 1, 3, 3]);
        assert_eq!(
            (short.flushed(), short.end(), scale.place(Offset(1_200))),
            (Offset(1), Offset(4), Offset(3))
        );
    }

    #[test]
    fn records_are_equal_where_offset_and_epoch_are() {
        let (one, other) = (log(0, &[(1, 10), (2, 5)]), log(4, &[(1, 4), (3, 7)]));
        let scale = Scale::new(Offset::ZERO, marks_of(&one).chain(marks_of(&other)));

        let at = |log: &LogShape<LeaderEpoch>, offset| {
            let (short, place) = (scale.log(log), scale.place(Offset(offset)));
            stretches(&short).into_iter().find(|stretch| stretch.place == place)
        };
        assert_eq!(at(&one, 4), at(&other, 4));
        assert_ne!(at(&one, 8), at(&other, 8));
        assert_eq!(at(&other, 0), None);
    }

    #[test]
    fn what_is_below_the_base_is_not_told_apart() {
        let long = log(0, &[(1, 10), (2, 10)]);
        let scale = Scale::new(Offset(15), marks_of(&long));

        assert_eq!(stretches(&scale.log(&long)), [Stretch::new(LeaderEpoch(2), Offset::ZERO)]);
    }
}
