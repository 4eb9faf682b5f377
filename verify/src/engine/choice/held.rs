//! A world as stateright's checkers see it: the same steps, every state known by the world's own encoding.
//!
//! What a world leaves out of its encodings stateright leaves out, too, so that both count the same states. A core that fails
//! an assertion ends in a state of its own, which breaks [`PANIC`]; stateright's threads would die of it.

use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use super::PANIC;
use crate::engine::{Encoder, quietly};
use crate::world::{Checked, Holds, Judged, all_properties};

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
        let fails = |_: &Self, position: &Self::State| position.state().is_some();
        all_properties::<Self>().into_iter().chain([Property::always(PANIC, fails)]).collect()
    }
}

impl<W: Checked> Judged for Held<W> {
    type World = W;

    /// One that fails an assertion does not.
    fn holds(&self, position: &Self::State, claim: Holds<W>) -> bool {
        position.state().is_none_or(|state| matches!(quietly(|| claim(&self.0, state)), Ok(Ok(()))))
    }

    fn meets(&self, position: &Self::State, seen: fn(&W, &W::State) -> bool) -> bool {
        position.state().is_some_and(|state| seen(&self.0, state))
    }
}
