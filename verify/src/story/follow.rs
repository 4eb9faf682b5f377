//! What follows after the last step of a story, where that is what breaks the claim.
//!
//! A recovery run that does not rest is thousands of steps long, and most of them are like those before. So of a long one only
//! the beginning and the end are told.

use std::ops::Range;

use super::{Story, Telling, picture, traffic};
use crate::engine::Step;
use crate::report::text::grouped;
use crate::world::Checked;

/// Steps told of the beginning of what follows.
const FIRST: usize = 120;

/// Steps told of its end.
const LAST: usize = 30;

/// The steps that are not told of so many.
fn left_out(steps: usize) -> Range<usize> {
    FIRST.min(steps)..steps.saturating_sub(LAST).max(FIRST.min(steps))
}

impl Story {
    /// Adds what follows.
    pub(crate) fn follow<W: Checked>(&mut self, world: &W, aftermath: &[(Step, W::State)]) {
        let left_out = left_out(aftermath.len());
        let mut was = self.end().clone();
        for (at, (step, state)) in aftermath.iter().enumerate() {
            let is_last_left_out = at + 1 == left_out.end;
            if left_out.contains(&at) && !is_last_left_out {
                continue;
            }
            let (words, changes) = match left_out.len() {
                steps @ 2.. if is_last_left_out => {
                    (format!("{} steps more", grouped(steps as u64)), Vec::new())
                }
                _ => (step.action.clone(), step.changes.clone()),
            };
            let is = picture(world, state);
            let (sent, gone) = traffic(&was, &is, None);
            was = is.clone();
            self.aftermath.push(Telling {
                step: self.steps.len() + self.aftermath.len() + 1,
                action: None,
                words,
                lanes: Vec::new(),
                takes: None,
                changes,
                sent,
                gone,
                after: Some(is),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use stateright::Model as _;

    use super::super::Claim;
    use super::*;
    use crate::quorum::{Bounds, World};
    use crate::world::{Broken, Picture};

    fn following(steps: usize) -> Vec<String> {
        let world = World::new(Bounds::default(), None);
        let broken = Broken { claim: "quorum/log_matching", values: String::new() };
        let claim = Claim::of::<World>(&broken);
        let mut story = Story::from_parts(&world, None, claim, (Picture::default(), Vec::new()));
        let state = world.init_states().remove(0);
        let step = |at| Step { action: format!("step {at}"), changes: Vec::new() };
        let aftermath: Vec<_> = (1..=steps).map(|at| (step(at), state.clone())).collect();

        story.follow(&world, &aftermath);

        story.aftermath.into_iter().map(|step| step.words).collect()
    }

    #[test]
    fn of_what_follows_for_long_beginning_and_end_are_told() {
        let told = following(2000);

        assert_eq!(told.len(), 151);
        let [last_of_first, gap, first_of_last, last] = [119, 120, 121, 150].map(|at| told.get(at));
        assert_eq!(last_of_first.map(String::as_str), Some("step 120"));
        assert_eq!(gap.map(String::as_str), Some("1,850 steps more"));
        assert_eq!(first_of_last.map(String::as_str), Some("step 1971"));
        assert_eq!(last.map(String::as_str), Some("step 2000"));
    }

    #[test]
    fn what_follows_for_a_while_is_told_whole() {
        for steps in [0, 1, 119, 120, 121, 150, 151] {
            assert_eq!(following(steps), (1..=steps).map(|at| format!("step {at}")).collect::<Vec<_>>());
        }
    }
}
