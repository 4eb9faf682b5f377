//! Runs the mutants of a shard, several at a time.

use std::collections::BTreeSet;
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
    /// Whether those that survived so far are run again.
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
            let again = asked.survivors_again && known.is_some_and(|entry| entry.verdict.survives());
            let wanted = asked.only.as_ref().is_none_or(|only| key.contains(only));
            if number % parts != part || !wanted || (known.is_some() && !again) {
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
    /// Takes one mutant after another, until there is none left or a judge cannot be run.
    fn work(&self, jobs: usize, results: Results, tell: Tell<'_>) -> anyhow::Result<usize> {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = Mutex::new(results);
        let worker = || -> anyhow::Result<()> {
            while let Some(&(number, source)) = self.chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                let entry = self.judge(number, source).inspect_err(|_| {
                    // The others stop too.
                    next.store(self.chosen.len(), Ordering::Relaxed);
                })?;
                results.lock().unwrap_or_else(PoisonError::into_inner).append(&entry)?;
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                tell(&format!("{done}/{} {}", self.chosen.len(), told(&entry)));
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
            let ends = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
            ends.collect::<Vec<_>>().into_iter().collect::<anyhow::Result<()>>()
        })?;
        Ok(done.into_inner())
    }

    fn judge(&self, number: usize, source: u64) -> anyhow::Result<Entry> {
        let begun = Instant::now();
        let mutant = self.judges.mutants.get(number).context("a mutant has a number")?.clone();
        let trial = Trial { switch: number.to_string(), seconds: self.seconds };
        let unit = if self.reached.unit.contains(&number) {
            unit_tests(&self.judges.tests, &trial)?
        } else {
            Fate::NotReached
        };
        let sweep = self.sweep(number, &mutant, &trial)?;
        let verdict = Verdict::Judged { unit, sweep };
        Ok(Entry { mutant, source, verdict, seconds: begun.elapsed().as_secs_f64() })
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

/// One line about a verdict.
fn told(entry: &Entry) -> String {
    let mutant = &entry.mutant;
    let verdict = match &entry.verdict {
        Verdict::Unviable => "does not compile".to_owned(),
        Verdict::Judged { unit, sweep } => format!("unit tests: {unit:?}, sweep: {sweep:?}"),
    };
    format!("{:.1} s {}:{} {} -> {verdict}", entry.seconds, mutant.file, mutant.line, mutant.change)
}
