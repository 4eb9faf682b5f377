//! The judge: compares what was acknowledged with what was consumed, record by record, by content.
//!
//! Of what the producers say it believes only which records were acknowledged, and where. Whether a record is there,
//! once, and in its place it learns from the consumed bytes alone.

use std::collections::BTreeMap;

/// What a producer was told of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it was not sent, or its outcome is not known. It may be there once or not at all.
    #[default]
    Open,
    /// It is certainly not written.
    NotWritten,
    /// It is written here.
    Acknowledged {
        /// The partition.
        partition: u32,
        /// Its offset.
        offset: u64,
    },
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Records that were consumed.
    pub consumed: u64,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Acknowledged records that are not where their acknowledgement said.
    pub lost: u64,
    /// Records that were consumed again.
    pub duplicated: u64,
    /// Records that come after one that their producer sent later.
    pub reordered: u64,
    /// Consumed records that nobody sent, or whose refusal was final.
    pub foreign: u64,
}

impl Verdict {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.foreign == 0
    }
}

/// Gathers what was consumed. Records have numbers; producer `p` of `n` sent those that leave `p` when divided by `n`,
/// in ascending order.
#[derive(Debug)]
pub struct Judge {
    producers: u64,
    fates: Vec<Fate>,
    seen: Vec<bool>,
    kept: Vec<bool>,
    latest: BTreeMap<(u32, u64), u64>,
    verdict: Verdict,
}

impl Judge {
    /// A judge who knows what the producers were told, by record number.
    #[must_use]
    pub fn new(producers: u64, fates: Vec<Fate>) -> Self {
        let acknowledged =
            fates.iter().filter(|fate| matches!(fate, Fate::Acknowledged { .. })).count() as u64;
        let (seen, kept) = (vec![false; fates.len()], vec![false; fates.len()]);
        let verdict = Verdict { acknowledged, ..Verdict::default() };
        Self { producers: producers.max(1), fates, seen, kept, latest: BTreeMap::new(), verdict }
    }

    /// Takes a consumed record, in the order of consumption. `number` is that of the record whose content it has; none if
    /// no record that was sent has this content.
    pub fn consumed(&mut self, partition: u32, offset: u64, number: Option<u64>) {
        self.verdict.consumed += 1;
        let at = number.and_then(|number| usize::try_from(number).ok());
        let (Some(number), Some(at)) = (number, at.filter(|at| *at < self.fates.len())) else {
            self.verdict.foreign += 1;
            return;
        };
        let fate = self.fates.get(at).copied().unwrap_or_default();
        if fate == Fate::NotWritten {
            self.verdict.foreign += 1;
        }
        if let Some(kept) = self.kept.get_mut(at) {
            *kept |= fate == Fate::Acknowledged { partition, offset };
        }
        let again = self.seen.get_mut(at).is_some_and(|seen| std::mem::replace(seen, true));
        if again {
            self.verdict.duplicated += 1;
            return;
        }
        let latest = self.latest.entry((partition, number % self.producers)).or_insert(number);
        if number < *latest {
            self.verdict.reordered += 1;
        }
        *latest = (*latest).max(number);
    }

    /// What was found in the end.
    #[must_use]
    pub fn verdict(mut self) -> Verdict {
        let acknowledged = |fate: &Fate| matches!(fate, Fate::Acknowledged { .. });
        let lost = self.fates.iter().zip(&self.kept).filter(|(fate, kept)| acknowledged(fate) && !**kept);
        self.verdict.lost = lost.count() as u64;
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: u32, offset: u64) -> Fate {
        Fate::Acknowledged { partition, offset }
    }

    /// The verdict of two producers whose four records went to one partition, in order, if this is consumed.
    fn verdict(consumed: &[(u64, Option<u64>)]) -> Verdict {
        let mut judge = Judge::new(2, vec![at(0, 0), at(0, 1), at(0, 2), at(0, 3)]);
        for (offset, number) in consumed {
            judge.consumed(0, *offset, *number);
        }
        judge.verdict()
    }

    const CLEAN: Verdict =
        Verdict { consumed: 4, acknowledged: 4, lost: 0, duplicated: 0, reordered: 0, foreign: 0 };

    #[test]
    fn what_is_all_there_in_order_is_clean() {
        let found = verdict(&[(0, Some(0)), (1, Some(1)), (2, Some(2)), (3, Some(3))]);

        assert_eq!(found, CLEAN);
        assert!(found.is_clean());
    }

    #[test]
    fn an_acknowledged_record_that_is_not_there_is_lost() {
        let found = verdict(&[(0, Some(0)), (1, Some(1)), (3, Some(3))]);

        assert_eq!(found, Verdict { consumed: 3, lost: 1, ..CLEAN });
        assert!(!found.is_clean());
    }

    #[test]
    fn an_acknowledged_record_that_is_elsewhere_is_lost_where_it_was_promised() {
        let found = verdict(&[(0, Some(0)), (1, Some(1)), (2, Some(2)), (4, Some(3))]);

        assert_eq!(found, Verdict { lost: 1, ..CLEAN });
    }

    #[test]
    fn a_record_that_is_there_twice_is_duplicated() {
        let found = verdict(&[(0, Some(0)), (1, Some(1)), (2, Some(2)), (3, Some(3)), (4, Some(2))]);

        assert_eq!(found, Verdict { consumed: 5, duplicated: 1, ..CLEAN });
    }

    #[test]
    fn a_record_behind_a_later_one_of_its_producer_is_reordered() {
        let found = verdict(&[(0, Some(2)), (1, Some(1)), (2, Some(0)), (3, Some(3))]);

        assert_eq!(found, Verdict { lost: 2, reordered: 1, ..CLEAN });
    }

    #[test]
    fn records_of_different_producers_have_no_order_among_each_other() {
        let mut judge = Judge::new(2, vec![at(0, 1), at(0, 0)]);
        judge.consumed(0, 0, Some(1));
        judge.consumed(0, 1, Some(0));

        assert!(judge.verdict().is_clean());
    }

    #[test]
    fn content_that_nobody_sent_is_foreign() {
        let found = verdict(&[(0, Some(0)), (1, Some(1)), (2, None), (3, Some(3)), (4, Some(99))]);

        assert_eq!(found, Verdict { consumed: 5, lost: 1, foreign: 2, ..CLEAN });
    }

    #[test]
    fn a_record_whose_outcome_is_open_may_be_there_once_and_a_refused_one_not_at_all() {
        let mut judge = Judge::new(1, vec![Fate::Open, Fate::NotWritten, Fate::Open]);
        judge.consumed(0, 0, Some(0));
        assert!(judge.verdict().is_clean());

        let mut judge = Judge::new(1, vec![Fate::Open, Fate::NotWritten]);
        judge.consumed(0, 0, Some(1));
        assert_eq!(judge.verdict().foreign, 1);
    }
}
