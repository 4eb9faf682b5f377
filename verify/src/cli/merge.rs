//! `merge`: the results of all shards of a sweep become the result of the sweep.
//!
//! Whatever must have happened must have happened somewhere in the whole sweep, not in each shard. Shards of different
//! programs, profiles or partitions are never put together, and nothing is concluded while a bound is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::shown;
use crate::registry::shard::{Listed, Shard, Whole};
use crate::report::{Conclusion, text::grouped};

/// Results of shards, on the command line.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// What `check --shard i/n --json` printed, one file for each shard
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Why results cannot be put together.
#[derive(Debug, PartialEq, Eq)]
enum MergeError {
    /// A file cannot be read.
    Unreadable { file: PathBuf, why: String },
    /// A file holds something else than the result of a shard.
    NoShard { file: PathBuf, why: String },
    /// A shard is of another program, profile or partition than the first.
    Stranger { file: PathBuf, what: &'static str, first: String, this: String },
    /// Two files hold the same shard.
    Twice { shard: usize },
    /// Shards that no file holds.
    Missing { shards: Vec<usize>, of: usize },
    /// A bound that no shard has searched, though none found a violation.
    Unsearched { model: String, bounds: String },
    /// A bound that was searched more often than once, or is not of the profile.
    Unexpected { model: String, bounds: String },
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, why } => write!(f, "{}: {why}", file.display()),
            Self::NoShard { file, why } => {
                write!(f, "{} is no result of `check --shard i/n --json`: {why}", file.display())
            }
            Self::Stranger { file, what, first, this } => {
                write!(f, "{}: its {what} is {this}, that of the first file is {first}", file.display())
            }
            Self::Twice { shard } => write!(f, "shard {shard} is there twice"),
            Self::Missing { shards, of } => {
                let shards: Vec<String> = shards.iter().map(usize::to_string).collect();
                write!(f, "of {of} shards these are missing: {}", shards.join(", "))
            }
            Self::Unsearched { model, bounds } => write!(f, "{model} was not searched at {bounds}"),
            Self::Unexpected { model, bounds } => {
                write!(f, "{model} was searched again, or for another sweep, at {bounds}")
            }
        }
    }
}

impl std::error::Error for MergeError {}

#[derive(Deserialize)]
struct Document {
    shard: Shard,
    whole: Whole,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    model: String,
    seconds: f64,
    runs: Vec<Value>,
}

/// What is read of a search.
#[derive(Deserialize)]
struct Run {
    bounds: BTreeMap<String, String>,
    conclusion: Conclusion,
    states: u64,
    taken: BTreeMap<String, u64>,
    met: Vec<String>,
}

/// A model's sweep, put together.
#[derive(Debug, serde::Serialize)]
struct Merged {
    model: String,
    conclusion: Conclusion,
    bounds: usize,
    states: u64,
    /// Of all shards together.
    seconds: f64,
    never_met: Vec<String>,
    never_taken: Vec<String>,
    runs: Vec<Value>,
}

/// Puts results together; gives the exit code.
pub(super) fn merge(asked: &Merge) -> anyhow::Result<u8> {
    let documents: Vec<Document> = asked.files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    let (whole, merged) = merged(&asked.files, documents)?;
    let worst = merged.iter().map(|model| model.conclusion).max().unwrap_or(Conclusion::Holds);
    let mut out = io::stdout().lock();
    shown(if asked.json {
        let (profile, build) = (&whole.profile, &whole.build);
        let document =
            serde_json::json!({ "conclusion": worst, "profile": profile, "build": build, "models": merged });
        writeln!(out, "{document}")
    } else {
        merged.iter().try_for_each(|model| show(&mut out, model))
    })?;
    Ok(worst.exit_code())
}

fn read(file: &Path) -> Result<Document, MergeError> {
    let unreadable = |error: io::Error| MergeError::Unreadable { file: file.into(), why: error.to_string() };
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let no_shard =
        |error: serde_json::Error| MergeError::NoShard { file: file.into(), why: error.to_string() };
    serde_json::from_slice(&bytes).map_err(no_shard)
}

fn merged(files: &[PathBuf], documents: Vec<Document>) -> Result<(Whole, Vec<Merged>), MergeError> {
    let mut expected: Option<(Whole, usize)> = None;
    let mut parts = BTreeSet::new();
    let mut found: Vec<Model> = Vec::new();
    for (file, document) in files.iter().zip(documents) {
        let Document { shard, whole, models } = document;
        let (first, of) = expected.get_or_insert_with(|| (whole.clone(), shard.of));
        if let Some((what, first, this)) = difference(first, *of, &whole, shard.of) {
            return Err(MergeError::Stranger { file: file.clone(), what, first, this });
        }
        if !parts.insert(shard.part) {
            return Err(MergeError::Twice { shard: shard.part });
        }
        found.extend(models);
    }
    let (whole, of) = expected.expect("at least one file");
    let missing: Vec<usize> = (1..=of).filter(|part| !parts.contains(part)).collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing { shards: missing, of });
    }
    let models: Vec<Merged> =
        whole.models.iter().map(|listed| gather(listed, &found)).collect::<Result<_, _>>()?;
    Ok((whole, models))
}

/// In what two shards differ that must not.
fn difference(
    first: &Whole,
    of: usize,
    this: &Whole,
    this_of: usize,
) -> Option<(&'static str, String, String)> {
    let told = |what, first: &dyn fmt::Display, this: &dyn fmt::Display| {
        Some((what, first.to_string(), this.to_string()))
    };
    if of != this_of {
        return told("number of shards", &of, &this_of);
    }
    if first.profile != this.profile {
        return told("profile", &first.profile, &this.profile);
    }
    if first.build != this.build {
        return told("build", &first.build, &this.build);
    }
    let names = |whole: &Whole| {
        let listed = |model: &Listed| format!("{} ({} bounds)", model.model, model.bounds.len());
        whole.models.iter().map(listed).collect::<Vec<_>>().join(", ")
    };
    if first == this { None } else { told("sweep", &names(first), &names(this)) }
}

/// The sweep of a model, from what the shards found of it.
fn gather(listed: &Listed, found: &[Model]) -> Result<Merged, MergeError> {
    let model = listed.model.clone();
    let of_model = || found.iter().filter(|found| found.model == model);
    let mut missing: Vec<(&String, BTreeMap<String, String>)> =
        listed.bounds.iter().map(|line| (line, pairs(line))).collect();
    let mut merged = Merged {
        conclusion: Conclusion::Holds,
        bounds: 0,
        states: 0,
        seconds: of_model().map(|found| found.seconds).sum(),
        never_met: listed.sometimes.clone(),
        never_taken: listed.kinds.clone(),
        runs: Vec::new(),
        model: model.clone(),
    };
    for value in of_model().flat_map(|found| &found.runs) {
        let run = Run::deserialize(value);
        let run =
            run.map_err(|why| MergeError::Unexpected { model: model.clone(), bounds: why.to_string() })?;
        let Some(at) = missing.iter().position(|(_, bounds)| *bounds == run.bounds) else {
            return Err(MergeError::Unexpected { model, bounds: line(&run.bounds) });
        };
        missing.remove(at);
        merged.add(&run, value);
    }
    match missing.first() {
        Some((bounds, _)) if merged.conclusion != Conclusion::Violated => {
            return Err(MergeError::Unsearched { model, bounds: (*bounds).clone() });
        }
        _ => {}
    }
    if merged.conclusion == Conclusion::Holds && !merged.never_met.is_empty() {
        merged.conclusion = Conclusion::Vacuous;
    }
    Ok(merged)
}

impl Merged {
    fn add(&mut self, run: &Run, value: &Value) {
        self.conclusion = self.conclusion.max(run.conclusion);
        self.bounds += 1;
        self.states = self.states.saturating_add(run.states);
        self.never_met.retain(|name| !run.met.contains(name));
        self.never_taken.retain(|kind| run.taken.get(kind).is_none_or(|count| *count == 0));
        self.runs.push(value.clone());
    }
}

fn pairs(line: &str) -> BTreeMap<String, String> {
    let pairs = line.split(' ').filter_map(|word| word.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn line(bounds: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = bounds.iter().map(|(key, value)| format!("{key}={value}")).collect();
    words.join(" ")
}

fn show(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let Merged { model, bounds, seconds, .. } = merged;
    let states = grouped(merged.states);
    let how = match merged.conclusion {
        Conclusion::Holds => "exhausted, every property holds",
        Conclusion::OutOfBudget => "NOT exhausted; up to there every property holds",
        Conclusion::Failed => "a part of it FAILED, so nothing is concluded",
        Conclusion::Vacuous => "exhausted, but what must be possible never happened",
        Conclusion::Violated => "a property is VIOLATED; the shard that found it tells the steps",
    };
    writeln!(out, "{model}: {bounds} bounds, {states} states, {seconds:.1} s in all shards: {how}")?;
    for name in &merged.never_met {
        writeln!(out, "  never happened: {name}")?;
    }
    for kind in &merged.never_taken {
        writeln!(out, "  action never taken: {kind}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
