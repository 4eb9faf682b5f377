//! What logs of several replicas have in common, by the epochs of their records: (epoch, offset) identifies a record.

use std::collections::BTreeMap;

use highwater_model::id::Offset;
use highwater_model::log::{Epoch, EpochStart, LogShape};

use super::edge::{Wrong, wrong};

/// Records of one epoch, from the first offset to before the second.
pub(super) type Segment<E> = (E, Offset, Offset);

/// The records of a log from `from` to before `to`, by epoch.
pub(super) fn segments<E: Epoch>(log: &LogShape<E>, from: Offset, to: Offset) -> Vec<Segment<E>> {
    let starts = log.epochs().starts();
    let ends = starts.iter().skip(1).map(|next| next.start).chain([log.end()]);
    let all = starts.iter().zip(ends).map(|(entry, end)| (entry.epoch, entry.start.max(from), end.min(to)));
    all.filter(|(_, from, to)| from < to).collect()
}

/// Where the epochs of all logs begin, and upon what: equal epochs mean equal logs up to there.
#[derive(Debug, Default)]
pub(super) struct Lineage<E> {
    known: BTreeMap<E, Origin<E>>,
}

/// Where an epoch begins and which one is before it, as far as a log that knows has been seen.
#[derive(Clone, Copy, Debug)]
struct Origin<E> {
    start: Offset,
    /// `None` if nothing is before it; unknown where the log begins there.
    before: Option<Option<EpochStart<E>>>,
}

impl<E: Epoch> Lineage<E> {
    /// Holds a log against all that were seen before.
    pub(super) fn see(&mut self, log: &LogShape<E>, rule: &'static str) -> Result<(), Wrong> {
        let is_trimmed = log.start() > Offset::ZERO;
        let mut before: Option<EpochStart<E>> = None;
        for (place, entry) in log.epochs().starts().iter().enumerate() {
            let is_cut = is_trimmed && place == 0;
            let upon = if is_trimmed && place <= 1 { None } else { Some(before) };
            before = Some(*entry);
            if is_cut {
                continue;
            }
            let known = self.known.entry(entry.epoch).or_insert(Origin { start: entry.start, before: upon });
            known.before = known.before.or(upon);
            let is_same = known.start == entry.start && upon.is_none_or(|upon| known.before == Some(upon));
            if !is_same {
                let expected =
                    format!("epoch {:?} begins at {} upon {:?}", entry.epoch, known.start, known.before);
                return wrong(rule, expected, format!("it begins at {} upon {upon:?}", entry.start));
            }
        }
        Ok(())
    }
}

/// What is committed, in the order in which it was seen to be, and who led when.
#[derive(Debug)]
pub(super) struct Committed<E> {
    segments: Vec<Segment<E>>,
    end: Offset,
    /// The epoch of the leader that committed, and from where to where.
    by: Vec<Segment<E>>,
    /// What each leader had when it began.
    leaders: BTreeMap<E, (Offset, Vec<Segment<E>>)>,
}

impl<E> Default for Committed<E> {
    fn default() -> Self {
        Self { segments: Vec::new(), end: Offset::ZERO, by: Vec::new(), leaders: BTreeMap::new() }
    }
}

/// Those parts of the segments that lie within.
fn within<E: Copy>(segments: &[Segment<E>], from: Offset, to: Offset) -> Vec<Segment<E>> {
    let cut = |(epoch, start, end): &Segment<E>| (*epoch, (*start).max(from), (*end).min(to));
    segments.iter().map(cut).filter(|(_, from, to)| from < to).collect()
}

impl<E: Epoch> Committed<E> {
    /// End of what is committed, exclusive.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// Somebody whose epoch is `by` takes everything below `high_watermark` for committed.
    pub(super) fn see(
        &mut self,
        log: &LogShape<E>,
        high_watermark: Offset,
        by: E,
        rules: [&'static str; 2],
    ) -> Result<(), Wrong> {
        let [stable, complete] = rules;
        let (from, to) = (log.start(), high_watermark.min(self.end));
        let (expected, found) = (within(&self.segments, from, to), segments(log, from, to));
        // What was trimmed before it was ever seen is nobody's loss.
        let first = expected.first().map_or(from, |(_, from, _)| *from);
        if expected != within(&found, first, to) {
            return wrong(stable, format!("committed: {expected:?}"), format!("{found:?}"));
        }
        if high_watermark > self.end {
            let newly = segments(log, self.end, high_watermark);
            self.by.push((by, self.end, high_watermark));
            self.end = high_watermark;
            self.append(&newly);
            for (leader, (start, had)) in self.leaders.range(by..).filter(|(leader, _)| **leader > by) {
                let lacking = newly.iter().find(|segment| !holds(had, *start, segment));
                if let Some(lacking) = lacking {
                    let expected =
                        format!("the leader of {leader:?} began with {lacking:?}, committed in {by:?}");
                    return wrong(complete, expected, format!("{had:?}"));
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, newly: &[Segment<E>]) {
        for segment in newly {
            match self.segments.last_mut() {
                Some(last) if last.0 == segment.0 && last.2 == segment.1 => last.2 = segment.2,
                _ => self.segments.push(*segment),
            }
        }
    }

    /// A leader begins its epoch with this log.
    pub(super) fn lead(&mut self, log: &LogShape<E>, epoch: E, rule: &'static str) -> Result<(), Wrong> {
        let had = segments(log, log.start(), log.end());
        let earlier = self.by.iter().filter(|(by, _, _)| *by < epoch).map(|(_, _, to)| *to).max();
        let expected = within(&self.segments, log.start(), earlier.unwrap_or_default());
        let lacking = expected.iter().find(|segment| !holds(&had, log.start(), segment)).copied();
        self.leaders.entry(epoch).or_insert_with(|| (log.start(), had.clone()));
        match lacking {
            Some(lacking) => {
                let expected = format!("the leader of {epoch:?} begins with {lacking:?}, which is committed");
                wrong(rule, expected, format!("{had:?}"))
            }
            None => Ok(()),
        }
    }
}

/// Whether a log that begins at `start` holds all of this.
fn holds<E: Epoch>(had: &[Segment<E>], start: Offset, (epoch, from, to): &Segment<E>) -> bool {
    let (from, to) = ((*from).max(start), *to);
    from >= to || had.iter().any(|(had, begins, ends)| had == epoch && *begins <= from && *ends >= to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::LeaderEpoch;

    fn log(records: &[(u32, u64)]) -> LogShape<LeaderEpoch> {
        let mut log = LogShape::empty(Offset::ZERO);
        for (epoch, count) in records {
            log.append(LeaderEpoch(*epoch), *count);
        }
        log
    }

    const RULES: [&str; 2] = ["stable", "complete"];

    #[test]
    fn logs_that_part_and_meet_again_are_found() {
        let mut lineage = Lineage::default();
        lineage.see(&log(&[(1, 5), (3, 2)]), "matching").unwrap();

        assert_eq!(lineage.see(&log(&[(1, 5), (2, 9)]), "matching"), Ok(()));
        assert!(lineage.see(&log(&[(1, 4), (3, 2)]), "matching").is_err());
        assert!(lineage.see(&log(&[(2, 5), (3, 2)]), "matching").is_err());
    }

    #[test]
    fn what_is_committed_stays_and_every_later_leader_has_it() {
        let mut committed = Committed::default();
        let old = log(&[(1, 5)]);
        committed.see(&old, Offset(3), LeaderEpoch(1), RULES).unwrap();

        committed.lead(&log(&[(1, 3)]), LeaderEpoch(2), "complete").unwrap();
        assert!(committed.lead(&log(&[(1, 2)]), LeaderEpoch(3), "complete").is_err());
        // A leader of the past commits what a later one began without.
        assert_eq!(committed.see(&old, Offset(4), LeaderEpoch(1), RULES).unwrap_err().rule, "complete");
        let other = log(&[(1, 2), (4, 3)]);
        assert_eq!(committed.see(&other, Offset(3), LeaderEpoch(4), RULES).unwrap_err().rule, "stable");
    }
}
