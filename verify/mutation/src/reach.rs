//! What the judges come to, and what they take, without a mutant: a mutant is put only to the tests and to the bounds that come
//! to it.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::build::{Judges, Tell};
use crate::each::each;
use crate::judge::{Bound, Fate, Trial, bounds_of, names_of, search, unit_tests};
use crate::workbench::Workbench;

/// The worlds of the checker.
pub(crate) const WORLDS: &[&str] = &["replication", "quorum", "metadata"];

/// Processor time of a judge without a mutant, in seconds: notes take longer than no notes.
const SECONDS: u64 = 120;

/// A unit test longer than this is run after the others, in seconds.
const QUICK: f64 = 0.03;

/// A unit test.
#[derive(Debug, Serialize, Deserialize)]
struct Test {
    name: String,
    seconds: f64,
    met: BTreeSet<usize>,
}

/// A bound of a sweep.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) bound: Bound,
    met: BTreeSet<usize>,
}

/// Which mutants each judge comes to.
#[derive(Debug)]
pub(crate) struct Reached {
    tests: Vec<Test>,
    places: Vec<Place>,
    /// Tells this checker from any other; `None` where sweeps are not asked for.
    pub(crate) checker: Option<u64>,
}

impl Reached {
    /// Runs each judge once without a mutant, noting what is met; what is known of these very judges is not noted again.
    ///
    /// # Errors
    /// When a judge cannot be run, or fails without a mutant.
    pub(crate) fn note(
        judges: &Judges,
        bench: &Workbench,
        jobs: usize,
        tell: Tell<'_>,
    ) -> anyhow::Result<Self> {
        let tests = kept(&bench.copy.join("met-by-tests.json"), content(&judges.tests)?, &|| {
            tests_of(&judges.tests, &bench.copy, jobs)
        })?;
        let mut reached = Self { tests, places: Vec::new(), checker: None };
        if let Some(sweep) = &judges.sweep {
            let checker = content(sweep)?;
            let note = || places_of(sweep, &bench.copy, jobs);
            reached.places = kept(&bench.copy.join("met-by-sweeps.json"), checker, &note)?;
            reached.checker = Some(checker);
        }
        tell(&reached.told());
        Ok(reached)
    }

    fn told(&self) -> String {
        let all =
            |sets: &mut dyn Iterator<Item = &BTreeSet<usize>>| sets.flatten().collect::<BTreeSet<_>>().len();
        let tests: f64 = self.tests.iter().map(|test| test.seconds).sum();
        let by_tests = all(&mut self.tests.iter().map(|test| &test.met));
        let mut words = format!("{} unit tests ({tests:.1} s) come to {by_tests} mutants", self.tests.len());
        for world in WORLDS {
            let places = || self.places.iter().filter(|place| place.bound.world == *world);
            let seconds: f64 = places().map(|place| place.bound.seconds).sum();
            let met = all(&mut places().map(|place| &place.met));
            words += &format!("; {} bounds of {world} ({seconds:.1} s) to {met}", places().count());
        }
        words
    }

    /// The unit tests that come to a mutant: those that are quick, and the others; and what each of the two takes without a mutant, in
    /// seconds.
    pub(crate) fn tests(&self, number: usize) -> [(Vec<&str>, f64); 2] {
        let come = || self.tests.iter().filter(|test| test.met.contains(&number));
        let part = |quick: bool| {
            let asked = || come().filter(|test| (test.seconds < QUICK) == quick);
            (asked().map(|test| test.name.as_str()).collect(), asked().map(|test| test.seconds).sum())
        };
        [part(true), part(false)]
    }

    /// The bounds of these worlds that come to a mutant of this module, each with its place, in the order in which they are
    /// searched: what takes least comes first, and another world than its own counts for more than it takes.
    pub(crate) fn places(&self, number: usize, module: &str, worlds: &[&str]) -> Vec<(usize, &Place)> {
        let comes = |place: &Place| place.met.contains(&number) && worlds.contains(&&*place.bound.world);
        let mut places: Vec<_> = self.places.iter().enumerate().filter(|(_, place)| comes(place)).collect();
        let cost = |place: &Place| place.bound.seconds * if place.bound.world == module { 1.0 } else { 3.0 };
        places.sort_by(|(_, one), (_, other)| cost(one).total_cmp(&cost(other)));
        places
    }

    /// What must be possible in these worlds, and is met only at bounds that come to this mutant: `world: claim`.
    pub(crate) fn hanging(&self, number: usize, worlds: &[&str]) -> Vec<String> {
        let met = |reached: bool| -> BTreeSet<String> {
            let is_asked = |place: &&Place| worlds.contains(&&*place.bound.world);
            let places =
                self.places.iter().filter(is_asked).filter(|place| place.met.contains(&number) == reached);
            places
                .flat_map(|place| {
                    place.bound.met.iter().map(|claim| format!("{}: {claim}", place.bound.world))
                })
                .collect()
        };
        met(true).difference(&met(false)).cloned().collect()
    }
}

/// A number that tells a file from any other.
fn content(path: &Path) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).with_context(|| path.display().to_string())?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// What was noted of a judge, if it was this one; or else what is noted now.
fn kept<T: Serialize + DeserializeOwned>(
    path: &Path,
    judge: u64,
    note: &dyn Fn() -> anyhow::Result<Vec<T>>,
) -> anyhow::Result<Vec<T>> {
    let before = fs::read(path).ok().and_then(|text| serde_json::from_slice::<(u64, Vec<T>)>(&text).ok());
    if let Some((of, noted)) = before
        && of == judge
    {
        return Ok(noted);
    }
    let noted = note()?;
    fs::write(path, serde_json::to_vec(&(judge, &noted))?)?;
    Ok(noted)
}

/// Runs a judge without a mutant, which is to find nothing; gives what it met.
fn met(
    folder: &Path,
    name: &str,
    run: &dyn Fn(&Trial) -> anyhow::Result<Fate>,
) -> anyhow::Result<BTreeSet<usize>> {
    let path = folder.join(format!("met-{}-{}", name.replace([':', ' ', '/'], "-"), std::process::id()));
    let fate = run(&Trial { switch: format!("note:{}", path.display()), seconds: SECONDS })?;
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(&path);
    if fate != Fate::Held {
        bail!("{name} fails without a mutant: {fate:?}");
    }
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn tests_of(tests: &Path, folder: &Path, jobs: usize) -> anyhow::Result<Vec<Test>> {
    let names = names_of(tests)?;
    each(jobs, &names, &|name: &String| {
        let begun = Instant::now();
        let met = met(folder, name, &|trial| unit_tests(tests, &[name], trial))?;
        Ok(Test { name: name.clone(), seconds: begun.elapsed().as_secs_f64(), met })
    })
}

fn places_of(checker: &Path, folder: &Path, jobs: usize) -> anyhow::Result<Vec<Place>> {
    let trial = Trial { switch: "none".to_owned(), seconds: SECONDS };
    let sweeps = each(jobs, WORLDS, &|world: &&str| bounds_of(checker, world, &trial))?;
    let bounds: Vec<(usize, Bound)> = sweeps.into_iter().flatten().enumerate().collect();
    each(jobs, &bounds, &|(at, bound): &(usize, Bound)| {
        let name = format!("{} {at}", bound.world);
        let met = met(folder, &name, &|trial| Ok(search(checker, bound, trial)?.0))?;
        Ok(Place { bound: bound.clone(), met })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(world: &str, seconds: f64, claim: &str, met: &[usize]) -> Place {
        let bound = Bound { world: world.into(), words: Vec::new(), seconds, met: [claim.to_owned()].into() };
        Place { bound, met: met.iter().copied().collect() }
    }

    fn test(name: &str, seconds: f64, met: &[usize]) -> Test {
        Test { name: name.into(), seconds, met: met.iter().copied().collect() }
    }

    fn reached() -> Reached {
        let places = vec![
            place("quorum", 2.0, "a", &[1]),
            place("quorum", 1.0, "b", &[1, 2]),
            place("metadata", 0.5, "a", &[1]),
            place("quorum", 0.1, "a", &[]),
        ];
        Reached { tests: vec![test("t", 0.01, &[1]), test("u", 1.0, &[1, 2])], places, checker: None }
    }

    #[test]
    fn a_mutant_is_put_to_what_comes_to_it_the_cheapest_first() {
        let order = |number, worlds| -> Vec<usize> {
            reached().places(number, "quorum", worlds).iter().map(|(at, _)| *at).collect()
        };

        assert_eq!(order(1, WORLDS), [1, 2, 0]);
        assert_eq!(order(1, &["quorum"]), [1, 0]);
        assert_eq!(order(2, WORLDS), [1]);
        assert_eq!(reached().tests(1), [(vec!["t"], 0.01), (vec!["u"], 1.0)]);
        assert_eq!(reached().tests(2), [(Vec::new(), 0.0), (vec!["u"], 1.0)]);
    }

    #[test]
    fn what_other_bounds_meet_does_not_hang_on_a_mutant() {
        assert_eq!(reached().hanging(1, WORLDS), ["metadata: a", "quorum: b"]);
        assert_eq!(reached().hanging(1, &["quorum"]), ["quorum: b"]);
    }
}
