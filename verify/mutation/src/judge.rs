//! Puts one mutant to the judges: the unit tests, and a sweep of the checker.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use crate::switch::VARIABLE;

/// The claim that a core breaks which fails one of its own assertions.
const ASSERTION: &str = "core/assertion_holds";

/// The signal that ends a process which has spent its processor time.
const SIGXCPU: i32 = 24;

/// Address space of a judge, in bytes.
const MEMORY_MAX: u64 = 3 << 30;

/// What a judge says of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// Nothing was noticed.
    Held,
    /// The judge never comes to where the mutant is.
    NotReached,
    /// This unit test failed.
    Test(String),
    /// This property is violated.
    Property(String),
    /// An assertion of the core failed in the sweep.
    Assertion,
    /// What must be possible, and so puts the properties to the test, never happened.
    Vacuous(String),
    /// It did not come to its end within its processor time.
    TimedOut(String),
    /// It ended by a signal: its stack or its memory was spent.
    Crashed(String),
}

impl Fate {
    /// Whether the judge noticed.
    pub(crate) fn is_caught(&self) -> bool {
        !matches!(self, Self::Held | Self::NotReached)
    }
}

/// What is set in the environment of a judge, and how long it may take.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// Value of the switch.
    pub(crate) switch: String,
    /// Processor time, in seconds.
    pub(crate) seconds: u64,
}

struct Judge(Child);

impl Judge {
    fn start(mut command: Command, trial: &Trial) -> anyhow::Result<(Self, BufReader<ChildStdout>)> {
        command.env(VARIABLE, &trial.switch).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let output = child.stdout.take().context("the output of a judge is a pipe")?;
        let judge = Self(child);
        judge.limit(Resource::Cpu, trial.seconds)?;
        judge.limit(Resource::As, MEMORY_MAX)?;
        Ok((judge, BufReader::new(output)))
    }

    fn limit(&self, resource: Resource, most: u64) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.0);
        match prlimit(Some(pid), resource, Rlimit { current: Some(most), maximum: Some(most + 5) }) {
            // It has ended already.
            Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).context("limits of a judge"),
        }
    }

    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.0.wait()?)
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a judge that ended by a signal was ended by.
fn ended(status: ExitStatus, during: String) -> Fate {
    match status.signal() {
        Some(SIGXCPU) => Fate::TimedOut(during),
        Some(_) | None => Fate::Crashed(during),
    }
}

/// The names of the unit tests.
///
/// # Errors
/// When they cannot be listed.
pub(crate) fn names_of(tests: &Path) -> anyhow::Result<Vec<String>> {
    let listed =
        Command::new(tests).args(["--list", "--format", "terse"]).output().context("the unit tests")?;
    let names = String::from_utf8(listed.stdout)?;
    Ok(names.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Runs these of the unit tests, or all if none is named, up to the first that fails.
///
/// # Errors
/// When they cannot be run.
pub(crate) fn unit_tests(tests: &Path, names: &[&str], trial: &Trial) -> anyhow::Result<Fate> {
    let mut command = Command::new(tests);
    command.args(["--test-threads=1", "--exact"]).args(names);
    if names.is_empty() {
        command = Command::new(tests);
        command.arg("--test-threads=1");
    }
    let (mut judge, output) = Judge::start(command, trial)?;
    let mut at = String::new();
    for line in output.lines() {
        let line = line?;
        let Some(told) = line.strip_prefix("test ").and_then(|told| told.split_once(" ... ")) else {
            continue;
        };
        told.0.clone_into(&mut at);
        if told.1.ends_with("FAILED") {
            return Ok(Fate::Test(at));
        }
    }
    let status = judge.end()?;
    Ok(if status.success() { Fate::Held } else { ended(status, at) })
}

#[derive(Deserialize)]
struct Document {
    conclusion: String,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    runs: Vec<Search>,
}

#[derive(Deserialize)]
struct Search {
    bounds: BTreeMap<String, String>,
    seconds: f64,
    met: BTreeSet<String>,
    violation: Option<Violation>,
}

#[derive(Deserialize)]
struct Violation {
    claim: String,
}

/// A bound of a sweep, searched without a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) world: String,
    /// As the checker is given them.
    pub(crate) words: Vec<String>,
    /// What it takes.
    pub(crate) seconds: f64,
    /// What must be possible, and is met there.
    pub(crate) met: BTreeSet<String>,
}

/// What a run of the checker says: its document, or how it ended without one.
fn check(checker: &Path, words: &[&str], trial: &Trial) -> anyhow::Result<Result<Document, ExitStatus>> {
    let mut command = Command::new(checker);
    command.arg("check").args(words).args(["--threads", "1", "--json"]);
    let (mut judge, mut output) = Judge::start(command, trial)?;
    let mut text = Vec::new();
    output.read_to_end(&mut text)?;
    let status = judge.end()?;
    Ok(serde_json::from_slice(&text).map_err(|_| status))
}

/// Sweeps a world's small bounds without a mutant.
///
/// # Errors
/// When the checker cannot be run, or does not hold all of it.
pub(crate) fn bounds_of(checker: &Path, world: &str, trial: &Trial) -> anyhow::Result<Vec<Bound>> {
    let Ok(document) = check(checker, &[world, "--profile", "small"], trial)? else {
        bail!("the sweep of {world} does not end without a mutant");
    };
    if document.conclusion != "holds" {
        bail!("the sweep of {world} is {} without a mutant", document.conclusion);
    }
    let bound = |run: Search| Bound {
        world: world.to_owned(),
        words: run.bounds.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        seconds: run.seconds,
        met: run.met,
    };
    Ok(document.models.into_iter().flat_map(|model| model.runs).map(bound).collect())
}

/// Searches a bound up to the first violation; gives also what was met of what must be possible.
///
/// # Errors
/// When the checker cannot be run.
pub(crate) fn search(
    checker: &Path,
    bound: &Bound,
    trial: &Trial,
) -> anyhow::Result<(Fate, BTreeSet<String>)> {
    let words: Vec<&str> =
        [bound.world.as_str()].into_iter().chain(bound.words.iter().map(String::as_str)).collect();
    let document = match check(checker, &words, trial)? {
        Ok(document) => document,
        Err(status) => return Ok((ended(status, bound.world.clone()), BTreeSet::new())),
    };
    let run = document.models.into_iter().flat_map(|model| model.runs).next();
    let run = run.context("the checker searched the bound that it was given")?;
    let fate = match (&run.violation, document.conclusion.as_str()) {
        (Some(violation), _) if violation.claim == ASSERTION => Fate::Assertion,
        (Some(violation), _) => Fate::Property(violation.claim.clone()),
        (None, "holds") => Fate::Held,
        (None, _) => Fate::TimedOut(bound.world.clone()),
    };
    Ok((fate, run.met))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> Trial {
        Trial { switch: "1".to_owned(), seconds: 1 }
    }

    fn says(script: &str) -> Fate {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tests");
        // Written by another process: what this one has open for writing, a child of another test might still have open as it is
        // to be executed here (ETXTBSY).
        let script = format!("#!/bin/sh\n{script}");
        let mut shell = Command::new("sh");
        shell.args(["-c", "printf '%s' \"$2\" >\"$1\" && chmod +x \"$1\"", "sh"]).arg(&path).arg(script);
        assert!(shell.status().unwrap().success());
        unit_tests(&path, &[], &trial()).unwrap()
    }

    #[test]
    fn the_first_test_that_fails_is_the_one_that_noticed() {
        assert_eq!(says("echo 'test a ... ok'"), Fate::Held);
        assert_eq!(
            says("echo 'test a ... ok'; echo 'test b::c ... FAILED'; exit 101"),
            Fate::Test("b::c".into())
        );
    }

    #[test]
    fn a_test_that_never_ends_is_ended() {
        assert_eq!(says("echo 'test a ... '; while :; do :; done"), Fate::TimedOut("a".into()));
    }

    #[test]
    fn a_test_that_takes_the_process_with_it_is_named() {
        assert_eq!(says("echo 'test a ... '; kill -ABRT $$"), Fate::Crashed("a".into()));
    }
}
