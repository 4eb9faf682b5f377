//! Runs the mutants of a shard, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::build::{Judges, Tell, judges};
use crate::judge::{Fate, Trial, sweep, unit_tests};
use crate::mutant::Mutant;
use crate::results::{Entry, Results, Verdict, load, source_of};
use crate::workbench::Workbench;

/// The worlds of the checker.
const WORLDS: &[&str] = &["replication", "quorum", "metadata"];

/// What a run is asked for.
pub(crate) struct Asked {
    /// The part of the mutants, and the number of parts.
    pub(crate) shard: (usize, usize),
    pub(crate) out: PathBuf,
    pub(crate) jobs: usize,
    /// Processor time of one judge, in seconds.
    pub(crate) seconds: u64,
    /// Whether those that survived so far are run again, and no other.
    pub(crate) survivors_again: bool,
    /// Only mutants whose key has this in it.
    pub(crate) only: Option<String>,
}

/// Which mutants each judge comes to.
struct Reached {
    unit: BTreeSet<usize>,
    worlds: Vec<(&'static str, BTreeSet<usize>)>,
}

impl Reached {
    /// Runs each judge once without a mutant, noting what is met.
    fn note(judges: &Judges, bench: &Workbench, seconds: u64) -> anyhow::Result<Self> {
        let noted = |name: &str, run: &dyn Fn(&Trial) -> anyhow::Result<Fate>| {
            let path = bench.copy.join(format!("met-{name}-{}", std::process::id()));
            let switch = format!("note:{}", path.display());
            // Notes take longer than no notes.
            let fate = run(&Trial { switch, seconds: seconds * 4 })?;
            let text = fs::read_to_string(&path).unwrap_or_default();
            let _ = fs::remove_file(&path);
            if fate != Fate::Held {
                bail!("{name} fails without a mutant: {fate:?}");
            }
            Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
        };
        let unit = noted("unit tests", &|trial| unit_tests(&judges.tests, trial))?;
        let world =
            |world: &&'static str| Ok((*world, noted(world, &|trial| sweep(&judges.sweep, world, trial))?));
        Ok(Self { unit, worlds: WORLDS.iter().map(world).collect::<anyhow::Result<_>>()? })
    }
}

/// Runs what is asked for; gives how many verdicts were added.
///
/// # Errors
/// When the judges cannot be built or run, or the results cannot be written.
pub(crate) fn run(bench: &Workbench, asked: &Asked, tell: Tell<'_>) -> anyhow::Result<usize> {
    let judges = judges(bench, tell)?;
    let mut results = Results::open(&asked.out)?;
    let chosen = chosen(bench, &judges, asked, &mut results)?;
    tell(&format!("{} mutants to run; noting which of them the judges come to", chosen.len()));
    if chosen.is_empty() {
        return Ok(0);
    }
    let reached = Reached::note(&judges, bench, asked.seconds)?;
    let met: Vec<String> =
        reached.worlds.iter().map(|(world, met)| format!("{world} {}", met.len())).collect();
    tell(&format!("met by unit tests {}, by sweeps: {}", reached.unit.len(), met.join(", ")));
    let bay = Bay { judges, reached, chosen, seconds: asked.seconds };
    bay.work(asked.jobs, results, tell)
}

/// The mutants of the shard that are to be run; writes down those that do not compile.
fn chosen(
    bench: &Workbench,
    judges: &Judges,
    asked: &Asked,
    results: &mut Results,
) -> anyhow::Result<Vec<(usize, u64)>> {
    let (part, parts) = asked.shard;
    let done = load(&[&asked.out])?;
    let mut chosen = Vec::new();
    for file in bench.sources()? {
        let source = source_of(&file.text);
        for (number, mutant) in judges.mutants.iter().enumerate().filter(|(_, of)| of.file == file.name) {
            let key = mutant.key();
            let known = done.get(&key).filter(|entry| entry.source == source);
            let due = match known {
                Some(entry) => asked.survivors_again && entry.verdict.survives(),
                None => !asked.survivors_again,
            };
            let wanted = asked.only.as_ref().is_none_or(|only| key.contains(only));
            if number % parts != part || !wanted || !due {
                continue;
            }
            if judges.without.unviable.contains(&key) {
                let mutant = mutant.clone();
                results.append(&Entry { mutant, source, verdict: Verdict::Unviable, seconds: 0.0 })?;
            } else {
                chosen.push((number, source));
            }
        }
    }
    // What decides most comes first, for a run that is interrupted.
    let of = |number: usize| judges.mutants.get(number).map_or("", Mutant::module);
    chosen.sort_by_key(|(number, _)| WORLDS.iter().position(|world| *world == of(*number)));
    Ok(chosen)
}

/// Judges, what they are to judge, and how far they are.
struct Bay {
    judges: Judges,
    reached: Reached,
    /// Number of a mutant, and the number of its source.
    chosen: Vec<(usize, u64)>,
    seconds: u64,
}

impl Bay {
    /// Puts every mutant to the unit tests, which take less, then to the sweeps: first those that no test noticed, so that
    /// what nobody notices is known soon.
    fn work(&self, jobs: usize, results: Results, tell: Tell<'_>) -> anyhow::Result<usize> {
        let tested = each(jobs, self.chosen.len(), &|place| {
            let unit = self.test(place)?;
            if place % 100 == 99 {
                tell(&format!("unit tests: {} of {}", place + 1, self.chosen.len()));
            }
            Ok(unit)
        })?;
        let mut order: Vec<(usize, &(Fate, f64))> = tested.iter().enumerate().collect();
        order.sort_by_key(|(_, (unit, _))| unit.is_caught());
        let results = Mutex::new(results);
        let judged = each(jobs, order.len(), &|place| {
            let (at, (unit, seconds)) = order.get(place).context("a place in the order")?;
            let entry = self.judge(*at, unit, *seconds)?;
            results.lock().unwrap_or_else(PoisonError::into_inner).append(&entry)?;
            tell(&format!("{}/{} {}", place + 1, order.len(), told(&entry)));
            Ok(())
        })?;
        Ok(judged.len())
    }

    fn mutant(&self, place: usize) -> anyhow::Result<(usize, u64, &Mutant)> {
        let (number, source) = *self.chosen.get(place).context("a place among the chosen")?;
        Ok((number, source, self.judges.mutants.get(number).context("a mutant has a number")?))
    }

    fn trial(&self, number: usize) -> Trial {
        Trial { switch: number.to_string(), seconds: self.seconds }
    }

    /// What the unit tests say, and how long they took.
    fn test(&self, place: usize) -> anyhow::Result<(Fate, f64)> {
        let (number, ..) = self.mutant(place)?;
        if !self.reached.unit.contains(&number) {
            return Ok((Fate::NotReached, 0.0));
        }
        let begun = Instant::now();
        let fate = unit_tests(&self.judges.tests, &self.trial(number))?;
        Ok((fate, begun.elapsed().as_secs_f64()))
    }

    fn judge(&self, place: usize, unit: &Fate, seconds: f64) -> anyhow::Result<Entry> {
        let begun = Instant::now();
        let (number, source, mutant) = self.mutant(place)?;
        let sweep = self.sweep(number, mutant, &self.trial(number))?;
        let verdict = Verdict::Judged { unit: unit.clone(), sweep };
        let seconds = seconds + begun.elapsed().as_secs_f64();
        Ok(Entry { mutant: mutant.clone(), source, verdict, seconds })
    }

    /// Sweeps the worlds that come to the mutant, its own first, until one notices.
    fn sweep(&self, number: usize, mutant: &Mutant, trial: &Trial) -> anyhow::Result<Fate> {
        let mut worlds: Vec<&str> = self
            .reached
            .worlds
            .iter()
            .filter(|(_, met)| met.contains(&number))
            .map(|(world, _)| *world)
            .collect();
        worlds.sort_by_key(|world| *world != mutant.module());
        let mut fate = Fate::NotReached;
        for world in worlds {
            fate = sweep(&self.judges.sweep, world, trial)?;
            if fate.is_caught() {
                break;
            }
        }
        Ok(fate)
    }
}

/// Does something for each place below `count`, several at a time, until one fails.
fn each<T: Send>(
    jobs: usize,
    count: usize,
    act: &(dyn Fn(usize) -> anyhow::Result<T> + Sync),
) -> anyhow::Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let worker = || -> anyhow::Result<()> {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return Ok(());
            }
            // When one fails the others stop too.
            let made = act(place).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(place, made);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        let ends = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        ends.collect::<Vec<_>>().into_iter().collect::<anyhow::Result<()>>()
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
}

/// One line about a verdict.
fn told(entry: &Entry) -> String {
    let mutant = &entry.mutant;
    let verdict = match &entry.verdict {
        Verdict::Unviable => "does not compile".to_owned(),
        Verdict::Judged { unit, sweep } => format!("unit tests: {unit:?}, sweep: {sweep:?}"),
    };
    format!("{:.1} s {}:{} {} -> {verdict}", entry.seconds, mutant.file, mutant.line, mutant.change)
}
