//! A world's claims as stateright's properties, which are bare function pointers and can capture nothing.

use stateright::{Model, Property};

use super::{Checked, Holds, Seen};

/// More claims of a kind than this have no function pointers to stand for them.
pub(super) const CLAIMS_MAX: usize = 32;

/// What stateright explores: a world, or one held out to it in another form.
pub(crate) trait Judged: Model + Sized {
    /// The world whose claims it is judged by.
    type World: Checked;

    /// Whether a claim about states holds.
    fn holds(&self, state: &Self::State, claim: Holds<Self::World>) -> bool;

    /// Whether a state meets a claim of what is possible.
    fn meets(
        &self,
        state: &Self::State,
        seen: fn(&Self::World, &<Self::World as Model>::State) -> bool,
    ) -> bool;
}

impl<W: Checked> Judged for W {
    type World = W;

    fn holds(&self, state: &W::State, claim: Holds<W>) -> bool {
        claim(self, state).is_ok()
    }

    fn meets(&self, state: &W::State, seen: fn(&W, &W::State) -> bool) -> bool {
        seen(self, state)
    }
}

/// Whether the always-claim at index `AT` holds.
fn holds<S: Judged, const AT: usize>(judged: &S, state: &S::State) -> bool {
    let holds = S::World::always().get(AT).and_then(|claim| claim.holds);
    holds.is_none_or(|holds| judged.holds(state, holds))
}

/// Whether the sometimes-claim at index `AT` is met by this state.
fn seen<S: Judged, const AT: usize>(judged: &S, state: &S::State) -> bool {
    match S::World::sometimes().get(AT).map(|claim| &claim.seen) {
        Some(Seen::State(seen)) => judged.meets(state, *seen),
        Some(Seen::Step) | None => false,
    }
}

/// Instantiates a function for each index.
macro_rules! by_index {
    ($function:ident, $($at:literal)*) => { [$($function::<S, $at>,)*] };
}

/// Every claim about states. Claims that only a step can meet or break are left to the own engine.
pub(crate) fn all<S: Judged>() -> Vec<Property<S>> {
    let (always, sometimes) = (S::World::always(), S::World::sometimes());
    assert!(
        always.len().max(sometimes.len()) <= CLAIMS_MAX,
        "stateright would not look at what {} claims beyond {CLAIMS_MAX} of a kind",
        S::World::NAME
    );
    let holds: [fn(&S, &S::State) -> bool; CLAIMS_MAX] = by_index!(holds,
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    let seen: [fn(&S, &S::State) -> bool; CLAIMS_MAX] = by_index!(seen,
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    let always = always.iter().zip(holds).filter(|(claim, _)| claim.holds.is_some());
    let sometimes = sometimes.iter().zip(seen).filter(|(claim, _)| matches!(claim.seen, Seen::State(_)));
    always
        .map(|(claim, holds)| Property::always(claim.name, holds))
        .chain(sometimes.map(|(claim, seen)| Property::sometimes(claim.name, seen)))
        .collect()
}
