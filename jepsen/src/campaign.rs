//! Many seeds on simulated machines, some at once, each alone in its thread.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use highwater_transport::env::Env;
use jepsen_judge::verdict::Validity;
use serde::Serialize;

use crate::cluster::simulated::Identities;
use crate::simulation::{Finished, Scenario, Tally, verified};
use crate::store::Store;
use crate::verdicts::JudgeError;

/// Seeds to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What to run.
    pub scenario: Scenario,
    /// The seeds, in the order in which they are begun and shown.
    pub seeds: Vec<u64>,
    /// How many at once.
    pub jobs: u16,
    /// The `verify` program that judges what machines left, and where that is put meanwhile.
    pub verified_by: Option<(PathBuf, PathBuf)>,
}

/// A part of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

/// What is shown of a seed. Without the time it took it is the same in every run.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The seed.
    pub seed: u64,
    /// The conclusion.
    pub validity: Validity,
    /// The xxh3 hash of the history, in hexadecimal digits.
    pub history_hash: String,
    /// The hash of what happened on the network, likewise.
    pub trace_hash: String,
    /// Records acknowledged at acks=all.
    pub acknowledged: u64,
    /// Faults injected.
    pub faults: u64,
    /// Simulated time.
    pub simulated_ms: u64,
    /// Anomalies that break a promise, by name.
    pub anomalies: BTreeMap<String, u64>,
    /// Why the run did not go as it must.
    pub failures: Vec<String>,
    /// How long it took.
    pub real_ms: u64,
}

/// What a campaign came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// Those that are not valid, with the conclusion.
    pub not_valid: BTreeMap<u64, Validity>,
    /// What happened in all of them.
    pub tally: Tally,
    /// Simulated time of all together.
    pub simulated_ms: u64,
    /// What threads spent on it together.
    pub real_ms: u64,
}

/// What came of a seed, and the seed's place among all.
type InPlace = (u64, Result<(Finished, Line), JudgeError>);

impl Campaign {
    /// Runs all seeds, and hands each on in their order, until it is told to break off.
    ///
    /// # Errors
    /// If a history cannot be judged, which is a fault of the harness.
    pub fn run(
        &self,
        identities: &Identities,
        mut each: impl FnMut(&Finished, &Line) -> ControlFlow<()>,
    ) -> Result<Summary, JudgeError> {
        let left = Mutex::new((0..).zip(self.seeds.iter().copied()));
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (done, finished) = mpsc::sync_channel(usize::from(self.jobs));
        std::thread::scope(|threads| {
            for _ in 0..self.jobs {
                let (done, next) = (done.clone(), &next);
                threads.spawn(move || {
                    while let Some((place, seed)) = next() {
                        // Who hears no more has seen enough.
                        if done.send((place, self.one(seed, identities))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            Self::in_order(finished, &mut each)
        })
    }

    fn one(&self, seed: u64, identities: &Identities) -> Result<(Finished, Line), JudgeError> {
        let clock = Env::real();
        let began = clock.now();
        let finished = self.scenario.run(seed, identities)?;
        let took = clock.now().since(began);
        let mut finished = self.verified(finished)?;
        finished.left = None;
        let line = Line::of(&finished, took);
        Ok((finished, line))
    }

    /// With what `verify` says, if it is asked. What machines left stays only where something is wrong.
    fn verified(&self, finished: Finished) -> Result<Finished, JudgeError> {
        let Some((verify, dir)) = &self.verified_by else { return Ok(finished) };
        let dir = dir.join(format!("sim-{}", finished.run.seed));
        let failed = |error: String| {
            let error = std::io::Error::other(error);
            JudgeError::File { path: dir.display().to_string(), error }
        };
        let store = Store::create(&dir).map_err(|error| failed(error.to_string()))?;
        let finished = verified(finished, verify, &store)?;
        if finished.validity() == Validity::Valid {
            std::fs::remove_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
        }
        Ok(finished)
    }

    /// Hands on what is finished, and holds back what is before its turn.
    fn in_order(
        finished: mpsc::Receiver<InPlace>,
        each: &mut impl FnMut(&Finished, &Line) -> ControlFlow<()>,
    ) -> Result<Summary, JudgeError> {
        let (mut summary, mut early, mut turn) = (Summary::default(), BTreeMap::new(), 0);
        for (place, done) in finished {
            early.insert(place, done?);
            while let Some((finished, line)) = early.remove(&turn) {
                turn += 1;
                let goes_on = each(&finished, &line);
                summary.add(&finished, &line);
                if goes_on.is_break() {
                    return Ok(summary);
                }
            }
        }
        Ok(summary)
    }
}

/// The seeds that `A..B`, B exclusive, stands for; a number alone is one seed.
///
/// # Errors
/// If it stands for none.
pub fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => number(text).map(|seed| seed..seed.saturating_add(1)),
    }
}

impl Shard {
    /// This part of some seeds.
    #[must_use]
    pub fn of(self, seeds: Range<u64>, backwards: bool) -> Vec<u64> {
        let mut seeds: Vec<u64> = seeds.filter(|seed| seed % self.count == self.index).collect();
        if backwards {
            seeds.reverse();
        }
        seeds
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no shard: give I/N, I from 0 and less than N");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let (index, count) = (index.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
        if index < count { Ok(Self { index, count }) } else { Err(wrong()) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Line {
    /// The line of a run that took so long.
    #[must_use]
    pub fn of(finished: &Finished, took: Duration) -> Self {
        Self {
            seed: finished.run.seed,
            validity: finished.validity(),
            history_hash: format!("{:016x}", finished.history_hash),
            trace_hash: format!("{:016x}", finished.trace_hash),
            acknowledged: finished.tally.get("acknowledged"),
            faults: finished.tally.get("faults"),
            simulated_ms: millis(finished.simulated),
            anomalies: finished.anomalies(),
            failures: finished.results.failures.clone(),
            real_ms: millis(took),
        }
    }

    /// How fast it was, in words: not the same in every run.
    #[must_use]
    pub fn speed(&self) -> String {
        let (seed, took) = (self.seed, self.real_ms);
        format!("seed {seed} took {took} ms, {} times as fast", self.simulated_ms / took.max(1))
    }
}

impl fmt::Display for Line {
    /// One line of figures, and one for each thing that is wrong. Holds nothing that differs between equal runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, validity, history_hash, trace_hash, acknowledged, faults, .. } = self;
        let simulated = Duration::from_millis(self.simulated_ms).as_secs_f64();
        write!(f, "seed {seed} {validity} history {history_hash} trace {trace_hash}")?;
        write!(f, " acknowledged {acknowledged} faults {faults} simulated-s {simulated:.1}")?;
        for (name, count) in &self.anomalies {
            write!(f, "\nseed {seed} anomaly {name} {count}")?;
        }
        self.failures.iter().try_for_each(|failure| write!(f, "\nseed {seed} failure {failure}"))
    }
}

impl Summary {
    fn add(&mut self, finished: &Finished, line: &Line) {
        self.seeds += 1;
        self.tally.add_all(&finished.tally);
        self.simulated_ms += line.simulated_ms;
        self.real_ms += line.real_ms;
        if line.validity != Validity::Valid {
            self.not_valid.insert(line.seed, line.validity);
        }
    }

    /// The conclusion over all seeds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.not_valid.values().copied().max().unwrap_or(Validity::Valid)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.tally.iter() {
            writeln!(f, "{count:>12} {name}")?;
        }
        let simulated = Duration::from_millis(self.simulated_ms).as_secs();
        let ratio = self.simulated_ms / self.real_ms.max(1);
        writeln!(f, "{simulated} s simulated, {ratio} times as fast as real time on each thread")?;
        for (seed, validity) in &self.not_valid {
            writeln!(f, "seed {seed} is {validity}")?;
        }
        let not_valid = self.not_valid.len();
        writeln!(f, "{} seeds, {not_valid} not valid", self.seeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_part_the_seeds() {
        let shard = |text: &str| text.parse::<Shard>();
        let of = |text: &str| shard(text).unwrap().of(3..10, false);

        assert_eq!(of("0/1"), (3..10).collect::<Vec<u64>>());
        assert_eq!(of("0/3"), [3, 6, 9]);
        assert_eq!(of("1/3"), [4, 7]);
        assert_eq!(shard("0/2").unwrap().of(0..5, true), [4, 2, 0]);
        assert!(shard("3/3").is_err() && shard("1").is_err() && shard("a/2").is_err());
    }

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(seeds("2..5"), Ok(2..5));
        assert_eq!(seeds("7"), Ok(7..8));
        assert!(seeds("x..5").is_err());
    }
}
