//! Puts one mutant to the judges: the unit tests, and a sweep of the checker.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use crate::switch::VARIABLE;

/// The claim that a core breaks which fails one of its own assertions.
const ASSERTION: &str = "core/assertion_holds";

/// The signal that ends a process which has spent its processor time.
const SIGXCPU: i32 = 24;

/// Address space of a judge, in bytes.
const MEMORY_MAX: u64 = 6 << 30;

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

/// Runs the unit tests up to the first that fails.
///
/// # Errors
/// When they cannot be run.
pub(crate) fn unit_tests(tests: &Path, trial: &Trial) -> anyhow::Result<Fate> {
    let mut command = Command::new(tests);
    command.arg("--test-threads=1");
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
    never_met: Vec<String>,
    runs: Vec<SweepRun>,
}

#[derive(Deserialize)]
struct SweepRun {
    violation: Option<Violation>,
}

#[derive(Deserialize)]
struct Violation {
    claim: String,
}

/// Sweeps a world's small bounds up to the first violation.
///
/// # Errors
/// When the checker cannot be run.
pub(crate) fn sweep(checker: &Path, world: &str, trial: &Trial) -> anyhow::Result<Fate> {
    let mut command = Command::new(checker);
    command.args(["check", world, "--profile", "small", "--threads", "1", "--json"]);
    let (mut judge, mut output) = Judge::start(command, trial)?;
    let mut text = Vec::new();
    output.read_to_end(&mut text)?;
    let status = judge.end()?;
    let Ok(document) = serde_json::from_slice::<Document>(&text) else {
        return Ok(ended(status, world.to_owned()));
    };
    let violation =
        document.models.iter().flat_map(|model| &model.runs).find_map(|run| run.violation.as_ref());
    Ok(match (violation, document.conclusion.as_str()) {
        (Some(violation), _) if violation.claim == ASSERTION => Fate::Assertion,
        (Some(violation), _) => Fate::Property(violation.claim.clone()),
        (None, "vacuous") => Fate::Vacuous(
            document.models.iter().flat_map(|model| &model.never_met).next().cloned().unwrap_or_default(),
        ),
        (None, "holds") => Fate::Held,
        (None, _) => Fate::TimedOut(world.to_owned()),
    })
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
        std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).unwrap();
        unit_tests(&path, &trial()).unwrap()
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
