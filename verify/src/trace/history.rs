//! What is remembered of logs for the predicates alone: which records were committed, by epoch.

use highwater_model::id::Offset;
use highwater_model::log::{Epoch, LogShape};

use super::scale::Scale;

/// Records of one epoch, from the first offset to before the second.
type Segment<E> = (E, Offset, Offset);

/// The records of a log from `from` to before `to`, by epoch.
fn segments<E: Epoch>(log: &LogShape<E>, from: Offset, to: Offset) -> impl Iterator<Item = Segment<E>> + '_ {
    let starts = log.epochs().starts();
    let ends = starts.iter().skip(1).map(|next| next.start).chain([log.end()]);
    let all = starts.iter().zip(ends);
    let within = all.map(move |(entry, end)| (entry.epoch, entry.start.max(from), end.min(to)));
    within.filter(|(_, from, to)| from < to)
}

/// Records when they first lay below a leader's high watermark.
#[derive(Debug)]
pub(super) struct Committed<E> {
    segments: Vec<Segment<E>>,
    /// Where what is known of it begins, inclusive: what was deleted before it was ever seen is nobody's loss.
    start: Option<Offset>,
    end: Offset,
}

impl<E> Default for Committed<E> {
    fn default() -> Self {
        Self { segments: Vec::new(), start: None, end: Offset::ZERO }
    }
}

impl<E: Epoch> Committed<E> {
    /// A leader with this log takes everything below `high_watermark` for committed.
    pub(super) fn note(&mut self, log: &LogShape<E>, high_watermark: Offset) {
        if self.start.is_none() || log.start() > self.end {
            *self = Self { segments: Vec::new(), start: Some(log.start()), end: log.start() };
        }
        if high_watermark <= self.end {
            return;
        }
        for segment in segments(log, self.end, high_watermark) {
            match self.segments.last_mut() {
                Some(last) if last.0 == segment.0 && last.2 == segment.1 => last.2 = segment.2,
                _ => self.segments.push(segment),
            }
        }
        self.end = high_watermark;
    }

    /// Where what is known of it begins, inclusive, if anything is.
    pub(super) fn start(&self) -> Option<Offset> {
        self.start
    }

    /// Where it ends, exclusive.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// The offsets at which anything of it begins or ends.
    pub(super) fn marks(&self) -> impl Iterator<Item = Offset> + '_ {
        self.segments.iter().flat_map(|(_, from, to)| [*from, *to])
    }

    /// A record for each stretch of it: epoch and place.
    pub(super) fn stretches<'a>(&'a self, scale: &'a Scale) -> impl Iterator<Item = (E, Offset)> + 'a {
        self.segments.iter().flat_map(|(epoch, from, to)| {
            let (from, to) = (scale.place(*from), scale.place(*to));
            (from.0..to.0).map(|place| (*epoch, Offset(place)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::LeaderEpoch;

    fn log(start: u64, records: &[(u32, u64)]) -> LogShape<LeaderEpoch> {
        let mut log = LogShape::empty(Offset(start));
        for (epoch, count) in records {
            log.append(LeaderEpoch(*epoch), *count);
        }
        log
    }

    fn epochs(committed: &Committed<LeaderEpoch>) -> Vec<(u32, u64)> {
        let scale = Scale::new(committed.start().unwrap(), committed.marks());
        committed.stretches(&scale).map(|(epoch, place)| (epoch.0, place.0)).collect()
    }

    #[test]
    fn what_was_committed_first_is_kept() {
        let mut committed = Committed::default();
        committed.note(&log(0, &[(1, 5)]), Offset(3));
        committed.note(&log(0, &[(2, 3), (3, 4)]), Offset(6));

        assert_eq!(epochs(&committed), [(1, 0), (3, 1)]);
        assert_eq!(committed.end(), Offset(6));
    }

    #[test]
    fn a_log_that_begins_beyond_begins_anew() {
        let mut committed = Committed::default();
        committed.note(&log(0, &[(1, 5)]), Offset(3));
        committed.note(&log(10, &[(4, 5)]), Offset(12));

        assert_eq!((committed.start(), epochs(&committed)), (Some(Offset(10)), vec![(4, 0)]));
    }
}
