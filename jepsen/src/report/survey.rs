//! The first look at a history: how much happened when, what was broken, and when the events that the verdict cites were.

use std::collections::{BTreeMap, BTreeSet};

use jepsen_judge::history::{Operation, Phase, What};

use super::action::Action;
use super::buckets::{Absorb, Buckets};
use super::faults::Faults;
use super::histogram::Histogram;
use crate::store::ResultsFile;

/// What a first look shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// What happened in each stretch of time.
    pub(super) buckets: Buckets<Activity>,
    /// Each kind of operation over the whole run.
    pub(super) totals: BTreeMap<Action, Tally>,
    /// When what was broken.
    pub(super) faults: Faults,
    /// When the cited events were, by index.
    pub(super) cited: BTreeMap<u64, u64>,
    /// When the last event was.
    pub(super) ended_ns: u64,
    /// Operations that never ended: they last until the history does.
    open: Vec<(Action, u64)>,
}

/// What happened in a stretch of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// Operations that began in it, by kind.
    pub(super) begun: BTreeMap<Action, Tally>,
    /// How many that ask the cluster took effect in it.
    pub(super) ok: u64,
    /// How many certainly never will.
    pub(super) failed: u64,
    /// Of how many nobody knows.
    pub(super) unknown: u64,
}

/// What came of operations of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// How long those took that took effect.
    pub(super) ok: Histogram,
    /// How long those took that certainly never will.
    pub(super) failed: Histogram,
    /// How long those took of which nobody knows.
    pub(super) unknown: Histogram,
}

/// Indexes of the events that any case cites.
pub(super) fn cited_events(results: &ResultsFile) -> BTreeSet<u64> {
    let verdicts = results.checkers.values();
    let cases = verdicts.flat_map(|verdict| verdict.anomalies.values().chain(verdict.allowed.values()));
    cases.flat_map(|cases| &cases.examples).flat_map(|case| &case.events).copied().collect()
}

impl Survey {
    /// Takes the next operation; notes when its events were if they are cited.
    pub(super) fn take(&mut self, operation: &Operation, cited: &BTreeSet<u64>) {
        for (index, ns) in
            [(operation.invoked, operation.invoked_ns), (operation.completed, operation.completed_ns)]
        {
            if ns != u64::MAX {
                self.ended_ns = self.ended_ns.max(ns);
                if cited.contains(&index) {
                    self.cited.insert(index, ns);
                }
            }
        }
        if let What::Fault(fault) = &operation.what {
            self.faults.take(fault, operation.invoked_ns);
        }
        let Some(action) = Action::of(&operation.what) else { return };
        if operation.completed_ns == u64::MAX {
            // Those come last, one for each process at most.
            self.open.push((action, operation.invoked_ns));
        } else {
            self.count(action, operation.outcome, (operation.invoked_ns, operation.completed_ns));
        }
    }

    /// Ends what has no end of its own.
    pub(super) fn finish(&mut self) {
        for (action, invoked_ns) in std::mem::take(&mut self.open) {
            self.count(action, Phase::Info, (invoked_ns, self.ended_ns));
        }
        self.faults.end(self.ended_ns);
    }

    fn count(&mut self, action: Action, outcome: Phase, (invoked_ns, completed_ns): (u64, u64)) {
        let took_ns = completed_ns.saturating_sub(invoked_ns);
        self.totals.entry(action).or_default().add(outcome, took_ns);
        self.buckets.at(invoked_ns).begun.entry(action).or_default().add(outcome, took_ns);
        if action.asks_the_cluster() {
            let ended = self.buckets.at(completed_ns);
            match outcome {
                Phase::Ok => ended.ok += 1,
                Phase::Fail => ended.failed += 1,
                Phase::Info | Phase::Invoke => ended.unknown += 1,
            }
        }
    }

    /// About how many operations began between two moments.
    pub(super) fn begun_between(&self, from_ns: u64, until_ns: u64) -> u64 {
        let width_ns = self.buckets.width_ns();
        let begun = |(at_ns, activity): (u64, &Activity)| {
            let shared_ns = until_ns.min(at_ns.saturating_add(width_ns)).saturating_sub(from_ns.max(at_ns));
            let begun: u64 = activity.begun.values().map(Tally::count).sum();
            u64::try_from(u128::from(begun) * u128::from(shared_ns) / u128::from(width_ns))
                .unwrap_or(u64::MAX)
        };
        self.buckets.each().map(begun).sum()
    }

    /// Operations that ask the cluster and took effect, that did not, and of which nobody knows.
    pub(super) fn outcomes(&self) -> (u64, u64, u64) {
        let asked = || self.totals.iter().filter(|(action, _)| action.asks_the_cluster());
        let sum = |of: fn(&Tally) -> u64| asked().map(|(_, tally)| of(tally)).sum();
        (sum(|tally| tally.ok.count), sum(|tally| tally.failed.count), sum(|tally| tally.unknown.count))
    }
}

impl Tally {
    fn add(&mut self, outcome: Phase, took_ns: u64) {
        match outcome {
            Phase::Ok => self.ok.add(took_ns),
            Phase::Fail => self.failed.add(took_ns),
            Phase::Info | Phase::Invoke => self.unknown.add(took_ns),
        }
    }

    fn count(&self) -> u64 {
        self.ok.count + self.failed.count + self.unknown.count
    }
}

impl Absorb for Activity {
    fn absorb(&mut self, later: Self) {
        for (action, tally) in later.begun {
            let own = self.begun.entry(action).or_default();
            own.ok.absorb(tally.ok);
            own.failed.absorb(tally.failed);
            own.unknown.absorb(tally.unknown);
        }
        self.ok += later.ok;
        self.failed += later.failed;
        self.unknown += later.unknown;
    }
}

#[cfg(test)]
mod tests {
    use jepsen_judge::history::{Actor, Register};

    use super::*;

    const MS: u64 = 1_000_000;

    fn write(invoked_ms: u64, completed_ns: u64, outcome: Phase) -> Operation {
        Operation {
            actor: Actor::Process(1),
            invoked: invoked_ms,
            completed: completed_ns.checked_div(MS).unwrap_or_default(),
            invoked_ns: invoked_ms * MS,
            completed_ns,
            outcome,
            what: What::Write(Register { key: 0, value: Some(1) }),
            error: None,
        }
    }

    fn surveyed(operations: &[Operation], cited: &[u64]) -> Survey {
        let mut survey = Survey::default();
        let cited = cited.iter().copied().collect();
        operations.iter().for_each(|operation| survey.take(operation, &cited));
        survey.finish();
        survey
    }

    #[test]
    fn an_operation_is_slow_where_it_began_and_counts_where_it_ended() {
        let survey =
            surveyed(&[write(10, 120 * MS, Phase::Ok), write(10, 20 * MS, Phase::Fail)], &[10, 120, 11]);

        let found: Vec<_> = survey
            .buckets
            .each()
            .map(|(from_ns, activity)| {
                let slowest = activity.begun.get(&Action::Write).map(|tally| tally.ok.max_ns / MS);
                (from_ns / MS, slowest, activity.ok, activity.failed)
            })
            .collect();
        assert_eq!(found, [(0, Some(110), 0, 1), (100, None, 1, 0)]);
        assert_eq!(survey.cited, [(10, 10 * MS), (120, 120 * MS)].into());
        assert_eq!(survey.outcomes(), (1, 1, 0));
    }

    #[test]
    fn what_never_ended_lasts_until_the_end() {
        let survey = surveyed(&[write(50, 200 * MS, Phase::Ok), write(20, u64::MAX, Phase::Info)], &[]);

        let unknown = survey.totals.get(&Action::Write).map(|tally| tally.unknown.max_ns);
        assert_eq!(unknown, Some(180 * MS));
        assert_eq!(survey.ended_ns, 200 * MS);
    }

    #[test]
    fn how_many_began_is_told_in_proportion() {
        let operations: Vec<_> = (0..100).map(|ms| write(ms, (ms + 1) * MS, Phase::Ok)).collect();
        let survey = surveyed(&operations, &[]);

        assert_eq!(survey.begun_between(0, 100 * MS), 100);
        assert_eq!(survey.begun_between(25 * MS, 75 * MS), 50);
        assert_eq!(survey.begun_between(200 * MS, 300 * MS), 0);
    }
}
