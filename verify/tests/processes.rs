//! Runs of `verify` that are parts of another one.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use highwater_model::fault::Bug;
use highwater_verify::engine::{Limits, Progress};
use highwater_verify::registry::{Request, Screen, worlds};
use highwater_verify::report::{Conclusion, Run};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_verify");

struct Dark;

impl Screen for Dark {
    fn begin(&mut self, _model: &str, _bounds: &str) {}
    fn progress(&mut self, _at: Progress) {}
    fn said(&mut self, _line: &str) {}
    fn end(&mut self, _run: &Run) {}
}

/// What is told of the first bounds of each model's smallest sweep.
fn swept(program: Option<PathBuf>) -> Vec<(Conclusion, u64, u64, Vec<&'static str>)> {
    let request =
        Request { profile: Some("small".to_owned()), only: Some(vec![0, 1]), program, ..Request::default() };
    let sweeps = worlds().into_iter().map(|world| world.check(&request, &mut Dark).expect("a profile"));
    let runs = sweeps.flat_map(|sweep| sweep.runs);
    runs.map(|run| (run.conclusion, run.states, run.steps_taken, run.met)).collect()
}

#[test]
fn a_sweep_in_processes_of_its_own_finds_what_one_process_finds() {
    let apart = swept(Some(PROGRAM.into()));

    assert_eq!(apart, swept(None));
    assert!(apart.len() == 6 && apart.iter().all(|(conclusion, ..)| *conclusion == Conclusion::Holds));
}

#[test]
fn threads_that_are_lent_change_nothing_that_is_found() {
    let found = |lent: &str| {
        let mut command = Command::new(PROGRAM);
        command.args([
            "check",
            "quorum",
            "voters=3",
            "elections=2",
            "--json",
            "--with-parent",
            "--threads",
            "1",
        ]);
        let mut part = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut parent = part.stdin.take().expect("it is a pipe");
        parent.write_all(lent.as_bytes()).expect("it listens");
        let output = part.wait_with_output().expect("it ends");
        drop(parent);
        let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        ["conclusion", "states", "steps_taken", "depth"]
            .map(|field| document["models"][0]["runs"][0][field].clone())
    };

    let alone = found("");
    assert_eq!(alone.first(), Some(&Value::from("holds")));
    assert_eq!(found("3\n"), alone);
}

#[test]
fn a_search_takes_the_threads_that_it_is_lent() {
    let mut command = Command::new(PROGRAM);
    command.args(["check", "quorum", "voters=5", "elections=9", "values=9", "--json", "--with-parent"]);
    command.args(["--threads", "1", "--timeout", "60s"]);
    let part = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut part = part.spawn().expect("it starts");
    let mut parent = part.stdin.take().expect("it is a pipe");
    parent.write_all(b"7\n").expect("it listens");

    let tasks = format!("/proc/{}/task", part.id());
    let has_all = || fs::read_dir(&tasks).is_ok_and(|tasks| tasks.count() >= 8);
    while !has_all() && part.try_wait().expect("it is ours").is_none() {
        std::thread::yield_now();
    }

    assert!(part.try_wait().expect("it is ours").is_none(), "it ended, and never had them");
    drop(parent);
    part.wait().expect("it ends");
}

#[test]
fn a_part_ends_with_the_run_that_waits_for_it() {
    let mut command = Command::new(PROGRAM);
    command.args(["check", "quorum", "voters=5", "elections=9", "values=9", "--json", "--with-parent"]);
    let part = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut part = part.spawn().expect("it starts");

    drop(part.stdin.take());

    assert_eq!(part.wait().expect("it ends").code(), Some(5));
}

/// What is told of a planted bug of the metadata model.
fn hunted(
    program: Option<PathBuf>,
    limits: Limits,
) -> (Conclusion, u64, Option<(&'static str, usize)>, bool) {
    let bug = Bug::by_id("B-13d").expect("a bug of the catalogue");
    let worlds = worlds();
    let metadata = worlds.iter().find(|world| world.name() == "metadata").expect("a model");
    let row = metadata.mutants(Some(bug), program.as_deref(), limits, &mut Dark).remove(0);
    let found = row.run.violation.as_ref().map(|found| (found.claim, found.steps.len()));
    (row.conclusion, row.run.states, found, row.run.peak_rss.is_some())
}

#[test]
fn what_a_process_of_its_own_finds_is_told_with_the_way_to_it() {
    let limits = Limits { threads: 1, ..Limits::default() };

    let (conclusion, states, found, has_own_memory) = hunted(Some(PROGRAM.into()), limits);

    assert_eq!((conclusion, states, found, false), hunted(None, limits));
    assert_eq!((conclusion, found), (Conclusion::Holds, Some(("metadata/lost_replica_is_excluded", 8))));
    assert!(has_own_memory || !cfg!(target_os = "linux"), "each has the memory of a process");
}

#[test]
fn of_a_bug_for_which_the_budget_is_too_small_nothing_is_concluded() {
    let limits = Limits { states: Some(1), threads: 1, ..Limits::default() };
    let mut command = Command::new(PROGRAM);
    command.args(["mutants", "metadata", "--threads", "1", "--memory", "1", "--json"]);

    let output = command.output().expect("it runs");

    assert_eq!(hunted(Some(PROGRAM.into()), limits).0, Conclusion::OutOfBudget);
    assert_eq!(output.status.code(), Some(5), "not 4: none is known to survive");
    let told: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(
        (&told["all_caught"], &told["mutants"][0]["conclusion"]),
        (&false.into(), &"out_of_budget".into())
    );
}
