//! The metadata world: brokers that register, are fenced, stop and come back, and the controller that decides.
//!
//! What is real: the controller is the `metadata` core and each broker's standing is its `Lifecycle` core. What is around
//! them is here: messages that arrive in any order, twice or never, a quorum that commits what was appended or loses it
//! at a fail-over (`office`), brokers that die and restart with what their disks tell, leaders that propose ISRs by an
//! image that lags, operators. What replicas do with their records is the replication world's.

mod action;
mod bounds;
mod claims;
mod office;
mod picture;
mod recovery;
mod state;
mod step;
mod sweep;
#[cfg(test)]
mod tests;
mod tidy;
mod words;

use highwater_model::fault::{Bug, Planted};
use highwater_model::id::{Offset, QuorumEpoch};
use highwater_model::metadata::{Controller, Image, Input};
use highwater_model::replication::FlushPolicy;
use stateright::{Model, Property};

use crate::world::{Always, Checked, Mutant, Notes, Part, Picture, Sometimes, properties};

pub use action::{Action, Change, PARTITION, Proposed};
pub use bounds::Bounds;
pub use recovery::Calm;
pub use state::{Batch, Broker, Disk, Envelope, Ghost, Origin, Run, Shared, Spent, State};

use step::Driver;

/// At most so many steps until a cluster that nobody disturbs has come to rest.
const REST_STEPS_MAX: u32 = 300;

/// The world of some bounds.
#[derive(Clone, Debug)]
pub struct World {
    bounds: Bounds,
    planted: Planted,
}

impl World {
    /// No broker was ever started; the controller has just been elected.
    fn fresh(&self) -> State {
        let state = State {
            controller: Shared::new(Controller::new(self.planted, Image::default())),
            tail: Vec::new(),
            asked: Vec::new(),
            watched: 0,
            history: vec![Shared::new(Image::default())],
            brokers: vec![Broker::default(); usize::from(self.bounds.brokers)],
            wire: Vec::new(),
            ghost: Ghost::default(),
            spent: Spent::default(),
        };
        let elected = Input::Elected { quorum_epoch: QuorumEpoch(1), committed: Offset::ZERO };
        self.with(state, |driver| driver.feed(elected))
    }

    /// Every broker runs and is unfenced, and the first topic is there.
    fn running(&self) -> State {
        let rest = |state| self.at_rest(state).expect("a fresh cluster comes to rest");
        let created =
            self.with(rest(self.fresh()), |driver| driver.act(Action::Operate(Change::CreateFirst)));
        rest(created)
    }

    fn with(&self, mut state: State, act: impl FnOnce(&mut Driver<'_>)) -> State {
        act(&mut Driver { world: self, state: &mut state, notes: &mut Notes::default() });
        tidy::tidy(self, &mut state);
        state
    }

    /// Lets everything happen that happens by itself, heartbeats last and in turn; `None` if that takes too long.
    fn at_rest(&self, mut state: State) -> Option<State> {
        for turn in 0..REST_STEPS_MAX {
            let mut actions = Vec::new();
            action::healing(self, &state, &mut actions);
            let (beats, others): (Vec<_>, Vec<_>) =
                actions.into_iter().partition(|action| matches!(action, Action::Timer(_)));
            let turn = usize::try_from(turn).expect("few turns");
            let next = others.first().or_else(|| beats.get(turn % beats.len().max(1)));
            let Some(next) = next.copied() else { return Some(state) };
            state = self.with(state, |driver| driver.act(next));
        }
        None
    }

    /// Whether operators change the flush policy, and nothing else.
    fn changes_flush_policy(&self) -> bool {
        self.bounds.flush.0 == FlushPolicy::Os
    }

    /// Counts what the action takes from the bounds.
    fn spend(&self, state: &mut State, action: &Action) {
        let healing = {
            let mut healing = Vec::new();
            action::healing(self, state, &mut healing);
            healing.contains(action)
        };
        let spent = &mut state.spent;
        match action {
            Action::Timer(_) => spent.beats += u8::from(!healing),
            Action::Expire(_) => spent.fences += u8::from(!healing),
            Action::Repeat(_) => spent.repeats += 1,
            Action::Lose(_) => spent.losses += 1,
            Action::FailOver(_) => spent.failovers += 1,
            Action::ElectAgain(_) => spent.reelections += 1,
            Action::Stop(_) => spent.shutdowns += 1,
            Action::Kill(_) => spent.kills += 1,
            Action::PowerLoss(_) => spent.power_losses += 1,
            Action::Propose(..) => spent.proposals += 1,
            Action::Operate(_) => spent.changes += 1,
            Action::Start(_) | Action::Apply(_) | Action::Deliver(_) | Action::Commit => {}
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![if self.bounds.fresh { self.fresh() } else { self.running() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        action::enabled(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(state, &action, &mut Notes::default()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::<Self>()
    }
}

impl Checked for World {
    const NAME: &'static str = "metadata";
    const KINDS: &'static [&'static str] = action::KINDS;
    type Bounds = Bounds;

    fn new(bounds: Bounds, planted: Option<Bug>) -> Self {
        Self { bounds, planted: Planted(planted) }
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn step(&self, state: &State, action: &Action, notes: &mut Notes) -> State {
        let mut next = state.clone();
        self.spend(&mut next, action);
        Driver { world: self, state: &mut next, notes }.act(*action);
        tidy::tidy(self, &mut next);
        next
    }

    fn kind(action: &Action) -> usize {
        action::kind(action)
    }

    fn always() -> &'static [Always<Self>] {
        claims::ALWAYS
    }

    fn sometimes() -> &'static [Sometimes<Self>] {
        claims::SOMETIMES
    }

    fn describe(&self, before: &State, action: &Action) -> String {
        words::describe(before, action)
    }

    fn changes(&self, before: &State, after: &State) -> Vec<String> {
        words::changes(before, after)
    }

    fn picture(&self, state: &State) -> Picture {
        picture::of(state)
    }

    fn part(&self, before: &State, action: &Action) -> Part {
        picture::part(before, action)
    }

    fn profile(name: &str) -> Vec<Bounds> {
        sweep::profile(name)
    }

    fn mutants() -> Vec<Mutant<Bounds>> {
        sweep::mutants()
    }
}
