//! From fingerprints back to steps: the counterexample.

use stateright::Model;

use super::encoder::Encoder;
use super::quiet::quietly;
use super::visited::Visited;
use crate::world::{Broken, Checked, Notes};

/// One step of a counterexample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done, in words.
    pub action: String,
    /// What it changed, a line each.
    pub changes: Vec<String>,
}

/// The shortest way to a state, or a step, that breaks a claim.
#[derive(Debug)]
pub struct Counterexample<W: Checked> {
    /// What is broken, and its values.
    pub broken: Broken,
    /// The actions, replayable from [`Self::start`].
    pub actions: Vec<W::Action>,
    /// The initial state.
    pub start: W::State,
    /// The steps in words, as many as there are actions.
    pub steps: Vec<Step>,
    /// What follows, where that is what breaks the claim ([`Checked::aftermath`]): steps, and the state after each.
    pub aftermath: Vec<(Step, W::State)>,
}

/// A broken claim, and where: at a visited state, or in one step further.
pub(super) struct Found<A> {
    pub(super) broken: Broken,
    /// Fingerprint of the last visited state of the way.
    pub(super) at: u64,
    /// The step from there that breaks it, when no state does.
    pub(super) step: Option<A>,
}

pub(super) fn counterexample<W: Checked>(
    world: &W,
    visited: &Visited,
    found: Found<W::Action>,
) -> Counterexample<W> {
    let path = visited.path_to(found.at);
    let (first, rest) = path.split_first().expect("a path holds at least its end");
    let mut encoder = Encoder::new();
    let start = initial(world, *first, &mut encoder);
    let mut actions = Vec::new();
    let mut state = start.clone();
    for target in rest {
        let (action, next) = step_to(world, &state, *target, &mut encoder);
        actions.push(action);
        state = next;
    }
    actions.extend(found.step);
    let (steps, end) = in_words(world, &start, &actions);
    let aftermath = aftermath(world, end);
    Counterexample { broken: found.broken, actions, start, steps, aftermath }
}

/// What follows on a state that breaks a claim.
pub(crate) fn aftermath<W: Checked>(world: &W, end: W::State) -> Vec<(Step, W::State)> {
    let story = quietly(|| world.aftermath(&end)).unwrap_or_default();
    let mut before = end;
    let step = |(action, after): (String, W::State)| {
        let changes = world.changes(&before, &after);
        before = after.clone();
        (Step { action, changes }, after)
    };
    story.into_iter().map(step).collect()
}

fn fingerprint<W: Checked>(world: &W, state: &W::State, encoder: &mut Encoder) -> u64 {
    encoder.clear();
    world.encode(state, encoder);
    encoder.fingerprint()
}

fn initial<W: Checked>(world: &W, target: u64, encoder: &mut Encoder) -> W::State {
    let mut starts = Model::init_states(world).into_iter();
    starts
        .find(|state| fingerprint(world, state, encoder) == target)
        .expect("every path begins in an initial state")
}

/// The action that leads from `state` to the state of fingerprint `target`: the first that does, as when it was visited, so
/// that the state reached is the one that was.
fn step_to<W: Checked>(
    world: &W,
    state: &W::State,
    target: u64,
    encoder: &mut Encoder,
) -> (W::Action, W::State) {
    let mut actions = Vec::new();
    world.actions(state, &mut actions);
    let mut steps = actions.into_iter().filter_map(|action| {
        let next = quietly(|| world.step(state, &action, &mut Notes::default())).ok()?;
        Some((action, next))
    });
    steps
        .find(|(_, next)| fingerprint(world, next, encoder) == target)
        .expect("a visited state is one step from its parent: `step` depends on its arguments alone")
}

/// The steps in words, and the last state.
pub(super) fn in_words<W: Checked>(
    world: &W,
    start: &W::State,
    actions: &[W::Action],
) -> (Vec<Step>, W::State) {
    let mut state = start.clone();
    let mut steps = Vec::new();
    for action in actions {
        let words = world.describe(&state, action);
        let changes = match quietly(|| world.step(&state, action, &mut Notes::default())) {
            Ok(next) => {
                let changes = world.changes(&state, &next);
                state = next;
                changes
            }
            Err(message) => vec![message],
        };
        steps.push(Step { action: words, changes });
    }
    (steps, state)
}
