//! The searches of a sweep, each in a process of its own: so that a bound begins with all the memory that there is, and one
//! that runs out of it takes no other with it.
//!
//! What broke a claim is searched for again here, to be told.

use std::path::Path;
use std::time::Duration;

use super::child::{Child, Failure, Told, nothing};
use crate::engine::{Limits, Outcome, Verdict, search};
use crate::report::{Conclusion, Run};
use crate::world::Checked;

/// Searches these bounds in a process of their own, with nothing planted: for a bug no sweep is searched.
pub(super) fn searched<W: Checked>(program: &Path, world: &W, limits: Limits) -> Run {
    match (Child { program, world, planted: None, limits, shows: true }).run(&[], "a search of the sweep") {
        Ok(told) => run(world, &told, limits),
        Err(error) => {
            let mut run = Run::new(world, None, &nothing());
            run.fail(false, format!("{error:#}"));
            run
        }
    }
}

fn run<W: Checked>(world: &W, told: &Told, limits: Limits) -> Run {
    let (outcome, failure) = concluded(world, told, limits);
    let mut run = Run::new(world, None, &outcome);
    run.peak_rss = told.peak_resident;
    if let Some(Failure { is_violation, why }) = failure {
        run.fail(is_violation, why);
    }
    run
}

/// What a process told, with the way to what it found.
fn concluded<W: Checked>(world: &W, told: &Told, limits: Limits) -> (Outcome<W>, Option<Failure>) {
    let mut outcome = nothing();
    told.add_to(&mut outcome);
    outcome.elapsed = Duration::try_from_secs_f64(told.seconds).unwrap_or_default();
    let failure = match told.conclusion {
        Conclusion::Holds => {
            outcome.verdict = Verdict::Holds;
            None
        }
        Conclusion::OutOfBudget => None,
        Conclusion::Violated => {
            let again = search(world, Limits { timeout: None, ..limits }, &mut |_| {});
            let is_found = matches!(again.verdict, Verdict::Violated(_));
            outcome.verdict = again.verdict;
            (!is_found).then(|| Failure { is_violation: true, why: not_again(told) })
        }
        Conclusion::Failed | Conclusion::Vacuous => {
            let why = format!("a search of the sweep told that it {:?}", told.conclusion);
            Some(Failure { is_violation: false, why })
        }
    };
    (outcome, failure)
}

fn not_again(told: &Told) -> String {
    format!("nothing is broken here; in a process of its own it broke {}", told.found())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bounds::Bounds as _;
    use crate::quorum::{Bounds, World};

    fn world() -> World {
        World::new(Bounds::default().read(["voters=1", "values=1"]).expect("bounds"), None)
    }

    fn told(conclusion: &str) -> Run {
        let told = json!({
            "conclusion": conclusion, "states": 50, "steps_taken": 90, "depth": 7, "seconds": 0.5,
            "bytes_per_state": 60, "taken": { "a voter starts an election": 3 }, "met": [],
            "violation": { "claim": "quorum/log_matching", "values": "2 is not 3" },
        });
        run(
            &world(),
            &serde_json::from_value(told).expect("a run"),
            Limits { threads: 1, ..Limits::default() },
        )
    }

    #[test]
    fn what_a_process_found_is_the_run() {
        let holds = told("holds");

        assert_eq!((holds.conclusion, holds.exhausted), (Conclusion::Holds, true));
        assert_eq!((holds.states, holds.steps_taken, holds.depth, holds.states_per_second), (50, 90, 7, 100));
        assert_eq!(told("out_of_budget").conclusion, Conclusion::OutOfBudget);
        assert_eq!(told("failed").conclusion, Conclusion::Failed);
    }

    #[test]
    fn a_violation_that_does_not_come_back_is_a_violation_all_the_same() {
        let run = told("violated");

        assert_eq!((run.conclusion, run.exhausted), (Conclusion::Violated, false));
        assert!(run.failure.expect("it says why").contains("broke quorum/log_matching\n2 is not 3"));
    }

    #[test]
    fn a_process_that_dies_concludes_nothing() {
        let run = searched(Path::new("/bin/false"), &world(), Limits::default());

        assert_eq!((run.conclusion, run.exhausted), (Conclusion::Failed, false));
        assert!(run.failure.expect("it says why").contains("exit status: 1"));
    }
}
