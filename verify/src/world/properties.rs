//! A world's claims as stateright's properties, which are bare function pointers and can capture nothing.

use stateright::Property;

use super::{Checked, Seen};

/// Whether the always-claim at index `AT` holds.
fn holds<W: Checked, const AT: usize>(world: &W, state: &W::State) -> bool {
    let holds = W::always().get(AT).and_then(|claim| claim.holds);
    holds.is_none_or(|holds| holds(world, state).is_ok())
}

/// Whether the sometimes-claim at index `AT` is met by this state.
fn seen<W: Checked, const AT: usize>(world: &W, state: &W::State) -> bool {
    match W::sometimes().get(AT).map(|claim| &claim.seen) {
        Some(Seen::State(seen)) => seen(world, state),
        Some(Seen::Step) | None => false,
    }
}

/// Instantiates a function for each index.
macro_rules! by_index {
    ($function:ident, $($at:literal)*) => { [$($function::<W, $at>,)*] };
}
pub(crate) use by_index;

/// Every claim about states. Claims that only a step can meet or break are left to the own engine.
pub(super) fn all<W: Checked>() -> Vec<Property<W>> {
    let holds: [fn(&W, &W::State) -> bool; 32] = by_index!(holds,
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    let seen: [fn(&W, &W::State) -> bool; 32] = by_index!(seen,
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    let always = W::always().iter().zip(holds).filter(|(claim, _)| claim.holds.is_some());
    let sometimes = W::sometimes().iter().zip(seen).filter(|(claim, _)| matches!(claim.seen, Seen::State(_)));
    always
        .map(|(claim, holds)| Property::always(claim.name, holds))
        .chain(sometimes.map(|(claim, seen)| Property::sometimes(claim.name, seen)))
        .collect()
}
