//! Judges a stored history with every checker.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jepsen_judge::availability::{Availability, Watch};
use jepsen_judge::history::{Malformed, Operation, Pairing, ReadError, Reader};
use jepsen_judge::linearizable;
use jepsen_judge::log::{self, Anomaly, Promises};
use jepsen_judge::verdict::{Validity, Verdict};

use crate::evidence::{self, Conclusion};
use crate::nemesis::{Group, Kind};
use crate::store::{ResultsFile, RunFile, SCHEMA};

/// Steps of the search after which a register is given up.
const STEPS_MAX: u64 = 50_000_000;

/// Why a history cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// A line of it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The order of its events.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Every checker, as the history goes by.
struct Checkers {
    log: log::Checker,
    registers: linearizable::Checker,
    availability: Watch,
}

impl Checkers {
    fn take(&mut self, operation: &Operation) {
        self.log.take(operation);
        self.registers.take(operation);
        self.availability.take(operation);
    }
}

/// What the checkers say of a history.
///
/// # Errors
/// If it cannot be read, or is none.
pub fn judge(
    path: &Path,
    allowed: &BTreeMap<String, String>,
) -> Result<(BTreeMap<String, Verdict>, Availability), JudgeError> {
    let file =
        File::open(path).map_err(|error| JudgeError::File { path: path.display().to_string(), error })?;
    judge_lines(BufReader::new(file), allowed)
}

/// What the checkers say of the lines of a history.
fn judge_lines(
    lines: impl BufRead,
    allowed: &BTreeMap<String, String>,
) -> Result<(BTreeMap<String, Verdict>, Availability), JudgeError> {
    let allowed: BTreeSet<Anomaly> = allowed.keys().filter_map(|name| Anomaly::by_name(name)).collect();
    let mut checkers = Checkers {
        log: log::Checker::new(Promises { allowed }),
        registers: linearizable::Checker::default(),
        availability: Watch::default(),
    };
    let mut pairing = Pairing::default();
    for event in Reader::new(lines) {
        pairing.take(event?)?.iter().for_each(|operation| checkers.take(operation));
    }
    pairing.finish().iter().for_each(|operation| checkers.take(operation));
    let verdicts = [
        ("log".to_owned(), checkers.log.finish()),
        ("registers".to_owned(), checkers.registers.finish(STEPS_MAX)),
    ];
    Ok((verdicts.into(), checkers.availability.finish()))
}

/// The results of a run whose history is at `path`.
///
/// # Errors
/// As [`judge`].
pub fn results(run: &RunFile, path: &Path) -> Result<ResultsFile, JudgeError> {
    Ok(concluded(run, judge(path, &run.allowed)?))
}

/// The results of a run whose history is in memory.
///
/// # Errors
/// As [`judge`].
pub fn results_in_memory(run: &RunFile, history: &[u8]) -> Result<ResultsFile, JudgeError> {
    Ok(concluded(run, judge_lines(history, &run.allowed)?))
}

fn concluded(
    run: &RunFile,
    (checkers, availability): (BTreeMap<String, Verdict>, Availability),
) -> ResultsFile {
    let concluded: BTreeMap<String, Conclusion> =
        run.evidence.iter().map(|(name, evidence)| (name.clone(), evidence.conclusion)).collect();
    let mut failures = run.failures.clone();
    if availability.was_mended && availability.recovered_after_ns.is_none() {
        failures.push("nothing succeeded after everything was mended".to_owned());
    }
    let mut unknown_because = untried(run, &checkers, &availability);
    unknown_because.extend(untold(run, &concluded));
    let judged = checkers.values().map(|verdict| verdict.validity);
    let seen = concluded.values().map(|conclusion| match conclusion {
        Conclusion::Clean | Conclusion::Partial | Conclusion::Unknown => Validity::Valid,
        Conclusion::Violation => Validity::Invalid,
    });
    // A run that did not go as it must is none to be believed.
    let went = if failures.is_empty() { Validity::Valid } else { Validity::Invalid };
    let known = if unknown_because.is_empty() { Validity::Valid } else { Validity::Unknown };
    let validity = judged.chain(seen).chain([known, went]).max().unwrap_or(Validity::Unknown);
    ResultsFile {
        schema: SCHEMA.to_owned(),
        validity,
        checkers,
        availability,
        failures,
        unknown_because,
        evidence: concluded,
    }
}

/// What a run did not try, though it says nothing without.
fn untried(run: &RunFile, checkers: &BTreeMap<String, Verdict>, availability: &Availability) -> Vec<String> {
    let mut untried = Vec::new();
    if availability.succeeded == 0 {
        untried.push("no operation that promises something succeeded".to_owned());
    }
    let was_asked = !run.faults.is_empty() || !run.skipped.is_empty();
    if was_asked && run.faults.values().sum::<u64>() == 0 {
        untried.push("faults were asked for and none was injected".to_owned());
    }
    let count = |checker: &str, name: &str| {
        let counts = checkers.get(checker).map(|verdict| &verdict.counts);
        counts.and_then(|counts| counts.get(name)).copied().unwrap_or_default()
    };
    let needed: &[(&str, &str)] = match run.workload.as_str() {
        "log" => &[("log", "acknowledged"), ("log", "linearizable ends"), ("log", "logs read to the end")],
        "register" => &[
            ("registers", "reads done"),
            ("registers", "writes done"),
            ("registers", "compare-and-sets done"),
        ],
        _ => &[],
    };
    untried.extend(
        needed
            .iter()
            .filter(|(checker, name)| count(checker, name) == 0)
            .map(|(_, name)| format!("0 {name}")),
    );
    let (logs, drained) = (count("log", "logs"), count("log", "logs read to the end"));
    if run.workload == "log" && drained < logs {
        untried.push(format!("{} of {logs} logs were not read to the end", logs - drained));
    }
    untried
}

/// What `verify` could not tell, though it says nothing without.
fn untold(run: &RunFile, concluded: &BTreeMap<String, Conclusion>) -> Vec<String> {
    let ends = |group: Group| {
        let of_group = Kind::ALL.iter().filter(|kind| kind.group() == group);
        of_group.filter_map(|kind| run.faults.get(kind.name())).sum::<u64>()
    };
    // Brokers that end without a word take with them what they had not recorded. What clients saw is judged all the same.
    let were_cut_short = ends(Group::Kill) + ends(Group::Power) > 0;
    let untold = |(name, conclusion): (&String, &Conclusion)| match conclusion {
        Conclusion::Clean | Conclusion::Violation => None,
        Conclusion::Partial if name == evidence::TRACE && were_cut_short => None,
        Conclusion::Partial => Some(format!("verify {name} could not tell all")),
        Conclusion::Unknown => Some(format!("verify {name} could not tell")),
    };
    concluded.iter().filter_map(untold).collect()
}
