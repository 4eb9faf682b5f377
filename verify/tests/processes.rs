//! Runs of `verify` that are parts of another one.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use highwater_verify::engine::Progress;
use highwater_verify::registry::{Request, Screen, worlds};
use highwater_verify::report::{Conclusion, Run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_verify");

struct Dark;

impl Screen for Dark {
    fn begin(&mut self, _model: &str, _bounds: &str) {}
    fn progress(&mut self, _at: Progress) {}
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
fn a_part_ends_with_the_run_that_waits_for_it() {
    let mut command = Command::new(PROGRAM);
    command.args(["check", "quorum", "voters=5", "elections=9", "values=9", "--json", "--with-parent"]);
    let part = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut part = part.spawn().expect("it starts");

    drop(part.stdin.take());

    assert_eq!(part.wait().expect("it ends").code(), Some(5));
}
