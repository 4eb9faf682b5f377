//! The searches of a sweep, each in a process of its own: so that a bound begins with all the memory that there is, and one
//! that runs out of it takes no other with it.
//!
//! What broke a claim is told with the way to it, which is taken again here.

use std::path::Path;
use std::time::Duration;

use highwater_model::fault::Bug;

use super::child::{Beyond, Child, Hears, Leash, Told, nothing};
use crate::engine::{Limits, Outcome, Verdict};
use crate::report::{Conclusion, Run};
use crate::world::Checked;

/// Searches the bounds of this world, in which this bug is planted if there is one, in a process of their own, which is held by this
/// leash, and heard.
pub(super) fn searched<W: Checked>(
    program: &Path,
    world: &W,
    planted: Option<Bug>,
    limits: Limits,
    leash: Option<&Leash>,
    heard: &Hears<'_>,
) -> Run {
    let child = Child { program, world, planted, limits, leash, heard: Some(heard) };
    match child.run(&[], "a search of its own") {
        Ok(told) => run(world, planted, &told),
        Err(error) => {
            let mut run = Run::new(world, planted, &nothing());
            run.fail(false, format!("{error:#}"));
            run
        }
    }
}

fn run<W: Checked>(world: &W, planted: Option<Bug>, told: &Told) -> Run {
    let (outcome, beyond) = concluded::<W>(told);
    let mut run = Run::new(world, planted, &outcome);
    run.peak_rss = told.peak_resident;
    if let Some(beyond) = beyond {
        beyond.tell(&mut run);
    }
    run
}

/// What a process told.
fn concluded<W: Checked>(told: &Told) -> (Outcome<W>, Option<Beyond>) {
    let mut outcome = nothing();
    told.add_to(&mut outcome);
    outcome.elapsed = Duration::try_from_secs_f64(told.seconds).unwrap_or_default();
    let beyond = match told.conclusion {
        Conclusion::Holds => {
            outcome.verdict = Verdict::Holds;
            None
        }
        Conclusion::OutOfBudget => None,
        Conclusion::Violated => Some(told.again::<W>()),
        Conclusion::Failed | Conclusion::Vacuous => {
            Some(Beyond::Failed(format!("a search of its own told that it {:?}", told.conclusion)))
        }
    };
    (outcome, beyond)
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
        run(&world(), None, &serde_json::from_value(told).expect("a run"))
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
    fn a_violation_without_the_way_to_it_is_a_violation_all_the_same() {
        let run = told("violated");

        assert_eq!((run.conclusion, run.exhausted), (Conclusion::Violated, false));
        assert!(run.violation.is_none());
        assert!(run.failure.expect("it says why").contains("broke quorum/log_matching\n2 is not 3"));
    }

    #[test]
    fn a_process_that_dies_concludes_nothing() {
        let run = searched(Path::new("/bin/false"), &world(), None, Limits::default(), None, &|_| {});

        assert_eq!((run.conclusion, run.exhausted), (Conclusion::Failed, false));
        assert!(run.failure.expect("it says why").contains("exit status: 1"));
    }
}
