//! Takes the steps of a recorded counterexample on the code of this build, and says what has become of it.
//!
//! A step is possible only if its action is enabled. An action that takes a message is known by the message, wherever it
//! lies among those in flight; every other one by what it is.

use highwater_model::fault::Bug;

use crate::bounds::{Bounds as _, BoundsError};
use crate::engine::{PANIC, aftermath, quietly};
use crate::registry;
use crate::story::file::{Recorded, RecordedStep};
use crate::story::{Claim, Story, Telling, picture, telling};
use crate::world::{Broken, Checked, Notes};

#[cfg(test)]
pub(crate) mod tests;

/// Why a counterexample cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No model has this name.
    #[error("there is no model `{0}`")]
    UnknownModel(String),
    /// The model has no such bounds.
    #[error(transparent)]
    UnknownBounds(#[from] BoundsError),
    /// The catalogue has no such bug.
    #[error("there is no bug `{0}` in the catalogue")]
    UnknownBug(String),
    /// The model makes no such claim.
    #[error("{model} makes no claim `{claim}`")]
    UnknownClaim {
        /// The model.
        model: &'static str,
        /// The claim of the file.
        claim: String,
    },
    /// A step's action is none of the model's.
    #[error("step {step}: `{action}` is no action of {model}: {source}")]
    UnknownAction {
        /// The step, from 1.
        step: usize,
        /// The model.
        model: &'static str,
        /// What stands in the file.
        action: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The model starts in no state.
    #[error("{0} has no state to start from at these bounds")]
    NoStart(&'static str),
}

/// What has become of a counterexample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The claim of the file is broken.
    StillBroken,
    /// Another claim is broken.
    BrokenDifferently,
    /// Every step is possible, and every claim holds.
    NoLongerBroken,
    /// The action of this step, from 1, is not enabled.
    NoLongerPossible(usize),
}

impl End {
    fn is_broken(self) -> bool {
        matches!(self, Self::StillBroken | Self::BrokenDifferently)
    }
}

/// A replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What has become of it.
    pub end: End,
    /// The steps that were taken. The claim is the one that is broken now, else that of the file.
    pub story: Story,
    /// How many steps the file has.
    pub recorded: usize,
    /// Steps, from 1, that change other things than the file tells.
    pub differs: Vec<usize>,
    /// Whether this code still takes the steps that the file means, so that what is not broken any more is mended: each was
    /// possible and changed what the file tells. Of sound code no more is asked than that the planted one still breaks the
    /// claim so.
    pub is_followed: bool,
}

impl Replayed {
    /// The exit code of a command that comes to this: 0 only if there is nothing broken where the file leads.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (self.end.is_broken(), self.is_followed) {
            (true, _) => 4,
            (false, true) => 0,
            (false, false) => 5,
        }
    }
}

/// Replays `recorded` in the world `W`, with the bug that was planted unless `sound`.
///
/// # Errors
/// See [`ReplayError`].
pub fn replay<W: Checked>(recorded: &Recorded, sound: bool) -> Result<Replayed, ReplayError> {
    let planted = planted(recorded)?;
    if !sound || planted.is_none() {
        return again::<W>(recorded, planted);
    }
    let is_followed = again::<W>(recorded, planted)?.end == End::StillBroken;
    Ok(Replayed { is_followed, ..again::<W>(recorded, None)? })
}

fn again<W: Checked>(recorded: &Recorded, planted: Option<Bug>) -> Result<Replayed, ReplayError> {
    let words: Vec<String> = recorded.bounds.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let bounds = W::Bounds::default().read(words.iter().map(String::as_str))?;
    let claim = claim::<W>(recorded)?;
    let actions = recorded.steps.iter().enumerate();
    let actions: Vec<W::Action> =
        actions.map(|(at, step)| action::<W>(at + 1, step)).collect::<Result<_, _>>()?;
    let world = W::new(bounds, planted);
    let start = world.init_states().into_iter().next().ok_or(ReplayError::NoStart(W::NAME))?;
    let mut walk = Walk { world: &world, state: start.clone(), steps: Vec::new(), differs: Vec::new() };
    let found = walk.walk(&recorded.steps, &actions).and_then(|()| walk.judge_unsampled(planted));
    let (end, claim) = match found {
        Ok(()) => (End::NoLongerBroken, claim),
        Err(Stop::Broken(broken)) if broken.claim == claim.name => {
            (End::StillBroken, Claim::of::<W>(&broken))
        }
        Err(Stop::Broken(broken)) => (End::BrokenDifferently, Claim::of::<W>(&broken)),
        Err(Stop::Impossible(step)) => (End::NoLongerPossible(step), claim),
    };
    let Walk { steps, differs, state, .. } = walk;
    let mut story = Story::from_parts(&world, planted, claim, (picture(&world, &start), steps));
    if end.is_broken() {
        story.follow(&world, &aftermath(&world, state));
    }
    let is_followed = differs.is_empty() && !matches!(end, End::NoLongerPossible(_));
    Ok(Replayed { end, story, recorded: recorded.steps.len(), differs, is_followed })
}

fn planted(recorded: &Recorded) -> Result<Option<Bug>, ReplayError> {
    let Some(bug) = &recorded.planted else { return Ok(None) };
    Bug::by_id(&bug.id).map(Some).ok_or_else(|| ReplayError::UnknownBug(bug.id.clone()))
}

/// The claim of the file, by its name in this build.
fn claim<W: Checked>(recorded: &Recorded) -> Result<Claim, ReplayError> {
    let others = registry::claims().into_iter().map(|(name, _)| name);
    let mut known = W::always().iter().map(|claim| claim.name).chain([PANIC]).chain(others);
    let unknown = || ReplayError::UnknownClaim { model: W::NAME, claim: recorded.claim.name.clone() };
    let claim = known.find(|name| *name == recorded.claim.name).ok_or_else(unknown)?;
    Ok(Claim::of::<W>(&Broken { claim, values: recorded.claim.values.clone() }))
}

fn action<W: Checked>(step: usize, recorded: &RecordedStep) -> Result<W::Action, ReplayError> {
    serde_json::from_value(recorded.action.clone()).map_err(|source| ReplayError::UnknownAction {
        step,
        model: W::NAME,
        action: recorded.action.to_string(),
        source,
    })
}

/// Why a walk ended before its last step.
enum Stop {
    Broken(Broken),
    Impossible(usize),
}

impl Stop {
    fn panicked(values: String) -> Self {
        Self::Broken(Broken { claim: PANIC, values })
    }
}

/// A replay under way.
struct Walk<'w, W: Checked> {
    world: &'w W,
    state: W::State,
    steps: Vec<Telling>,
    differs: Vec<usize>,
}

impl<W: Checked> Walk<'_, W> {
    fn walk(&mut self, recorded: &[RecordedStep], actions: &[W::Action]) -> Result<(), Stop> {
        self.judge()?;
        for (step, (recorded, action)) in (1..).zip(recorded.iter().zip(actions)) {
            let enabled = self.enabled()?;
            let action = self.find(&enabled, recorded, action).ok_or(Stop::Impossible(step))?;
            self.take(step, action, recorded)?;
        }
        // A core may fail an assertion when it is asked what may come next.
        self.enabled().map(drop)
    }

    fn enabled(&self) -> Result<Vec<W::Action>, Stop> {
        let mut actions = Vec::new();
        quietly(|| self.world.actions(&self.state, &mut actions)).map_err(Stop::panicked)?;
        Ok(actions)
    }

    /// The enabled action that the file means.
    fn find<'a>(
        &self,
        enabled: &'a [W::Action],
        recorded: &RecordedStep,
        action: &W::Action,
    ) -> Option<&'a W::Action> {
        let Some(wanted) = &recorded.takes else { return enabled.iter().find(|one| *one == action) };
        let in_flight = picture(self.world, &self.state).in_flight;
        let takes = |one: &W::Action| {
            let part = quietly(|| self.world.part(&self.state, one)).unwrap_or_default();
            part.takes.and_then(|at| in_flight.get(at)) == Some(wanted)
        };
        let alike = |one: &&W::Action| W::kind(one) == W::kind(action) && takes(one);
        enabled.iter().filter(alike).find(|one| *one == action).or_else(|| enabled.iter().find(alike))
    }

    fn take(&mut self, step: usize, action: &W::Action, recorded: &RecordedStep) -> Result<(), Stop> {
        let mut notes = Notes::default();
        let next = quietly(|| self.world.step(&self.state, action, &mut notes));
        let told = telling(self.world, step, (&self.state, action), next.as_ref());
        if told.changes != recorded.changes {
            self.differs.push(step);
        }
        self.steps.push(told);
        self.state = next.map_err(Stop::panicked)?;
        match notes.broken() {
            Some(broken) => Err(Stop::Broken(broken.clone())),
            None => self.judge(),
        }
    }

    /// Judges the last state in a world that leaves no state out: which ones a sample holds may change with the code.
    fn judge_unsampled(&self, planted: Option<Bug>) -> Result<(), Stop> {
        let mut bounds = self.world.bounds().clone();
        if bounds.set("sample", "1").is_err() || bounds == *self.world.bounds() {
            return Ok(());
        }
        let world = W::new(bounds, planted);
        quietly(|| world.judge(&self.state)).map_err(Stop::panicked)?.map_err(Stop::Broken)
    }

    fn judge(&self) -> Result<(), Stop> {
        quietly(|| self.world.judge(&self.state)).map_err(Stop::panicked)?.map_err(Stop::Broken)
    }
}
