//! Counts what came out: by module, by who noticed, and who was noticed by nobody.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::explained::Explained;
use crate::judge::Fate;
use crate::mutant::Mutant;
use crate::results::{Entry, Verdict};

/// Counts of one module. Each mutant that compiles is in exactly one of the fields from `property` to `survivors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// All mutants that were run, those that do not compile among them.
    pub(crate) mutants: u32,
    pub(crate) unviable: u32,
    /// A property of the sweep is violated.
    pub(crate) property: u32,
    /// An assertion of the core fails in the sweep.
    pub(crate) assertion: u32,
    /// What must be possible never happens in the sweep.
    pub(crate) vacuous: u32,
    /// The sweep spends its time, its stack or its memory.
    pub(crate) spent: u32,
    /// The sweep of its own model notices nothing, and a unit test does.
    pub(crate) unit_alone: u32,
    /// A unit test notices, and so far the sweep does not; it was not put to all of it.
    pub(crate) unit_so_far: u32,
    pub(crate) explained: u32,
    pub(crate) survivors: u32,
    /// Of those that the sweep notices: what no unit test does.
    pub(crate) sweep_alone: u32,
}

/// A mutant that nobody noticed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Survivor {
    #[serde(flatten)]
    pub(crate) mutant: Mutant,
    /// Whether some judge came to it.
    pub(crate) reached: bool,
    /// Why it is no gap.
    pub(crate) reason: Option<String>,
}

/// Everything that a report says.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) modules: BTreeMap<String, Counts>,
    pub(crate) total: Counts,
    /// How many fell to each property first.
    pub(crate) by_property: BTreeMap<String, u32>,
    pub(crate) survivors: Vec<Survivor>,
    /// Mutants of which there is no result, or only one of a source that has changed since.
    pub(crate) not_run: usize,
    /// Explanations that explain nothing, or what does not survive.
    pub(crate) stale: Vec<String>,
}

impl Report {
    /// Counts the results of `mutants`, all that there are, each with the number of its source as it is now.
    pub(crate) fn new(
        mutants: &[(Mutant, u64)],
        results: &BTreeMap<String, Entry>,
        explained: &Explained,
    ) -> Self {
        let mut report = Self {
            modules: BTreeMap::new(),
            total: Counts::default(),
            by_property: BTreeMap::new(),
            survivors: Vec::new(),
            not_run: 0,
            stale: explained.stale(mutants.iter().map(|(mutant, _)| mutant)),
        };
        for (mutant, source) in mutants {
            match results.get(&mutant.key()).filter(|entry| entry.source == *source) {
                Some(entry) => report.add(mutant, &entry.verdict, explained),
                None => report.not_run += 1,
            }
        }
        report
    }

    fn add(&mut self, mutant: &Mutant, verdict: &Verdict, explained: &Explained) {
        let reason = explained.reason(mutant);
        if let (Some(_), false) = (reason, verdict.survives()) {
            self.stale.push(format!("{} (it does not survive)", mutant.key()));
        }
        let module = self.modules.entry(mutant.module().to_owned()).or_default();
        count(module, verdict, reason.is_some());
        count(&mut self.total, verdict, reason.is_some());
        if let Verdict::Judged { sweep: Fate::Property(claim), .. } = verdict {
            *self.by_property.entry(claim.clone()).or_default() += 1;
        }
        if verdict.survives() {
            let held = |unit: &Fate, sweep: &Fate| *unit == Fate::Held || *sweep == Fate::Held;
            let reached = !matches!(verdict, Verdict::Judged { unit, sweep } if !held(unit, sweep));
            let (mutant, reason) = (mutant.clone(), reason.map(str::to_owned));
            self.survivors.push(Survivor { mutant, reached, reason });
        }
    }

    /// Survivors without an explanation.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = &Survivor> {
        self.survivors.iter().filter(|survivor| survivor.reason.is_none())
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let gaps = self.gaps().count();
        if gaps > 0 {
            writeln!(out, "survivors without an explanation")?;
        }
        for Survivor { mutant, reached, .. } in self.gaps() {
            let Mutant { file, line, function, change } = mutant;
            let reached = if *reached { "" } else { " (no judge comes to it)" };
            writeln!(out, "  {file}:{line} {function}: {change}{reached}")?;
        }
        self.stale.iter().try_for_each(|key| writeln!(out, "stale explanation: {key}"))?;
        writeln!(out, "\nmutants whose sweep violates a property, by the first that it violates")?;
        let mut rows: Vec<_> = self.by_property.iter().collect();
        rows.sort_by_key(|(name, count)| (u32::MAX - **count, *name));
        rows.iter().try_for_each(|(name, count)| writeln!(out, "  {count:>5}  {name}"))?;
        writeln!(out)?;
        self.table(out)?;
        if self.not_run > 0 {
            writeln!(out, "\n{} mutants have no result of today's source yet", self.not_run)?;
        }
        Ok(())
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        type Row = (&'static str, fn(&Counts) -> u32);
        const ROWS: &[Row] = &[
            ("mutants", |counts| counts.mutants),
            ("do not compile", |counts| counts.unviable),
            ("property of the sweep", |counts| counts.property),
            ("assertion of the core", |counts| counts.assertion),
            ("sweep became vacuous", |counts| counts.vacuous),
            ("sweep spent or crashed", |counts| counts.spent),
            ("unit test alone", |counts| counts.unit_alone),
            ("unit test, so far", |counts| counts.unit_so_far),
            ("survives, explained", |counts| counts.explained),
            ("survives", |counts| counts.survivors),
            ("(sweep alone)", |counts| counts.sweep_alone),
        ];
        let columns: Vec<(&str, &Counts)> = self
            .modules
            .iter()
            .map(|(name, counts)| (name.as_str(), counts))
            .chain([("all", &self.total)])
            .collect();
        write!(out, "{:<22}", "")?;
        columns.iter().try_for_each(|(name, _)| write!(out, "{name:>12}"))?;
        for (words, value) in ROWS {
            write!(out, "\n{words:<22}")?;
            columns.iter().try_for_each(|(_, counts)| write!(out, "{:>12}", value(counts)))?;
        }
        writeln!(out)
    }
}

fn count(counts: &mut Counts, verdict: &Verdict, explained: bool) {
    counts.mutants += 1;
    let (unit, sweep) = match verdict {
        Verdict::Judged { unit, sweep } => (unit, sweep),
        Verdict::Unviable => {
            counts.unviable += 1;
            return;
        }
        Verdict::Open(_) => {
            let place = match (verdict.survives(), explained) {
                (true, true) => &mut counts.explained,
                (true, false) => &mut counts.survivors,
                (false, _) => &mut counts.unit_so_far,
            };
            *place += 1;
            return;
        }
    };
    let place = match sweep {
        Fate::Property(_) => &mut counts.property,
        Fate::Assertion => &mut counts.assertion,
        Fate::Vacuous(_) => &mut counts.vacuous,
        Fate::TimedOut(_) | Fate::Crashed(_) => &mut counts.spent,
        Fate::Held | Fate::NotReached | Fate::Test(_) if unit.is_caught() => &mut counts.unit_alone,
        Fate::Held | Fate::NotReached | Fate::Test(_) if explained => &mut counts.explained,
        Fate::Held | Fate::NotReached | Fate::Test(_) => &mut counts.survivors,
    };
    *place += 1;
    counts.sweep_alone += u32::from(sweep.is_caught() && !unit.is_caught());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Open;

    #[test]
    fn what_is_known_of_a_source_that_has_changed_counts_as_nothing() {
        let mutant = Mutant {
            file: "model/src/replication/a.rs".into(),
            line: 1,
            function: "f".into(),
            change: "c".into(),
        };
        let caught = Verdict::Judged { unit: Fate::Test("t".into()), sweep: Fate::Held };
        let entry = Entry { verdict: caught, ..Entry::new(mutant.clone(), 7) };
        let results = BTreeMap::from([(mutant.key(), entry)]);
        let not_run =
            |source| Report::new(&[(mutant.clone(), source)], &results, &Explained::default()).not_run;

        assert_eq!([not_run(7), not_run(8)], [0, 1]);
    }

    #[test]
    fn each_mutant_is_counted_once_by_who_noticed_it() {
        let judged = |unit, sweep| Verdict::Judged { unit, sweep };
        let test = || Fate::Test("t".into());
        let mut counts = Counts::default();
        count(&mut counts, &Verdict::Unviable, false);
        count(&mut counts, &judged(test(), Fate::Property("p".into())), false);
        count(&mut counts, &judged(Fate::Held, Fate::Assertion), false);
        count(&mut counts, &judged(test(), Fate::Held), false);
        count(&mut counts, &judged(Fate::NotReached, Fate::Held), true);
        count(&mut counts, &judged(Fate::Held, Fate::NotReached), false);
        count(&mut counts, &Verdict::Open(Open { unit: Some(test()), ..Open::default() }), false);

        let expected = Counts {
            mutants: 7,
            unviable: 1,
            property: 1,
            assertion: 1,
            unit_alone: 1,
            unit_so_far: 1,
            explained: 1,
            survivors: 1,
            sweep_alone: 1,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
    }
}
