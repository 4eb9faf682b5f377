//! Long walks in slices, each a process of its own: for worlds that keep what they have met until the process ends.
//!
//! A slice is this very command for some walks in a row, so that slices put together are the walks that one process would
//! take. Of one that broke a claim the slice tells the way there, shortened; it is taken again here.

use std::path::Path;
use std::time::Duration;

use highwater_model::fault::Bug;

use super::child::{Beyond, Child, Told, nothing};
use crate::clock::Stopwatch;
use crate::engine::{Limits, Plan, Progress, Sighting, Verdict, Walked};
use crate::world::Checked;

/// What is to be walked, and by which program.
pub(super) struct Sliced<'a, W: Checked> {
    pub(super) program: &'a Path,
    pub(super) world: &'a W,
    pub(super) planted: Option<Bug>,
    pub(super) plan: Plan,
    pub(super) limits: Limits,
    /// Steps of a slice.
    pub(super) slice: u64,
}

impl<W: Checked> Sliced<'_, W> {
    /// Takes slice after slice, until the plan is carried out, the time is over, a claim is broken or a slice fails; what was
    /// walked until then is told either way.
    pub(super) fn walk(&self, progress: &mut dyn FnMut(Progress)) -> (Walked<W>, Option<Beyond>) {
        let clock = Stopwatch::start();
        let mut sum = Walked { outcome: nothing::<W>(), walks: 0, sighting: None };
        let beyond = loop {
            let steps = self.plan.steps.map(|steps| steps.saturating_sub(sum.outcome.generated));
            let time = self.limits.timeout.map(|timeout| timeout.saturating_sub(clock.elapsed()));
            let complete = steps == Some(0);
            if complete || time == Some(Duration::ZERO) {
                let enough = (complete || self.plan.steps.is_none()) && sum.outcome.generated > 0;
                sum.outcome.verdict = if enough { Verdict::Holds } else { Verdict::OutOfBudget };
                break None;
            }
            let steps = steps.unwrap_or(u64::MAX).min(self.slice);
            let added = match self.slice(self.plan.first + sum.walks, steps, time) {
                Ok(slice) => Self::add(&mut sum, &slice),
                Err(error) => Some(Beyond::Failed(format!("{error:#}"))),
            };
            if added.is_some() {
                break added;
            }
            let (generated, walks) = (sum.outcome.generated, Some(sum.walks));
            progress(Progress { generated, walks, elapsed: clock.elapsed(), ..Progress::default() });
        };
        sum.outcome.elapsed = clock.elapsed();
        (sum, beyond)
    }

    /// Runs one slice.
    fn slice(&self, first: u64, steps: u64, time: Option<Duration>) -> anyhow::Result<Told> {
        let Self { program, world, planted, limits, .. } = *self;
        let limits = Limits { timeout: time, ..limits };
        let [seed, first, steps] = [self.plan.seed, first, steps].map(|number| number.to_string());
        let words = ["--walk", "--seed", &seed, "--from-walk", &first, "--steps", &steps].map(str::to_owned);
        let what = format!("a slice of the walks, from number {first},");
        Child { program, world, planted, limits, leash: None, heard: None }.run(&words, &what)
    }

    /// Adds a slice; gives what it found, if it did.
    fn add(sum: &mut Walked<W>, slice: &Told) -> Option<Beyond> {
        let before = sum.outcome.generated;
        slice.add_to(&mut sum.outcome);
        let Some(walks) = &slice.walks else {
            let why = "a slice of the walks tells nothing of them".to_owned();
            let is_violation = slice.violation.is_some();
            return Some(if is_violation { Beyond::Unconfirmed(why) } else { Beyond::Failed(why) });
        };
        sum.walks += walks.walks;
        let walk = walks.walk?;
        let steps = before + walks.steps_until_found.unwrap_or(slice.steps_taken);
        sum.sighting = Some(Sighting { walk, steps, length: walks.length.unwrap_or(0) });
        Some(slice.again::<W>())
    }
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

    fn sliced<'a>(world: &'a World, program: &'a Path) -> Sliced<'a, World> {
        let plan = Plan { steps: Some(10), ..Plan::default() };
        let limits = Limits { threads: 1, ..Limits::default() };
        Sliced { program, world, planted: None, plan, limits, slice: 5 }
    }

    #[test]
    fn a_slice_that_dies_is_told_and_what_was_walked_is_kept() {
        let world = world();

        let (walked, failure) = sliced(&world, Path::new("/bin/false")).walk(&mut |_| {});

        let Some(Beyond::Failed(why)) = failure else { panic!("it tells nothing") };
        assert!(why.contains("exit status: 1"), "{why}");
        assert!(matches!(walked.outcome.verdict, Verdict::OutOfBudget));
    }

    #[test]
    fn a_violation_without_the_way_to_it_is_a_violation_all_the_same() {
        let slice = json!({
            "conclusion": "violated", "states": 0, "steps_taken": 5, "depth": 5, "seconds": 0.1, "bytes_per_state": 0,
            "taken": {}, "met": [],
            "violation": { "claim": "quorum/log_matching", "values": "2 is not 3" },
            "walks": { "walks": 3, "walk": 2, "steps_until_found": 5, "length": 2 },
        });
        let mut sum = Walked { outcome: nothing::<World>(), walks: 0, sighting: None };

        let added = Sliced::add(&mut sum, &serde_json::from_value(slice).expect("a slice"));

        let Some(Beyond::Unconfirmed(why)) = added else { panic!("it does not tell the way there") };
        assert!(why.contains("broke quorum/log_matching\n2 is not 3"), "{why}");
        assert_eq!((sum.walks, sum.outcome.generated), (3, 5));
    }
}
