//! Runs the mutants of a shard, several at a time.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::build::{Judges, Tell, judges};
use crate::each::each;
use crate::judge::{Fate, Trial, search, unit_tests};
use crate::mutant::Mutant;
use crate::reach::{Reached, WORLDS};
use crate::results::{Entry, Open, Results, Verdict, load, source_of};
use crate::workbench::Workbench;

/// A mutant under which a judge takes so many times what it takes without one, and a second, is noticed.
const SLOWER: f64 = 3.0;

/// What a run is asked for.
pub(crate) struct Asked {
    /// The part of the mutants, and the number of parts.
    pub(crate) shard: (usize, usize),
    pub(crate) out: PathBuf,
    pub(crate) jobs: usize,
    /// Processor time of one judge, in seconds.
    pub(crate) seconds: u64,
    /// What bounds may take that a mutant is put to before every mutant was put to some, in seconds without a mutant.
    pub(crate) first: f64,
    /// Whether those that survived so far are run again, and no other.
    pub(crate) survivors_again: bool,
    /// Whether no sweep is asked for: what sweeps said before stands.
    pub(crate) tests_only: bool,
    /// Only mutants whose key has this in it.
    pub(crate) only: Option<String>,
}

/// A mutant that is to be run, and what is known of it.
struct Case {
    number: usize,
    entry: Entry,
}

/// Runs what is asked for; gives how many verdicts were added.
///
/// # Errors
/// When the judges cannot be built or run, or the results cannot be written.
pub(crate) fn run(bench: &Workbench, asked: &Asked, tell: Tell<'_>) -> anyhow::Result<usize> {
    let judges = judges(bench, asked.tests_only, tell)?;
    let mut results = Results::open(&asked.out)?;
    let cases = chosen(bench, &judges, asked, &mut results)?;
    tell(&format!("{} mutants to run; noting which of them the judges come to", cases.len()));
    if cases.is_empty() {
        return Ok(0);
    }
    let reached = Reached::note(&judges, bench, asked.jobs, tell)?;
    let bay = Bay { judges, reached, results: Mutex::new(results), seconds: asked.seconds, tell };
    bay.work(asked.jobs, cases, asked.first)
}

/// The mutants of the shard that are to be run; writes down those that do not compile.
fn chosen(
    bench: &Workbench,
    judges: &Judges,
    asked: &Asked,
    results: &mut Results,
) -> anyhow::Result<Vec<Case>> {
    let (part, parts) = asked.shard;
    let done = load(&[&asked.out])?;
    let mut chosen = Vec::new();
    for file in bench.sources()? {
        let source = source_of(&file.text);
        for (number, mutant) in judges.mutants.iter().enumerate().filter(|(_, of)| of.file == file.name) {
            let key = mutant.key();
            let known = done.get(&key).filter(|entry| entry.source == source);
            let wanted = asked.only.as_ref().is_none_or(|only| key.contains(only));
            if number % parts != part || !wanted {
                continue;
            }
            let mut entry = Entry::new(mutant.clone(), source);
            if judges.without.unviable.contains(&key) {
                if known.is_none() {
                    entry.verdict = Verdict::Unviable;
                    results.append(&entry)?;
                }
                continue;
            }
            if let Some(due) = due(known, asked.survivors_again) {
                entry.verdict = due;
                chosen.push(Case { number, entry });
            }
        }
    }
    // What decides most comes first, for a run that is interrupted.
    chosen.sort_by_key(|case| WORLDS.iter().position(|world| *world == case.entry.mutant.module()));
    Ok(chosen)
}

/// Where a mutant is taken up, if it is to be run.
fn due(known: Option<&Entry>, survivors_again: bool) -> Option<Verdict> {
    let Some(known) = known else {
        return (!survivors_again).then(Verdict::unasked);
    };
    match &known.verdict {
        verdict if survivors_again => verdict.survives().then(|| again(known)),
        Verdict::Open(open) => Some(Verdict::Open(open.clone())),
        Verdict::Unviable | Verdict::Judged { .. } => None,
    }
}

/// Asks the unit tests again; what the sweep said stands if the checker is the same.
fn again(known: &Entry) -> Verdict {
    Verdict::Open(match &known.verdict {
        Verdict::Judged { sweep, .. } => {
            Open { said: Some((known.checker, sweep.clone())), ..Open::default() }
        }
        Verdict::Open(open) => Open { unit: None, ..open.clone() },
        Verdict::Unviable => Open::default(),
    })
}

/// What is known so far, as far as it is of the checker that goes on with it: another one has other bounds in other places.
fn of_checker(open: Open, of: u64, now: Option<u64>) -> Open {
    if now.is_none_or(|now| now == of) {
        return open;
    }
    Open { done: Vec::new(), unmet: Vec::new(), ..open }
}

/// Judges, what they come to, and where their verdicts go.
struct Bay<'t> {
    judges: Judges,
    reached: Reached,
    results: Mutex<Results>,
    seconds: u64,
    tell: Tell<'t>,
}

impl Bay<'_> {
    /// Puts every mutant to the unit tests and to what is short of its sweep; then those that no test noticed to the rest of it,
    /// so that what nobody notices is known soon; then the others.
    fn work(&self, jobs: usize, cases: Vec<Case>, first: f64) -> anyhow::Result<usize> {
        let all = cases.len();
        let mut left = cases;
        for (name, may) in [("first", first), ("second", first * 3.0), ("rest", f64::INFINITY)] {
            left.sort_by_key(|case| !case.entry.verdict.survives());
            left = self.pass(jobs, name, left, may)?;
        }
        Ok(all)
    }

    /// Takes each case as far as it may; gives those that are not through.
    fn pass(&self, jobs: usize, name: &str, cases: Vec<Case>, may: f64) -> anyhow::Result<Vec<Case>> {
        let places: Vec<(usize, &Case)> = cases.iter().enumerate().collect();
        let taken = each(jobs, &places, &|(at, case): &(usize, &Case)| {
            let entry = self.go_on(case, may)?;
            if entry.verdict != case.entry.verdict {
                self.results.lock().unwrap_or_else(PoisonError::into_inner).append(&entry)?;
            }
            (self.tell)(&format!("{name} {}/{} {}", at + 1, cases.len(), told(&entry)));
            Ok(Case { number: case.number, entry })
        })?;
        Ok(taken.into_iter().filter(|case| matches!(case.entry.verdict, Verdict::Open(_))).collect())
    }

    /// Puts a mutant to the judges that it was not put to, the sweep as far as it `may` take.
    fn go_on(&self, case: &Case, may: f64) -> anyhow::Result<Entry> {
        let begun = Instant::now();
        let mut entry = case.entry.clone();
        let Verdict::Open(open) = entry.verdict else { return Ok(entry) };
        let unit = match open.unit {
            Some(unit) => unit,
            None => self.test(case.number)?,
        };
        let checker = self.reached.checker;
        let open = of_checker(Open { unit: Some(unit.clone()), ..open }, entry.checker, checker);
        entry.verdict = match open.said {
            Some((of, sweep)) if checker.is_none_or(|checker| checker == of) => {
                Verdict::Judged { unit, sweep }
            }
            _ => {
                entry.checker = checker.unwrap_or(entry.checker);
                match self.sweep(case, Open { said: None, ..open }, may)? {
                    Ok(sweep) => Verdict::Judged { unit, sweep },
                    Err(open) => Verdict::Open(open),
                }
            }
        };
        entry.seconds += begun.elapsed().as_secs_f64();
        Ok(entry)
    }

    /// A judge that takes so many seconds without a mutant is put to one.
    fn trial(&self, number: usize, usual: f64) -> Trial {
        Trial { switch: number.to_string(), seconds: patience(usual).min(self.seconds) }
    }

    /// What the unit tests say.
    fn test(&self, number: usize) -> anyhow::Result<Fate> {
        let mut fate = Fate::NotReached;
        for (names, usual) in self.reached.tests(number) {
            if names.is_empty() {
                continue;
            }
            fate = unit_tests(&self.judges.tests, &names, &self.trial(number, usual))?;
            if fate.is_caught() {
                break;
            }
        }
        Ok(fate)
    }

    /// Searches the bounds that come to a mutant until one notices, or what it may take is taken: those of its own world, and
    /// those of all worlds if no test noticed it.
    fn sweep(&self, case: &Case, mut open: Open, may: f64) -> anyhow::Result<Result<Fate, Open>> {
        let Some(checker) = &self.judges.sweep else { return Ok(Err(open)) };
        let own = case.entry.mutant.module();
        let worlds = if open.unit.as_ref().is_some_and(Fate::is_caught) { &[own][..] } else { WORLDS };
        let places = self.reached.places(case.number, own, worlds);
        if open.done.is_empty() {
            open.unmet = self.reached.hanging(case.number, worlds);
        }
        let mut spent = 0.0;
        for (at, place) in &places {
            if open.done.contains(at) {
                continue;
            }
            spent += place.bound.seconds;
            if spent > may {
                return Ok(Err(open));
            }
            let trial = self.trial(case.number, place.bound.seconds);
            let (fate, met) = search(checker, &place.bound, &trial)?;
            if fate.is_caught() {
                return Ok(Ok(fate));
            }
            let is_met = |claim: &str| {
                claim
                    .split_once(": ")
                    .is_some_and(|(world, claim)| world == place.bound.world && met.contains(claim))
            };
            open.unmet.retain(|claim| !is_met(claim));
            open.done.push(*at);
        }
        // What is known from before may be of more worlds than are asked now.
        let is_asked = |claim: &str| claim.split_once(": ").is_some_and(|(world, _)| worlds.contains(&world));
        Ok(Ok(match open.unmet.iter().find(|claim| is_asked(claim)) {
            Some(claim) => Fate::Vacuous(claim.clone()),
            None if places.is_empty() => Fate::NotReached,
            None => Fate::Held,
        }))
    }
}

/// How long a judge is waited for that takes so many seconds without a mutant: with one that takes much longer it never ends.
fn patience(usual: f64) -> u64 {
    Duration::from_secs_f64((usual * SLOWER).ceil()).as_secs() + 1
}

/// One line about a verdict.
fn told(entry: &Entry) -> String {
    let Mutant { file, line, change, .. } = &entry.mutant;
    let verdict = match &entry.verdict {
        Verdict::Unviable => "does not compile".to_owned(),
        Verdict::Judged { unit, sweep } => format!("unit tests: {unit:?}, sweep: {sweep:?}"),
        Verdict::Open(open) => {
            format!("unit tests: {:?}, sweep: held at {} bounds so far", open.unit, open.done.len())
        }
    };
    format!("{:.1} s {file}:{line} {change} -> {verdict}", entry.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_is_waited_for_as_long_as_it_takes_without_a_mutant_tells() {
        assert_eq!([0.01, 1.0, 2.5].map(patience), [2, 4, 9]);
    }

    #[test]
    fn what_another_checker_has_searched_says_nothing() {
        let begun = Open {
            unit: Some(Fate::Held),
            done: vec![0, 3],
            unmet: vec!["quorum: some_election_is_won".to_owned()],
            said: None,
        };

        assert_eq!(of_checker(begun.clone(), 7, Some(7)), begun);
        assert_eq!(of_checker(begun.clone(), 7, None), begun, "no checker was asked for");
        let anew = Open { unit: Some(Fate::Held), ..Open::default() };
        assert_eq!(of_checker(begun, 7, Some(8)), anew);
    }
}
