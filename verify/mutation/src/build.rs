//! Builds the judges from the copy, leaving out what the compiler refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::instrument::Without;
use crate::locate::Regions;
use crate::mutant::Mutant;
use crate::workbench::{Source, Workbench};

/// Rounds after which it is given up: each leaves something out.
const ROUNDS_MAX: u32 = 60;

/// Where a line about what is being done goes.
pub(crate) type Tell<'a> = &'a (dyn Fn(&str) + Sync);

/// The compiled judges, and the mutants that are in them.
pub(crate) struct Judges {
    /// All mutants; a mutant's place is its number.
    pub(crate) mutants: Vec<Mutant>,
    pub(crate) without: Without,
    /// The unit tests of the mutated crate.
    pub(crate) tests: PathBuf,
    /// The checker, if sweeps are asked for.
    pub(crate) sweep: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    message: Option<Diagnostic>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    code: Option<Code>,
    spans: Vec<Place>,
    #[serde(default)]
    children: Vec<Self>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Place {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Place {
    /// The instrumented file that it is in, and where.
    fn within<'a>(&self, files: &'a [Source]) -> Option<(&'a Source, Range<usize>)> {
        let file = files.iter().find(|file| file.name == self.file_name)?;
        Some((file, self.byte_start..self.byte_end))
    }
}

/// What a run of cargo came to: the executables it made, or what it complained about.
type Compiled = Result<Vec<PathBuf>, Vec<Diagnostic>>;

/// The unit tests, and the checker if sweeps are asked for.
type Made = (PathBuf, Option<PathBuf>);

const CHECK: &[&str] = &["check", "--package", "highwater-model", "--lib", "--tests"];
const TESTS: &[&str] = &["test", "--package", "highwater-model", "--lib", "--no-run"];
const SWEEP: &[&str] = &["build", "--release", "--package", "highwater-verify", "--bin", "verify"];

/// Lays the copy out and compiles it, until nothing is left in it that does not compile.
///
/// # Errors
/// When the copy cannot be made, or does not compile for a reason that no mutant has.
pub(crate) fn judges(bench: &Workbench, tests_only: bool, tell: Tell<'_>) -> anyhow::Result<Judges> {
    let notes = bench.copy.join("unviable.json");
    let mut without: Without = match fs::read(&notes) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(_) => Without::default(),
    };
    for _ in 0..ROUNDS_MAX {
        let (mutants, files) = bench.lay_out(&without)?;
        let known: BTreeSet<String> = mutants.iter().map(Mutant::key).collect();
        without.unviable.retain(|key| known.contains(key));
        tell(&format!("{} mutants, {} of them left out: compiling", mutants.len(), without.unviable.len()));
        let complaints = match all(bench, tests_only)? {
            Ok((tests, sweep)) => return Ok(Judges { mutants, without, tests, sweep }),
            Err(complaints) => complaints,
        };
        let more = blame(&complaints, &mutants, &files, &mut without)?;
        if !more {
            let first = complaints.first().map(|first| first.message.clone()).unwrap_or_default();
            bail!(
                "the copy in {} does not compile, and no mutant is the reason: {first}",
                bench.copy.display()
            );
        }
        fs::write(&notes, serde_json::to_vec(&without)?)?;
    }
    bail!("the copy does not compile after {ROUNDS_MAX} rounds")
}

/// Compiles the judges, the cheapest first.
fn all(bench: &Workbench, tests_only: bool) -> anyhow::Result<Result<Made, Vec<Diagnostic>>> {
    let mut made = Vec::new();
    let wanted: &[_] = if tests_only { &[CHECK, TESTS] } else { &[CHECK, TESTS, SWEEP] };
    for arguments in wanted {
        match cargo(&bench.copy, arguments)? {
            Ok(executables) => made.extend(executables),
            Err(complaints) => return Ok(Err(complaints)),
        }
    }
    let named = |name: &str| {
        let is =
            |path: &&PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
        made.iter().find(is).cloned().with_context(|| format!("cargo made no executable `{name}`"))
    };
    let sweep = if tests_only { None } else { Some(named("verify")?) };
    Ok(Ok((named("highwater_model-")?, sweep)))
}

fn cargo(copy: &Path, arguments: &[&str]) -> anyhow::Result<Compiled> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).arg("--message-format=json").current_dir(copy).stdin(Stdio::null());
    // What is instrumented looks odd; that is no news. No debug information: nobody will step through it.
    command.env("RUSTFLAGS", "--cap-lints=allow").env("CARGO_TARGET_DIR", copy.join("target"));
    command.env("CARGO_PROFILE_RELEASE_DEBUG", "false").env("CARGO_PROFILE_DEV_DEBUG", "false");
    // Assertions and overflow checks stay on under optimization: this is still the profile of tests.
    command.env("CARGO_PROFILE_TEST_OPT_LEVEL", "1").env("CARGO_INCREMENTAL", "0");
    let output = command.stderr(Stdio::inherit()).output().context("cargo could not be started")?;
    let mut complaints = Vec::new();
    let mut executables = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        executables.extend(line.executable);
        let errors = line.message.filter(|told| line.reason == "compiler-message" && told.level == "error");
        complaints.extend(errors);
    }
    if !output.status.success() && complaints.is_empty() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(if output.status.success() { Ok(executables) } else { Err(complaints) })
}

/// Leaves out what is to blame; says whether there was anything.
fn blame(
    complaints: &[Diagnostic],
    mutants: &[Mutant],
    files: &[Source],
    without: &mut Without,
) -> anyhow::Result<bool> {
    let before = (without.unviable.len(), without.constant.len());
    let mut regions: BTreeMap<&str, Regions> = BTreeMap::new();
    for complaint in complaints {
        if complaint.code.as_ref().is_some_and(|code| code.code == "E0015") {
            without.constant.extend(called(&complaint.message));
            continue;
        }
        let mut places: Vec<&Place> = Vec::new();
        gather(complaint, &mut places);
        places.sort_by_key(|place| !place.is_primary);
        let here: Vec<(&Source, Range<usize>)> =
            places.iter().filter_map(|place| place.within(files)).collect();
        for (file, _) in &here {
            if !regions.contains_key(file.name.as_str()) {
                regions.insert(&file.name, Regions::of(&file.text)?);
            }
        }
        let spans = here.iter().filter_map(|(file, span)| Some((regions.get(file.name.as_str())?, span)));
        let certain = spans.clone().find_map(|(regions, span)| regions.innermost(span));
        let blamed = match certain {
            Some(number) => BTreeSet::from([number]),
            None => spans
                .map(|(regions, span)| regions.around(span))
                .find(|all| !all.is_empty())
                .unwrap_or_default(),
        };
        let keys = blamed.iter().filter_map(|number| mutants.get(*number as usize)).map(Mutant::key);
        without.unviable.extend(keys);
    }
    Ok(before != (without.unviable.len(), without.constant.len()))
}

fn gather<'a>(complaint: &'a Diagnostic, places: &mut Vec<&'a Place>) {
    places.extend(&complaint.spans);
    complaint.children.iter().for_each(|child| gather(child, places));
}

/// The function that a constant cannot call: the last name of the path between the first backquotes.
fn called(message: &str) -> Option<String> {
    let path = message.split('`').nth(1)?;
    path.rsplit("::").next().map(str::to_owned)
}
