//! A world as stateright's checkers see it: the same steps, every state known by the world's own encoding.
//!
//! What a world leaves out of its encodings stateright leaves out, too, so that both count the same states. A core that fails
//! an assertion ends in a state of its own, which breaks [`PANIC`]; stateright's threads would die of it.

use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use super::PANIC;
use crate::engine::{Encoder, quietly};
use crate::world::{Checked, Seen, by_index};

/// A world, held out to stateright.
pub(super) struct Held<W>(pub(super) W);

/// A state of the world, or what a core said when it failed an assertion.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Position<S> {
    /// A state, and the fingerprint of its encoding.
    At(S, u64),
    /// The message of the failed assertion.
    Failed(String),
}

impl<S> Position<S> {
    fn state(&self) -> Option<&S> {
        match self {
            Self::At(state, _) => Some(state),
            Self::Failed(_) => None,
        }
    }
}

impl<S> Hash for Position<S> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Self::At(_, fingerprint) => fingerprint.hash(hasher),
            Self::Failed(message) => message.hash(hasher),
        }
    }
}

/// What stateright may do in a position.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act<A> {
    /// An action of the world.
    Take(A),
    /// A core is asked what may come next, and fails an assertion.
    Ask,
}

impl<W: Checked> Held<W> {
    fn at(&self, state: W::State) -> Position<W::State> {
        let mut encoder = Encoder::new();
        self.0.encode(&state, &mut encoder);
        let fingerprint = encoder.fingerprint();
        Position::At(state, fingerprint)
    }

    fn enabled(&self, state: &W::State) -> Result<Vec<W::Action>, String> {
        let mut actions = Vec::new();
        quietly(|| self.0.actions(state, &mut actions))?;
        Ok(actions)
    }
}

impl<W: Checked> Model for Held<W> {
    type State = Position<W::State>;
    type Action = Act<W::Action>;

    fn init_states(&self) -> Vec<Self::State> {
        self.0.init_states().into_iter().map(|state| self.at(state)).collect()
    }

    fn actions(&self, position: &Self::State, actions: &mut Vec<Self::Action>) {
        match position.state().map(|state| self.enabled(state)) {
            Some(Ok(enabled)) => actions.extend(enabled.into_iter().map(Act::Take)),
            Some(Err(_)) => actions.push(Act::Ask),
            None => {}
        }
    }

    fn next_state(&self, position: &Self::State, action: Self::Action) -> Option<Self::State> {
        let state = position.state()?;
        let next = match action {
            Act::Take(action) => quietly(|| self.0.next_state(state, action)),
            Act::Ask => self.enabled(state).map(|_| None),
        };
        match next {
            Ok(next) => next.map(|next| self.at(next)),
            Err(message) => Some(Position::Failed(message)),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let holds: [Claimed<W>; 32] = by_index!(holds,
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        let seen: [Claimed<W>; 32] = by_index!(seen,
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        let always = W::always().iter().zip(holds).filter(|(claim, _)| claim.holds.is_some());
        let sometimes = W::sometimes().iter().zip(seen);
        let sometimes = sometimes.filter(|(claim, _)| matches!(claim.seen, Seen::State(_)));
        let fails = |_: &Self, position: &Self::State| position.state().is_some();
        always
            .map(|(claim, holds)| Property::always(claim.name, holds))
            .chain(sometimes.map(|(claim, seen)| Property::sometimes(claim.name, seen)))
            .chain([Property::always(PANIC, fails)])
            .collect()
    }
}

/// A claim in stateright's form: a bare function pointer, which can capture nothing.
type Claimed<W> = fn(&Held<W>, &Position<<W as Model>::State>) -> bool;

/// Whether the always-claim at index `AT` holds. One that fails an assertion does not.
fn holds<W: Checked, const AT: usize>(held: &Held<W>, position: &Position<W::State>) -> bool {
    let claim = W::always().get(AT).and_then(|claim| claim.holds);
    let judged = claim.zip(position.state());
    judged.is_none_or(|(holds, state)| matches!(quietly(|| holds(&held.0, state)), Ok(Ok(()))))
}

/// Whether the sometimes-claim at index `AT` is met by this state.
fn seen<W: Checked, const AT: usize>(held: &Held<W>, position: &Position<W::State>) -> bool {
    match W::sometimes().get(AT).map(|claim| &claim.seen) {
        Some(Seen::State(seen)) => position.state().is_some_and(|state| seen(&held.0, state)),
        Some(Seen::Step) | None => false,
    }
}
